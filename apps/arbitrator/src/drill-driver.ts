import { jittered } from '@antirio/durable-work';
import { describeError, type Clock, type Random } from '@antirio/kernel';
import { repeat, sleep, type Log, type Ran, type Repeating } from '@antirio/host';
import {
  hasTimeForDrills,
  isDrillOver,
  type ContractTerms,
  type Drill,
  type DrillLedger,
} from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import { readDrills } from './drill-ledger.ts';
import type { LedgerClient } from './ledger-client.ts';
import { ledgerClock } from './ledger-clock.ts';

/** One party's half of a contract's drills. */
export interface DrillSide {
  /** One step; whether there is more to be done soon. */
  advance(phase: string, ledger: DrillLedger): Promise<boolean>;
  /** Nothing of a drill is left here: true once that is so. */
  finish(): Promise<boolean>;
}

/** What is shown of a contract's drills. */
export interface DrillsView {
  readonly passed: number;
  /** This month's, of those that the contract demands. */
  readonly judged: number;
  readonly newest?: Omit<Drill, 'frames' | 'releases'>;
}

export interface DrillDriver {
  /** There is news. */
  poke(): void;
  view(): DrillsView | undefined;
  /** Ends it, and takes away what a drill has left here. */
  finish(): Promise<void>;
  stop(): Promise<void>;
}

export interface DrillDriverPorts {
  readonly terms: ContractTerms;
  readonly role: 'customer' | 'provider';
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly store: Pick<ContractStore, 'note' | 'document' | 'putDocument'>;
  readonly ledger: Pick<LedgerClient, 'fetch' | 'time'>;
  readonly phase: () => string;
  readonly side: DrillSide;
}

const EVERY_MS = 200;
/** The ledger is asked so seldom while nothing is under way. */
const REST_MS = 2000;
const FINISH_TRIES = 50;
const NOTED = 'drillNoted';

function shown({ passed, judged, newest }: DrillLedger): DrillsView {
  if (newest === undefined) return { passed, judged };
  const { frames: _frames, releases: _releases, ...rest } = newest;
  return { passed, judged, newest: rest };
}

/** Keeps a contract's drills going: by the ledger's record alone, so that it goes on wherever this process ended. */
export function driveDrills(ports: DrillDriverPorts): DrillDriver {
  const { terms, clock, random, log, store, ledger, side } = ports;
  const { contractId } = terms;
  const timeOf = ledgerClock(clock);
  let restUntil = -Infinity;
  let phaseBefore = '';
  let known: DrillLedger | undefined;

  const noteEnd = ({ newest }: DrillLedger): void => {
    if (newest === undefined || !isDrillOver(newest)) return;
    const { number: drill, state, reason, askedAt, endedAt = askedAt, times, penalty } = newest;
    if (store.document(contractId, NOTED) === drill) return;
    store.putDocument(contractId, NOTED, drill);
    const detail = { drill, state, reason, tookMs: endedAt - askedAt, ...times, penalty };
    store.note(contractId, { at: clock.now(), monotonic: clock.monotonic(), milestone: 'drill', detail });
    log.info({ contract: contractId, ...detail }, 'a drill is over');
  };
  const work = async (): Promise<Ran> => {
    const phase = ports.phase();
    const changed = phase !== phaseBefore;
    phaseBefore = phase;
    if (!changed && clock.monotonic() < restUntil) return 'rested';
    restUntil = clock.monotonic() + jittered(REST_MS, random);
    // A takeover waits for nothing, and what is left of a drill not for the ledger.
    if (!hasTimeForDrills(ports.role, phase)) await side.finish();
    const found = await readDrills(ledger, terms);
    if (found === undefined) return 'worked';
    known = { ...found, now: timeOf(found.now) };
    noteEnd(known);
    if (await side.advance(phase, known)) restUntil = -Infinity;
    return 'worked';
  };
  const repeating: Repeating = repeat(`drills ${contractId}`, EVERY_MS, log, work);
  return {
    poke() {
      restUntil = -Infinity;
      repeating.poke();
    },
    view: () => (known === undefined ? undefined : shown(known)),
    async finish() {
      await repeating.stop();
      for (let tries = 0; tries < FINISH_TRIES; tries++)
        try {
          if (await side.finish()) return;
          await sleep(EVERY_MS);
        } catch (error) {
          log.warn({ error: describeError(error) }, 'what a drill left is not gone yet');
        }
    },
    stop: () => repeating.stop(),
  };
}
