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

/** TLS for those who come from other hosts; from this host TLS or not, as they begin. At most so many are in their handshakes at once. */
export function tlsFront(
  { material, clientCertificates, isOwnHost }: TlsSide,
  maxWaiting: number,
  accept: (socket: Socket) => void,
): (socket: Socket) => void {
  let known = material();
  let waiting = 0;
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
    if (waiting >= maxWaiting) {
      socket.destroy();
      return;
    }
    waiting += 1;
    const over = (): void => {
      waiting -= 1;
    };
    // what goes wrong before the broker has it
    socket.on('error', () => socket.destroy());
    if (isOwnHost(socket)) void greet(socket).finally(over);
    else {
      socket.once('close', over);
      shakeHands(socket);
    }
  };
}
