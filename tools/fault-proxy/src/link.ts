import { lookup } from 'node:dns/promises';
import type { Direction, LinkOptions, LinkState } from './faults.ts';
import { FaultProxyError } from './errors.ts';

/** An IPv4 address and a port. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** What went one way over a link, and what did not. */
export interface DirectionCounters {
  /** Datagrams, or pieces of stream. */
  forwarded: number;
  bytes: number;
  droppedByCut: number;
  droppedByLoss: number;
  /** Too many datagrams were delayed at once. */
  droppedByOverflow: number;
  duplicated: number;
  reordered: number;
}

export const newCounters = (): Record<Direction, DirectionCounters> => {
  const one = (): DirectionCounters => ({
    forwarded: 0,
    bytes: 0,
    droppedByCut: 0,
    droppedByLoss: 0,
    droppedByOverflow: 0,
    duplicated: 0,
    reordered: 0,
  });
  return { toTarget: one(), toClient: one() };
};

/** What a link needs from its proxy. */
export interface LinkPorts {
  readonly options: LinkOptions;
  readonly state: LinkState;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly target: Endpoint;
}

/** One relay that listens. `state` is the proxy's, which calls `stateChanged` after each change. */
export interface Link {
  readonly port: number;
  readonly counters: Readonly<Record<Direction, DirectionCounters>>;
  /** Connections or sources now, and what was turned away or reset so far. */
  readonly peers: Readonly<Record<string, number>>;
  stateChanged(): void;
  /** Ends what a cut has held, instead of letting it go on. */
  resetAll(): void;
  /** Leads new connections, or all datagrams from now on, elsewhere. */
  retarget(target: Endpoint): void;
  close(): Promise<void>;
}

/** Throws `badTarget` where the name has no IPv4 address. */
export async function resolveEndpoint(host: string, port: number): Promise<Endpoint> {
  try {
    return { address: (await lookup(host, 4)).address, port };
  } catch (error) {
    throw new FaultProxyError('badTarget', `${host} has no IPv4 address`, { cause: error });
  }
}

export const cannotListen = (options: LinkOptions, cause: unknown): FaultProxyError =>
  new FaultProxyError(
    'cannotListen',
    `${options.name}: cannot listen on ${options.listenHost}:${String(options.listenPort)}`,
    { cause },
  );
