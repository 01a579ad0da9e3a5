import { setImmediate as turn } from 'node:timers/promises';
import { partsOf, streamError, type HttpPeer } from '@antirio/host';
import { AntirioError, fromHex, isAntirioError, sha256 } from '@antirio/kernel';
import {
  createSessionCipher,
  fcntCandidates,
  parseDataFrame,
  parseDevAddr,
  sessionFingerprint,
  type DataFrame,
  type SessionCipher,
} from '@antirio/lorawan';
import { createSummary, type ContractTerms, type DeviceStatement } from '@antirio/service-contract';
import type { CounterFloors } from './counter-floors.ts';
import { openFrameSort, type SortedFrame } from './frame-sort.ts';
import type { Secrets } from './sealed-keys.ts';

interface Session {
  readonly devEui: string;
  readonly devAddr: string;
  readonly session: string;
  readonly cipher: SessionCipher;
}

interface Found {
  readonly session: Session;
  readonly frame: DataFrame;
  readonly fcnt: number;
}

/** Frames whose MICs are checked, and rows that are summed up, in one turn of the event loop. */
const IN_A_TURN = 100;
const SUMMED_IN_A_TURN = 500;
const IDLE_MS = 30_000;

function sessionsOf(secrets: Secrets): Map<string, Session[]> {
  const byAddress = new Map<string, Session[]>();
  for (const { devEui, devAddr, nwkSKey } of secrets.sessions) {
    const address = parseDevAddr(devAddr);
    const key = fromHex(nwkSKey, 16);
    const session = sessionFingerprint(key, address);
    const entry = {
      devEui: devEui.toLowerCase(),
      devAddr: address,
      session,
      cipher: createSessionCipher({ nwkSKey: key }),
    };
    byAddress.set(address, [...(byAddress.get(address) ?? []), entry]);
  }
  return byAddress;
}

function parsed(phyPayload: Uint8Array): DataFrame | undefined {
  try {
    return parseDataFrame(phyPayload);
  } catch (error) {
    if (isAntirioError(error, 'invalidInput')) return undefined;
    throw error;
  }
}

/** A floor is another's word, and may be of long after the frames: those below the 16th rollover are found whatever it says. */
const counters = (fcnt16: number, highest: number | undefined, floor: number | undefined): Set<number> =>
  new Set(
    [highest, floor, undefined].flatMap((from, i) =>
      from === undefined && i < 2 ? [] : fcntCandidates(fcnt16, from),
    ),
  );

/**
 * Finds the frames that the sessions' keys verify; whoever sent the others, no mote of the contract did. From its 16th rollover on a
 * device is found only around its floor and what was found before.
 */
export function createGenuine(
  secrets: Secrets,
  floors: CounterFloors = new Map(),
): (phyPayload: Uint8Array) => Found | undefined {
  const sessions = sessionsOf(secrets);
  const highest = new Map<string, number>();
  return (phyPayload) => {
    const frame = parsed(phyPayload);
    if (frame?.direction !== 'up') return undefined;
    for (const session of sessions.get(frame.devAddr) ?? []) {
      const before = highest.get(session.session);
      const candidates = counters(frame.fcnt16, before, floors.get(session.session));
      const fcnt = candidates.values().find((n) => session.cipher.verifies(frame, n));
      if (fcnt === undefined) continue;
      highest.set(session.session, Math.max(fcnt, before ?? 0));
      return { session, frame, fcnt };
    }
    return undefined;
  };
}

export interface StatementParts {
  /** PHYPayloads, each batch valid until the next is asked for. */
  readonly payloads: AsyncIterable<readonly Uint8Array[]>;
  readonly secrets: Secrets;
  readonly floors?: CounterFloors;
  /** Where what does not fit in memory is meanwhile. */
  readonly path: string;
}

/**
 * What a statement says of the devices, over any number of frames in little memory, and with the event loop free in between.
 * @throws AntirioError storageFull, and what the source of the frames throws
 */
export async function summariseFrames({
  payloads,
  secrets,
  floors,
  path,
}: StatementParts): Promise<DeviceStatement[]> {
  const groups = [...sessionsOf(secrets).values()]
    .flat()
    .map(({ devEui, session }) => `${devEui}/${session}`);
  const order = new Map([...new Set(groups)].sort().map((key, i) => [key, i] as const));
  const sessions = new Map<number, Session>();
  const genuine = createGenuine(secrets, floors);
  const read = (phyPayload: Uint8Array): SortedFrame[] => {
    const found = genuine(phyPayload);
    if (found === undefined) return [];
    const { session, fcnt } = found;
    const group = order.get(`${session.devEui}/${session.session}`) ?? 0;
    sessions.set(group, session);
    return [{ group, fcnt, digest: sha256(phyPayload) }];
  };
  const sort = openFrameSort(path);
  try {
    for await (const batch of payloads)
      for (let i = 0; i < batch.length; i += IN_A_TURN) {
        sort.add(batch.slice(i, i + IN_A_TURN).flatMap(read));
        await turn();
      }
    const summary = createSummary();
    let count = 0;
    for (const { group, fcnt, digest } of sort.sorted()) {
      const session = sessions.get(group);
      if (session !== undefined)
        summary.add({
          devEui: session.devEui,
          devAddr: session.devAddr,
          session: session.session,
          fcnt,
          digest,
        });
      count += 1;
      if (count % SUMMED_IN_A_TURN === 0) await turn();
    }
    return summary.devices();
  } finally {
    sort.close();
  }
}

async function* payloadsOf(bridge: HttpPeer, path: string): AsyncGenerator<Uint8Array[]> {
  const stream = await bridge.open?.(path, { idleMs: IDLE_MS, transient: true });
  if (stream === undefined) throw new AntirioError('unavailable', 'the bridge gives no streams');
  try {
    if (stream.status !== 200) throw await streamError(path, stream);
    for await (const part of partsOf(stream.body))
      if (part.kind === 'items') yield part.items.map(({ bytes }) => bytes);
  } finally {
    stream.close();
  }
}

/** The frames of a range of our own ring. */
export function ringFrames(
  bridge: HttpPeer,
  ringId: string,
  from: number,
  through: number,
): AsyncIterable<readonly Uint8Array[]> {
  return payloadsOf(
    bridge,
    `/api/v3/ring/${ringId}/stream?form=payload&after=${from - 1}&through=${through}`,
  );
}

/** Our own copies of a range of the provider's ring; those that we lack are simply not there. */
export function ownCopies(
  bridge: HttpPeer,
  { contractId, provider }: Pick<ContractTerms, 'contractId' | 'provider'>,
  from: number,
  through: number,
): AsyncIterable<readonly Uint8Array[]> {
  const source = `edgeId=${provider}&ringId=${contractId}&after=${from - 1}&through=${through}`;
  return payloadsOf(bridge, `/api/v3/ring/own/copies?${source}`);
}
