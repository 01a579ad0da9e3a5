import { createServer as createHttpServer, type RequestListener, type Server as HttpServer } from 'node:http';
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https';
import { createServer as createNetServer, type Server, type Socket } from 'node:net';
import { answerClientError } from './client-error.ts';
import type { RimAccess } from './rim-access.ts';

/** One address that is listened on. */
export interface Listening {
  /** To listen with, and to hear errors of. */
  readonly server: Server;
  /** Takes no more connections, lets go of idle ones at once and of all a second later. */
  close(): Promise<void>;
}

export interface ServerLimits {
  readonly requestTimeout: number;
  readonly headersTimeout: number;
  readonly connectionsCheckingInterval: number;
  readonly keepAliveTimeout: number;
}

const MAX_CONNECTIONS = 1024;
const HANDSHAKE_WITHIN_MS = 10_000;
/** The first byte of a TLS record with a handshake in it (RFC 8446, 5.1). */
const HANDSHAKE = 0x16;

function ends(servers: readonly (HttpServer | HttpsServer)[]): void {
  for (const server of servers) server.closeIdleConnections();
  setTimeout(() => {
    for (const server of servers) server.closeAllConnections();
  }, 1000).unref();
}

export function plainListening(limits: ServerLimits, listener: RequestListener): Listening {
  const server = createHttpServer(limits, listener);
  server.on('clientError', answerClientError);
  server.maxConnections = MAX_CONNECTIONS;
  return {
    server,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        ends([server]);
      }),
  };
}

/** Tells by its first byte whether a connection wants TLS; undefined where none comes. */
export function firstByte(socket: Socket, withinMs: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => done(undefined), withinMs);
    const look = (): void => {
      const head = socket.read(1) as Buffer | null;
      if (head === null) return;
      socket.unshift(head);
      done(head[0]);
    };
    const gone = (): void => done(undefined);
    const done = (byte: number | undefined): void => {
      clearTimeout(timer);
      socket.off('readable', look);
      socket.off('close', gone);
      socket.off('error', gone);
      resolve(byte);
    };
    socket.on('readable', look);
    socket.once('close', gone);
    socket.once('error', gone);
  });
}

/** Servers that do not listen by themselves watch over the times of their connections as well. */
function heedTimes(server: HttpServer | HttpsServer): void {
  server.emit('listening');
}

/** TLS for those who come from other hosts; from this host TLS or plain HTTP, as they begin. */
export function tlsListening(
  limits: ServerLimits,
  listener: RequestListener,
  access: RimAccess & { readonly tls: NonNullable<RimAccess['tls']> },
): Listening {
  const plain = createHttpServer(limits, listener);
  let material = access.tls();
  const asked = { requestCert: access.clientCertificates, rejectUnauthorized: access.clientCertificates };
  const secure = createHttpsServer(
    { ...limits, ...material, ...asked, handshakeTimeout: HANDSHAKE_WITHIN_MS },
    listener,
  );
  for (const server of [plain, secure]) {
    server.on('clientError', answerClientError);
    heedTimes(server);
  }
  const handOver = (socket: Socket, isTls: boolean): void => {
    if (isTls) {
      const now = access.tls();
      if (now !== material) secure.setSecureContext(now);
      material = now;
    }
    (isTls ? secure : plain).emit('connection', socket);
  };
  const sockets = new Set<Socket>();
  const server = createNetServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // what goes wrong before a server has it
    socket.on('error', () => socket.destroy());
    if (!access.isOwnHost(socket)) {
      handOver(socket, true);
      return;
    }
    void firstByte(socket, HANDSHAKE_WITHIN_MS).then((byte) => {
      if (byte === undefined || socket.destroyed) socket.destroy();
      else handOver(socket, byte === HANDSHAKE);
    });
  });
  server.maxConnections = MAX_CONNECTIONS;
  return {
    server,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const one of [plain, secure]) one.close(() => undefined);
        ends([plain, secure]);
        setTimeout(() => {
          for (const socket of sockets) socket.destroy();
        }, 1000).unref();
      }),
  };
}
