import type { Socket } from 'node:net';
import { createServer, type SecureContextOptions } from 'node:tls';
import { firstByte } from '@antirio/host';

/** What TLS a listener speaks, and with whom. */
export interface TlsSide {
  /** Certificate and key as they are now. */
  readonly material: () => SecureContextOptions;
  readonly clientCertificates: boolean;
  readonly isOwnHost: (socket: Socket) => boolean;
}

const HANDSHAKE_WITHIN_MS = 10_000;
/** The first byte of a TLS record with a handshake in it. */
const HANDSHAKE = 0x16;

/** What a listener lets in. */
export interface Admission {
  /** Connections of all listeners at once. */
  readonly maxClients: number;
  readonly accept: (socket: Socket) => void;
  /** Told of each connection that is closed because there are too many. */
  readonly onRefused: () => void;
}

/**
 * TLS for those who come from other hosts; from this host TLS or not, as they begin. Other hosts have three quarters of the places, from
 * the first packet to the last: strangers, with or without a handshake, leave the rest to this host's services.
 */
export function tlsFront(
  { material, clientCertificates, isOwnHost }: TlsSide,
  { maxClients, accept, onRefused }: Admission,
): (socket: Socket) => void {
  let known = material();
  const here = { count: 0, most: maxClients };
  const elsewhere = { count: 0, most: Math.ceil((maxClients * 3) / 4) };
  const secure = createServer({
    ...known,
    requestCert: clientCertificates,
    rejectUnauthorized: clientCertificates,
    handshakeTimeout: HANDSHAKE_WITHIN_MS,
  });
  secure.on('secureConnection', accept);
  secure.on('tlsClientError', (_error, socket) => socket.destroy());
  const shakeHands = (socket: Socket): void => {
    const now = material();
    if (now !== known) secure.setSecureContext(now);
    known = now;
    secure.emit('connection', socket);
  };
  const greet = async (socket: Socket): Promise<void> => {
    const byte = await firstByte(socket, HANDSHAKE_WITHIN_MS);
    if (byte === undefined || socket.destroyed) socket.destroy();
    else if (byte === HANDSHAKE) shakeHands(socket);
    else accept(socket);
  };
  return (socket) => {
    const isOwn = isOwnHost(socket);
    const side = isOwn ? here : elsewhere;
    if (side.count >= side.most) {
      onRefused();
      socket.destroy();
      return;
    }
    side.count += 1;
    const over = (): void => {
      side.count -= 1;
    };
    // what goes wrong before the broker has it
    socket.on('error', () => socket.destroy());
    if (isOwn) void greet(socket).finally(over);
    else {
      socket.once('close', over);
      shakeHands(socket);
    }
  };
}
