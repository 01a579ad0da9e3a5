import { repeat, type Ran } from '@antirio/host';
import { AntirioError, isAntirioError } from '@antirio/kernel';
import {
  MOST_FULL_DRILLS_A_MONTH,
  fullDrillTimes,
  isFullDrillOver,
  siblingsOf,
  type FullDrill,
  type FullDrillLedger,
  type FullDrillWait,
} from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import { readFullDrills } from './full-drill-ledger.ts';
import {
  fullDrillCustomer,
  fullDrillProvider,
  type FullDrillCustomerPorts,
  type FullDrillSide,
} from './full-drill-parties.ts';
import { ledgerClock } from './ledger-clock.ts';
import type { LedgerClient } from './ledger-client.ts';
import type { ArbitratorPorts } from './options.ts';
import type { PartyDriver } from './party-driver.ts';
import type { PartyRooms } from './party-rooms.ts';
import { createPerContract } from './per-contract.ts';
import type { RekeyCounts } from './rekey-count.ts';

/** What is shown of a contract's full drills. */
export interface FullDrillsView {
  readonly started: number;
  readonly passed: number;
  readonly failed: number;
  readonly void: number;
  /** So many may still be begun in these 30 days. */
  readonly leftThisMonth: number;
  /** At the customer: why none is begun now. */
  readonly waitsFor?: FullDrillWait | undefined;
  readonly newest?: Omit<FullDrill, 'word' | 'openAsked'> & {
    readonly times: ReturnType<typeof fullDrillTimes>;
  };
}

/** The full drills of all contracts of this edge whose terms know any. */
export interface FullDrills {
  drive(driver: PartyDriver): void;
  /** One as soon as may be. @throws AntirioError conflict, forbidden */
  tell(contractId: string): void;
  view(contractId: string): FullDrillsView | undefined;
  /** Of all contracts under way. */
  views(): FullDrillsView[];
  leave(contractId: string): Promise<void>;
  stop(): Promise<void>;
}

export interface FullDrillsPorts {
  readonly ports: ArbitratorPorts;
  readonly store: ContractStore;
  readonly ledger: LedgerClient;
  readonly rooms: PartyRooms;
  /** All of this edge. */
  readonly drivers: ReadonlyMap<string, PartyDriver>;
  readonly rekeyCounts: RekeyCounts;
}

interface Running {
  known(): FullDrillLedger | undefined;
  view(): FullDrillsView[];
  /** @throws AntirioError conflict */
  tell(): void;
  stop(): Promise<void>;
}

const EVERY_MS = 250;
/** The ledger is asked so seldom while nothing is under way. */
const REST_MS = 2000;
const NOTED = 'fullDrillNoted';
/** Phases in which a contract's service is where it belongs, or its contract over. */
const RESTS: ReadonlySet<string> = new Set(['guarded', 'arming', 'stated', 'ended']);

function shown({ counts, newest }: FullDrillLedger, waitsFor: FullDrillWait | undefined): FullDrillsView {
  const { started, passed, failed, void: voided, thisMonth } = counts;
  const leftThisMonth = Math.max(0, MOST_FULL_DRILLS_A_MONTH - thisMonth);
  const all = { started, passed, failed, void: voided, leftThisMonth, waitsFor };
  if (newest === undefined) return all;
  const { word: _word, openAsked: _root, ...rest } = newest;
  return { ...all, newest: { ...rest, times: fullDrillTimes(newest) } };
}

export function createFullDrills(given: FullDrillsPorts): FullDrills {
  const { ports, store, ledger, rooms } = given;
  const { identity, clock, random, peers } = ports;
  const running = createPerContract<Running>();

  const sideOf = (driver: PartyDriver): FullDrillSide => {
    const common = { driver, identity, clock, random, store, ledger };
    if (driver.role === 'provider')
      return fullDrillProvider({ ...common, rooms, coreData: peers['coreData'] });
    const others: Pick<FullDrillCustomerPorts, 'awaitsKeys' | 'acts' | 'othersMove'> = {
      acts() {
        const { fence } = driver.desires();
        return fence.state === 'open' && clock.monotonic() >= fence.actFrom;
      },
      awaitsKeys: () => given.rekeyCounts.now(driver.terms, driver.record())?.waiting ?? 0,
      othersMove: () => siblingsOf(driver, given.drivers.values()).some(isMoving),
    };
    return fullDrillCustomer({ ...common, rooms, ...others });
  };
  const isMoving = (other: PartyDriver): boolean => {
    const drill = running.all.get(other.terms.contractId)?.known()?.newest;
    const drilled = drill !== undefined && !isFullDrillOver(drill);
    return drilled || !RESTS.has(other.phase().at);
  };
  const noteEnd = ({ terms }: PartyDriver, { newest }: FullDrillLedger): void => {
    if (newest === undefined || !isFullDrillOver(newest)) return;
    const { contractId } = terms;
    const { number: drill, state, reason, penalty } = newest;
    if (store.document(contractId, NOTED) === drill) return;
    store.putDocument(contractId, NOTED, drill);
    const detail = { full: true, drill, state, reason, penalty, ...fullDrillTimes(newest) };
    store.note(contractId, { at: clock.now(), monotonic: clock.monotonic(), milestone: 'drill', detail });
    ports.log.info({ contract: contractId, ...detail }, 'a full drill is over');
  };
  const start = (driver: PartyDriver): Running => {
    const { terms } = driver;
    const timeOf = ledgerClock(clock);
    const side = sideOf(driver);
    let restUntil = -Infinity;
    let phaseBefore = '';
    let pressed = false;
    let known: FullDrillLedger | undefined;
    const step = async (): Promise<Ran> => {
      const phase = driver.phase().at;
      const changed = phase !== phaseBefore || pressed;
      phaseBefore = phase;
      if (!changed && clock.monotonic() < restUntil) return 'rested';
      pressed = false;
      restUntil = clock.monotonic() + REST_MS;
      const found = await readFullDrills(ledger, terms);
      if (found === undefined) return 'worked';
      known = { ...found, now: timeOf(found.now) };
      noteEnd(driver, known);
      try {
        if (await side.advance(known)) restUntil = -Infinity;
        return 'worked';
      } catch (error) {
        // what was refused before has its time of rest
        if (isAntirioError(error, 'busy')) return 'rested';
        throw error;
      }
    };
    const work = repeat(`full drills ${terms.contractId}`, EVERY_MS, ports.log, step);
    return {
      known: () => known,
      view: () => (known === undefined ? [] : [shown(known, side.waits?.())]),
      tell() {
        if (side.tell === undefined) throw new AntirioError('conflict', 'the customer asks for drills');
        side.tell();
        pressed = true;
        work.poke();
      },
      stop: () => work.stop(),
    };
  };

  return {
    drive(driver) {
      const { contractId, drills } = driver.terms;
      if (drills.full !== undefined) running.begin(contractId, () => start(driver));
    },
    tell(contractId) {
      const one = running.all.get(contractId);
      if (one === undefined)
        throw new AntirioError('forbidden', 'the terms of this contract know no full drills');
      one.tell();
    },
    view: (contractId) => running.all.get(contractId)?.view()[0],
    views: () => [...running.all.values()].flatMap((one) => one.view()),
    leave: (contractId) => running.leave(contractId),
    stop: () => running.stop(),
  };
}
