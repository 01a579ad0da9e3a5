import type { Health } from '@antirio/host';
import type { Activation } from './activation.ts';
import type { DownlinkStore } from './downlink/store.ts';
import type { DownlinkSender } from './downlink/sender.ts';
import type { JoinServer } from './join/join-server.ts';
import type { UnservedJoins } from './join/unserved.ts';
import type { Poster } from './north/poster.ts';
import type { Sealing } from './seal/sealing.ts';
import type { Counted, UplinkStore } from './store.ts';
import type { Reader } from './uplink/reader.ts';

/** The parts of the running service that have something to tell. */
export interface Telling {
  readonly activation: Activation;
  readonly reader: Reader;
  readonly sender: DownlinkSender;
  readonly joinServer: JoinServer | undefined;
  readonly poster: Poster;
  readonly store: UplinkStore;
  readonly downlinks: DownlinkStore;
  readonly sealing: Sealing | undefined;
  readonly unserved: UnservedJoins;
  readonly standsIn: boolean;
}

const OUTCOMES = ['stored', 'parked', 'undecodable', 'otherGateway', 'wrongRegion', 'reset'] as const;
const REFUSALS = ['badMic', 'replay', 'retransmission', 'unknown', 'conflict', 'malformed'] as const;

const countsOf = (
  counts: Readonly<Partial<Record<Counted, number>>>,
  names: readonly Counted[],
): Readonly<Record<string, number>> => Object.fromEntries(names.map((name) => [name, counts[name] ?? 0]));

/** What the orchestrator and everybody else is told. */
export function statusOf({
  activation,
  reader,
  sender,
  joinServer,
  poster,
  store,
  downlinks: queue,
  sealing,
  unserved,
  standsIn,
}: Telling): Readonly<Record<string, unknown>> {
  const { state, problem } = activation;
  const { cursor, behind } = reader;
  const counts = reader.counts();
  const refused = countsOf(counts, REFUSALS);
  const downlinks = sender.counts();
  return {
    state,
    cursor,
    behind,
    ...countsOf(counts, OUTCOMES),
    refused,
    downlinks,
    // What only this service's own folder has: it would be lost with that
    waiting: { downlinks: queue.openCount(), parked: store.parkedCount() },
    joins: joinServer?.counts(),
    joinsUnserved: standsIn || joinServer === undefined ? unserved.counts() : undefined,
    sealed: sealing?.counts(),
    unsealed: sealing?.unsealed().length,
    north: poster.check(),
    problem,
  };
}

export function healthOf({ activation, reader, poster, store }: Telling): Health {
  const { problem } = activation;
  const parked = store.parkedCount();
  return {
    store: reader.check(),
    coreData: poster.check(),
    parked: parked === 0 ? { ok: true } : { ok: false, detail: `${parked} events are refused by core-data` },
    keys: problem === undefined ? { ok: true } : { ok: false, detail: problem },
  };
}
