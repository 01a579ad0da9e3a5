import { z } from 'zod';
import { parseInput, type HttpPeer } from '@antirio/host';
import { isAntirioError, type Clock } from '@antirio/kernel';
import { keepsOnly, type ContractTerms } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import { endGuestHold } from './guest-hold.ts';
import type { ArbitratorOptions } from './options.ts';
import { neighbourCall } from './peers.ts';
import type { PartyRooms } from './party-rooms.ts';
import type { SourceTurns } from './source-turns.ts';

/** What is kept of a contract's end. Notes and documents stay for ever: they are evidence. */
const ending = z.object({
  /** The last record of the provider's ring that is owed to the customer. */
  through: z.int().optional(),
  /** How long we have been waiting for the other party, counted while we are up. */
  waitedMs: z.number().default(0),
  /** Of what the customer fetched: what came of it, and how many frames had left the provider's ring before. */
  outcome: z.enum(['all', 'partly', 'gone', 'refused', 'gaveUp']).optional(),
  gone: z.int().default(0),
  /** Nothing that the contract used is held here any more, but for what the bridge keeps of its ring. */
  letGo: z.boolean().default(false),
  /** Another contract of the set has taken its place: its machine is not started again. */
  retired: z.boolean().default(false),
});
export type Ending = z.output<typeof ending>;

const ENDING = 'ending';
const WAITED_EVERY_MS = 60_000;
const ASK_EVERY_MS = 1000;

export function endingIn(kept: unknown): Ending {
  return ending.parse(kept ?? {});
}

export function endingOf(store: Pick<ContractStore, 'document'>, contractId: string): Ending {
  return endingIn(store.document(contractId, ENDING));
}

/** What an ended contract still does until nothing of it is left on this edge but its evidence. */
export interface Retirement {
  /** One more attempt at what is left; true once its machine is of no use any more. */
  advance(): Promise<boolean>;
}

export interface RetirementPorts {
  readonly terms: ContractTerms;
  readonly store: Pick<ContractStore, 'document' | 'putDocument' | 'note'>;
  readonly clock: Clock;
  readonly peers: Readonly<Record<string, HttpPeer>>;
  readonly rooms: PartyRooms;
  readonly sources: SourceTurns;
  /** Whether no newer contract of the set has taken this one's place. */
  readonly leads: () => boolean;
  /** Has the work done when no other touches the set's fence. */
  readonly inTurn: (work: () => Promise<void>) => Promise<void>;
  readonly options: Pick<ArbitratorOptions, 'listenOnS' | 'unclaimedRetainS' | 'handedBackRetainS'>;
  /** Of a contract that is over long since, read once more under this name; the provider lets go of nothing for it. */
  readonly anew?: string;
}

interface Kept {
  get(): Ending;
  change(change: Partial<Ending>): void;
  /** How long ago the contract ended, as far as we were up, s. */
  endedForS(): number;
}

function keep({ store, clock, terms }: RetirementPorts): Kept {
  let known = endingOf(store, terms.contractId);
  // From the first look on: this is made when the contract's machine is, long before the end.
  let since: number | undefined;
  const change = (changed: Partial<Ending>): void => {
    known = { ...known, ...changed };
    store.putDocument(terms.contractId, ENDING, known);
  };
  return {
    get: () => known,
    change,
    endedForS() {
      const now = clock.monotonic();
      since ??= now;
      if (now - since >= WAITED_EVERY_MS) {
        change({ waitedMs: known.waitedMs + now - since });
        since = now;
      }
      return (known.waitedMs + now - since) / 1000;
    },
  };
}

const contractView = z.looseObject({ letGo: z.boolean().default(false) });

/** Whether the provider holds nothing for us any more. What it cannot be asked now, it is asked later. */
async function hasLetGo({ terms, peers }: RetirementPorts): Promise<boolean> {
  const path = `/arbitrator/v1/contract/${terms.contractId}`;
  try {
    const answer = await neighbourCall(peers, terms.provider, 'arbitrator', { path });
    return parseInput(contractView, answer).letGo;
  } catch (error) {
    // It knows of no such contract.
    return isAntirioError(error, 'forbidden');
  }
}

/** Whether something of the contract's frames is there for us to fetch. */
async function ringThere({ terms, peers }: RetirementPorts): Promise<'there' | 'gone' | 'refused'> {
  try {
    await neighbourCall(peers, terms.provider, 'gateway-bridge', {
      path: `/api/v3/ring/${terms.contractId}`,
    });
    return 'there';
  } catch (error) {
    if (isAntirioError(error, 'notFound')) return 'gone';
    return isAntirioError(error, 'forbidden') ? 'refused' : 'there';
  }
}

/**
 * The customer fetches what the provider's ring holds until the provider listens no more and all of it is here. On a disk from
 * an older backup that comes after the provider has let go: what was handed back stays there for some days.
 */
export function retireCustomer(ports: RetirementPorts): Retirement {
  const { terms, rooms, sources, options, anew } = ports;
  const { contractId } = terms;
  const turn = anew === undefined ? contractId : `${contractId} ${anew}`;
  const kept = keep(ports);
  let askedAt = -Infinity;

  const allHere = (): Ending['outcome'] => (kept.get().gone > 0 ? 'partly' : 'all');
  /** What came of it, once nothing more comes. */
  const outcomeOf = async (caughtUp: boolean): Promise<Ending['outcome']> => {
    const now = ports.clock.monotonic();
    if (now - askedAt < ASK_EVERY_MS) return undefined;
    askedAt = now;
    // nothing is acknowledged: the provider may go on waiting for its customer, but it listens no more by now
    const isDeaf = anew !== undefined && kept.endedForS() >= options.listenOnS;
    const isOver = isDeaf || (await hasLetGo(ports));
    if (caughtUp) return isOver ? allHere() : undefined;
    if (anew === undefined && !isOver) return undefined;
    const there = await ringThere(ports);
    return there === 'there' ? undefined : there;
  };
  const collect = async (): Promise<void> => {
    if (!sources.isUp(turn, 'rest')) return;
    const source = await rooms.fillFrom(terms, anew);
    const gone = source.gone ?? 0;
    if (gone > kept.get().gone) kept.change({ gone });
    const givesUp = kept.endedForS() >= options.unclaimedRetainS;
    const outcome = givesUp ? 'gaveUp' : await outcomeOf(source.caughtUp);
    if (outcome === undefined) return;
    sources.leave(turn);
    if (sources.idle()) await rooms.endFilling(terms);
    if (!keepsOnly(terms)) await rooms.endSending(terms);
    kept.change({ letGo: true, outcome });
  };
  return {
    async advance() {
      if (!kept.get().letGo) await collect();
      if (!kept.get().letGo || ports.leads()) return false;
      if (!kept.get().retired) kept.change({ retired: true });
      return true;
    },
  };
}

/**
 * The provider ends service and fetch. It listens on for a while, so that a contract that follows finds no gap. When the customer
 * has what the ring held then, the ring takes nothing more, and stays for some days, in nobody's way: the customer's disk may be lost.
 */
export function retireProvider(ports: RetirementPorts): Retirement {
  const { terms, store, clock, rooms, leads, inTurn, options } = ports;
  const { contractId } = terms;
  const kept = keep(ports);

  const isCollected = async (): Promise<boolean> => {
    const endedForS = kept.endedForS();
    const ring = await rooms.ringIfThere(contractId).catch((error: unknown) => {
      if (isAntirioError(error, 'unavailable')) return 'shut' as const;
      throw error;
    });
    if (ring === undefined) return true;
    // what cannot be opened now may hold what the customer lacks
    if (ring === 'shut') return endedForS >= options.unclaimedRetainS;
    if (endedForS < options.listenOnS) return false;
    const { through = ring.next - 1 } = kept.get();
    if (kept.get().through === undefined) {
      const detail = { through };
      store.note(contractId, { at: clock.now(), monotonic: clock.monotonic(), milestone: 'letGo', detail });
      kept.change({ through });
    }
    return ring.from > through || endedForS >= options.unclaimedRetainS;
  };
  /** Who only kept frames had none, and was sent no image. */
  const isServiceGone = async (): Promise<boolean> => {
    if (keepsOnly(terms)) return true;
    if ((await rooms.endService(terms)) !== 'absent') return false;
    await rooms.endFetch(contractId);
    return true;
  };
  const endRing = async (): Promise<void> => {
    const forS = Math.ceil(options.handedBackRetainS - kept.endedForS());
    await (forS > 0 ? rooms.keepRing(contractId, forS) : rooms.removeRing(contractId));
  };
  return {
    async advance() {
      const collected = await isCollected();
      if (!(await isServiceGone()) || !collected) return false;
      await endRing();
      await endGuestHold(terms, ports.peers, options.unclaimedRetainS);
      await inTurn(async () => {
        if (leads()) await rooms.removeFence(terms);
      });
      kept.change({ letGo: true, retired: true });
      return true;
    },
  };
}
