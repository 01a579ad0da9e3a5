import { createSocket } from 'node:dgram';
import type { RemoteInfo, Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { SimulatorError } from './errors.ts';

/** Where a gateway's server is: an IPv4 address and a port. */
export interface Target {
  readonly address: string;
  readonly port: number;
}

/** Finds the server. Throws `badTarget` where the name has no IPv4 address. */
export async function resolveTarget(host: string, port: number): Promise<Target> {
  try {
    return { address: (await lookup(host, 4)).address, port };
  } catch (error) {
    throw new SimulatorError('badTarget', `${host} has no IPv4 address`, { cause: error });
  }
}

export const isFrom = (target: Target, remote: RemoteInfo): boolean =>
  remote.port === target.port && remote.address === target.address;

/** An open UDP socket on a port of the system's choice. */
export interface UdpLink {
  readonly localPort: number;
  send(bytes: Buffer, to: Target): void;
  close(): void;
}

/** Opens a socket; what goes wrong while sending is reported, as a lost datagram would not be. */
export async function openUdpLink(
  onDatagram: (bytes: Buffer, remote: RemoteInfo) => void,
  onSendError: () => void,
): Promise<UdpLink> {
  const socket: Socket = createSocket('udp4');
  socket.on('message', onDatagram);
  socket.bind(0);
  await once(socket, 'listening');
  socket.on('error', onSendError);
  let isOpen = true;
  return {
    localPort: socket.address().port,
    send(bytes, to) {
      if (isOpen) socket.send(bytes, to.port, to.address, (error) => error !== null && onSendError());
    },
    close() {
      if (isOpen) socket.close();
      isOpen = false;
    },
  };
}
