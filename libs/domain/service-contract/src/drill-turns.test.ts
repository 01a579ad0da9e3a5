import { describe, expect, test } from '@jest/globals';
import { newEdge, terms as base } from './contract.fixture.ts';
import {
  DRILL_MONTH_MS,
  drillDevEuiOf,
  drillDueAt,
  drillIdOf,
  mayReleaseDrill,
  type Drill,
} from './drill.ts';
import {
  customerDrillTurn,
  providerDrillTurn,
  type CustomerDrillView,
  type DrillLedger,
  type ProviderDrillView,
} from './drill-turns.ts';
import { contractTerms } from './terms.ts';

const terms = contractTerms.parse({ ...base, drills: { perMonth: 2, maxMs: 10_000, penalty: 5 } });
const SECRET = 'ab'.repeat(16);
const START = 1_000_000;

const drill = (change: Partial<Drill> = {}): Drill => ({
  ...{
    number: 1,
    state: 'asked',
    keyVersion: 1,
    frames: [],
    answer: '',
    askedAt: START,
    epoch: 1,
    openings: 0,
  },
  ...{ counts: true, releases: {} },
  ...change,
});
const ledger = (change: Partial<DrillLedger> = {}): DrillLedger => ({
  ...{ epoch: 1, openings: 0, over: false, now: START + 1000, life: 'READY', validatedAt: START },
  ...{ month: 0, passed: 1, judged: 0, newest: undefined },
  ...change,
});

describe('the customer', () => {
  const turn = (change: Partial<CustomerDrillView> = {}) =>
    customerDrillTurn({
      ...{ terms, phase: 'guarded', ledger: ledger(), delivered: true, secret: SECRET, told: false },
      ...change,
    });

  test('delivers the drill keys first, and begins before READY by itself', () => {
    const validated = ledger({ life: 'VALIDATED', passed: 0 });
    expect(turn({ phase: 'arming', ledger: validated, delivered: false })).toEqual({ turn: 'deliver' });
    expect(turn({ phase: 'arming', ledger: validated })).toEqual({ turn: 'start', drill: 1 });
    const failed = drill({ state: 'failed', number: 3 });
    const again = (now: number) => turn({ phase: 'arming', ledger: { ...validated, newest: failed, now } });
    expect(again(START + 14_999)).toMatchObject({ turn: 'wait' });
    expect(again(START + 15_000)).toEqual({ turn: 'start', drill: 4 });
  });

  test('holds so many drills a month, each at a time of its own that nobody can know', () => {
    for (const month of [0, 1])
      for (const nth of [0, 1]) {
        const due = drillDueAt(terms.drills, START, month, nth, SECRET);
        expect(due).toBeGreaterThanOrEqual(START + DRILL_MONTH_MS * (month + nth / 2));
        expect(due).toBeLessThan(START + DRILL_MONTH_MS * (month + (nth + 1) / 2));
        expect(due).not.toBe(drillDueAt(terms.drills, START, month, nth, 'cd'.repeat(16)));
        const at = (now: number) => turn({ ledger: ledger({ now, month, judged: nth }) });
        expect(at(due - 1)).toMatchObject({ turn: 'wait' });
        expect(at(due)).toEqual({ turn: 'start', drill: 1 });
      }
    const end = START + DRILL_MONTH_MS - 1;
    expect(turn({ ledger: ledger({ now: end, judged: 2 }) })).toMatchObject({ turn: 'wait' });
    expect(turn({ ledger: ledger({ now: end, judged: 2 }), told: true })).toMatchObject({ turn: 'start' });
    const late = ledger({ now: end, newest: drill({ state: 'passed', askedAt: end - 1000 }) });
    expect(turn({ ledger: late })).toMatchObject({ turn: 'wait' });
  });

  test('ends what is over, gives up what comes in the way of a takeover, and starts nothing beside one', () => {
    const open = ledger({ newest: drill() });
    expect(turn({ ledger: open })).toEqual({ turn: 'tell', drill: 1 });
    expect(turn({ ledger: open, phase: 'yielding' })).toEqual({ turn: 'end', drill: 1, givenUp: true });
    const over = { turn: 'end', drill: 1, givenUp: false };
    expect(turn({ ledger: { ...open, now: START + 10_001 } })).toEqual(over);
    expect(turn({ ledger: { ...open, openings: 1 } })).toEqual(over);
    expect(turn({ ledger: { ...open, epoch: 2 }, phase: 'recovering' })).toEqual(over);
    expect(turn({ told: true, phase: 'recovering' })).toMatchObject({ turn: 'wait' });
    expect(turn({ told: true, ledger: ledger({ life: 'ACTIVE' }) })).toMatchObject({ turn: 'wait' });
    const none = contractTerms.parse(base);
    expect(turn({ terms: none, told: true })).toMatchObject({ turn: 'wait' });
  });
});

describe('the provider', () => {
  const turn = (change: Partial<ProviderDrillView> = {}) =>
    providerDrillTurn({
      ...{ terms, phase: 'ready', ledger: ledger({ newest: drill() }), begun: 0 },
      ...{ service: 'none' as const, keysOpen: false, allRead: false },
      ...change,
    }).turn;
  const opened = ledger({ newest: drill({ state: 'opened', openedAt: START }) });

  test('goes the way of a takeover, and back', () => {
    expect(turn()).toBe('prepare');
    expect(turn({ begun: 1, service: 'standby' })).toBe('open');
    expect(turn({ begun: 1, service: 'standby', ledger: opened })).toBe('gather');
    expect(turn({ begun: 1, service: 'standby', ledger: opened, keysOpen: true })).toBe('read');
    const read = { begun: 1, service: 'active' as const, ledger: opened, keysOpen: true, allRead: true };
    expect(turn(read)).toBe('answer');
    const passed = ledger({ newest: drill({ state: 'passed' }) });
    expect(turn({ ...read, ledger: passed })).toBe('undo');
    expect(turn({ ledger: passed })).toBe('wait');
  });

  test('gives a drill up for a takeover, for another drill, and when its time is up', () => {
    for (const phase of ['opening', 'reading', 'active', 'ended']) {
      expect(turn({ begun: 1, phase })).toBe('undo');
      expect(turn({ phase })).toBe('wait');
    }
    expect(turn({ begun: -1 })).toBe('undo');
    expect(turn({ begun: 1, ledger: ledger({ newest: drill({ number: 2 }) }) })).toBe('undo');
    expect(turn({ begun: 1, ledger: { ...opened, now: START + 10_001 } })).toBe('undo');
    expect(turn({ begun: 1, ledger: { ...opened, openings: 1 } })).toBe('undo');
  });
});

test('a holder gives its share to the provider, against the newest drill, while it is open', () => {
  const may = (change: Partial<Parameters<typeof mayReleaseDrill>[0]> = {}) =>
    mayReleaseDrill({
      ...{ terms, asker: terms.provider, holder: terms.central, newest: 1, ledger: ledger() },
      drill: drill({ state: 'opened', openedAt: START }),
      ...change,
    });
  expect(may()).toBeUndefined();
  expect(may({ asker: terms.customer })).toBe('notProvider');
  expect(may({ holder: newEdge() })).toBe('notHolder');
  expect(may({ drill: undefined })).toBe('noDrill');
  expect(may({ newest: 2 })).toBe('olderDrill');
  expect(may({ drill: drill() })).toBe('drillOver');
  expect(may({ ledger: ledger({ now: START + 10_001 }) })).toBe('drillOver');
  expect(may({ ledger: ledger({ openings: 1 }) })).toBe('drillOver');
});

test('the drill’s names are the contract’s own and for good, and a provider without keys is not drilled', () => {
  expect(drillIdOf(terms.contractId)).toBe(drillIdOf(terms.contractId));
  expect(drillIdOf(terms.contractId)).not.toBe(terms.contractId);
  expect(drillDevEuiOf(terms.contractId)).toMatch(/^02[0-9a-f]{14}$/);
});
