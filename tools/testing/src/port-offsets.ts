import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';

/** The ports of the rooms without an offset, as docs/architecture.md has them. */
export const ROOM_PORTS = {
  coreData: 59_880,
  coreMetadata: 59_881,
  coreCommand: 59_882,
  coreKeeper: 59_890,
  deviceLora: 59_910,
  orchestrator: 59_700,
  migration: 59_701,
  filecoinInterface: 59_702,
  dmu: 59_703,
  arbitrator: 59_704,
  marketplace: 59_705,
  edge2edge: 59_706,
  ledger: 59_707,
  gatewayBridge: 59_708,
  broker: 1_883,
  brokerHttp: 59_709,
  edge2edgePublic: 59_716,
} as const;
export type Room = keyof typeof ROOM_PORTS;

export const UDP_PORTS = { gateway: 1_700, datagrams: 59_717 } as const;

/** Held by whoever uses an offset, so that two demos or tests do not find the same one free. */
const CLAIM_PORT = 59_790;
/** The design's rule: an offset is at most this. */
export const LARGEST_OFFSET = 5_000;
// From here on the rooms' ports lie above the range from which Linux gives ports to outgoing connections.
const PREFERRED_FROM = 1_300;
const STEP = 10;
const LOOPBACK = '127.0.0.1';

const tcpPorts = [...Object.values(ROOM_PORTS), CLAIM_PORT];
const udpPorts = Object.values(UDP_PORTS);

/** Every offset in the order to be tried: first those out of the way of outgoing connections, beginning at `from`. */
export function offsetsFrom(from: number): number[] {
  const all = Array.from({ length: LARGEST_OFFSET / STEP }, (_, i) => (i + 1) * STEP);
  const preferred = all.filter((offset) => offset >= PREFERRED_FROM);
  const start = preferred.findIndex((offset) => offset >= from);
  const turned = [...preferred.slice(Math.max(0, start)), ...preferred.slice(0, Math.max(0, start))];
  return [...turned, ...all.filter((offset) => offset < PREFERRED_FROM)];
}

/** Whether the same room, or two different ones, would share a port under these two offsets. */
export function collide(a: number, b: number): boolean {
  const shares = (ports: readonly number[]): boolean => {
    const taken = new Set(ports.map((port) => port + a));
    return ports.some((port) => taken.has(port + b));
  };
  return shares(tcpPorts) || shares(udpPorts);
}

async function listens(port: number): Promise<Server | undefined> {
  const server = createServer();
  try {
    server.listen({ port, host: LOOPBACK, exclusive: true });
    await once(server, 'listening');
    return server;
  } catch {
    return undefined;
  }
}

async function tcpFree(port: number): Promise<boolean> {
  const server = await listens(port);
  if (server === undefined) return false;
  server.close();
  await once(server, 'close');
  return true;
}

async function udpFree(port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  try {
    socket.bind(port, LOOPBACK);
    await once(socket, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}

async function allFree(offset: number): Promise<boolean> {
  for (const port of tcpPorts) if (port !== CLAIM_PORT && !(await tcpFree(port + offset))) return false;
  for (const port of udpPorts) if (!(await udpFree(port + offset))) return false;
  return true;
}

/** Offsets that collide with this one. */
function rivalsOf(offset: number): number[] {
  return offsetsFrom(0).filter((other) => other !== offset && collide(offset, other));
}

/** Whether nobody else holds an offset under which some room would take a port that is ours, though perhaps not yet. */
async function unrivalled(offset: number): Promise<boolean> {
  for (const rival of rivalsOf(offset)) if (!(await tcpFree(CLAIM_PORT + rival))) return false;
  return true;
}

/** There are not enough offsets with all ports free. */
export class NoFreeOffsetError extends Error {}

/** Offsets under which every room's port was free, held against whoever else looks for one until `release`. */
export interface ClaimedOffsets {
  readonly offsets: readonly number[];
  release(): void;
}

/**
 * Finds offsets (10 to 5000) under which all ports of an edge are free. Throws `NoFreeOffsetError`.
 *
 * @param from where to begin: those that begin at different places do not get in each other's way
 */
export async function claimOffsets(
  count: number,
  from = Math.floor(Math.random() * LARGEST_OFFSET),
): Promise<ClaimedOffsets> {
  const offsets: number[] = [];
  const claims: Server[] = [];
  const release = (): void => claims.forEach((claim) => claim.close());
  for (const offset of offsetsFrom(from)) {
    if (offsets.length === count) break;
    if (offsets.some((taken) => collide(taken, offset))) continue;
    const claim = await listens(CLAIM_PORT + offset);
    if (claim === undefined) continue;
    // Our claim is held while we look for others': of two demos that look at once at least one sees the other's.
    if ((await unrivalled(offset)) && (await allFree(offset))) {
      claims.push(claim.unref());
      offsets.push(offset);
    } else claim.close();
  }
  if (offsets.length === count) return { offsets, release };
  release();
  throw new NoFreeOffsetError(
    `there are not ${count} port offsets up to ${LARGEST_OFFSET} with all ports free`,
  );
}

/** The port of a room under an offset. */
export function portOf(room: Room, offset: number): number {
  return ROOM_PORTS[room] + offset;
}
