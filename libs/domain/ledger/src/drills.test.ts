import { beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { signDocument, type Identity } from '@antirio/kernel';
import {
  DRILL_MONTH_MS,
  DRILL_RECEIPT_KIND,
  type contractTerms,
  drillAnswerHash,
  type ContractTerms,
  type Drill,
} from '@antirio/service-contract';
import type { z } from 'zod';
import { invariantProblems } from './invariants.ts';
import {
  ada,
  ben,
  central,
  cleo,
  contractOf,
  createTestLedger,
  makeTerms,
  ready,
  register,
  ringRootOf,
  take,
  validation,
  type TestLedger,
} from './machine.fixture.ts';
import { keys } from './records.ts';
import { rentEarned } from './rent.ts';

const ANSWER = { session: '0123456789abcdef', payloads: ['aa', 'bb'] };
const HOLDERS = { threshold: 2, holders: [central.edgeId, cleo.edgeId] };
const DRILLS = { perMonth: 1, maxMs: 10_000, penalty: 30 };

let ledger: TestLedger;
beforeEach(() => {
  ledger = createTestLedger();
  register(ledger, ada, ben, cleo);
});

function validated(
  drills: object = DRILLS,
  changes: Partial<z.input<typeof contractTerms>> = {},
): ContractTerms {
  const terms = makeTerms(1, {
    escrow: HOLDERS,
    drills,
    expiresAt: ledger.now + 10 * DRILL_MONTH_MS,
    ...changes,
  });
  expect(ledger.send(central, validation(terms, ada, ben))).toMatchObject({ ok: true });
  return terms;
}
function isReady(drills: object = DRILLS): ContractTerms {
  const terms = validated(drills);
  for (const outcome of [...pass(terms, 1), ledger.send(ben, ready(terms))])
    expect(outcome).toMatchObject({ ok: true });
  return terms;
}
const receiptOf = (by: Identity, contractId: string, keyVersion = 1) =>
  ({
    ...signDocument(by, DRILL_RECEIPT_KIND, { contractId, keyVersion }),
    kind: DRILL_RECEIPT_KIND,
  }) as const;
const start = ({ contractId }: ContractTerms, drill: number, by: Identity = ada) =>
  ledger.send(by, {
    receipt: receiptOf(ben, contractId),
    ...{ type: 'drill/start', contractId, drill, keyVersion: 1, frames: ['40'.repeat(16)] },
    answer: drillAnswerHash(ANSWER),
  });
const open = ({ contractId }: ContractTerms, drill: number, by: Identity = ben) =>
  ledger.send(by, { type: 'drill/open', contractId, drill, root: ringRootOf(ben, contractId, 5) });
const release = ({ contractId }: ContractTerms, drill: number, by: Identity) =>
  ledger.send(by, { type: 'drill/release', contractId, drill });
const read = ({ contractId }: ContractTerms, drill: number, answer = ANSWER, by: Identity = ben) =>
  ledger.send(by, {
    ...{ type: 'drill/read', contractId, drill, answer },
    times: { standbyMs: 10, keysMs: 20, readMs: 30 },
  });
const end = ({ contractId }: ContractTerms, drill: number, by: Identity = ada, givenUp = false) =>
  ledger.send(by, { type: 'drill/end', contractId, drill, givenUp });
const pass = (terms: ContractTerms, n: number) => [
  ...[start(terms, n), open(terms, n), release(terms, n, central), release(terms, n, cleo), read(terms, n)],
];
const drillOf = ({ contractId }: ContractTerms, n: number) =>
  ledger.state.get(keys.drill(contractId, n)) as Drill;
const balance = (edge: Identity) =>
  (ledger.state.get(keys.account(edge.edgeId)) as { balance: number }).balance;
const escrow = ({ contractId }: ContractTerms) => ledger.state.get(keys.contract(contractId));

describe('a drill', () => {
  test('is started by the customer, opened and read by the provider, and passed on what was read alone', () => {
    const terms = validated();
    expect(start(terms, 1, ben)).toMatchObject({ ok: false, code: 'forbidden' });
    expect(start(terms, 2)).toMatchObject({ ok: false, code: 'conflict' });
    expect(start(terms, 1)).toMatchObject({ ok: true });
    expect(start(terms, 2)).toMatchObject({ ok: false, message: 'drill 1 is not over' });
    expect(read(terms, 1)).toMatchObject({ ok: false, message: 'the drill was not opened' });
    expect(open(terms, 1, ada)).toMatchObject({ ok: false, code: 'forbidden' });
    expect(release(terms, 1, cleo)).toMatchObject({ ok: false });
    expect(open(terms, 1)).toMatchObject({ ok: true });
    expect(release(terms, 1, ben)).toMatchObject({ ok: false });
    expect(release(terms, 1, cleo)).toMatchObject({ ok: true });
    expect(release(terms, 1, central)).toMatchObject({ ok: true });
    expect(read(terms, 1, { ...ANSWER, payloads: ['aa'] })).toMatchObject({
      ok: false,
      code: 'invalidInput',
    });
    expect(read(terms, 1, ANSWER, ada)).toMatchObject({ ok: false, code: 'forbidden' });
    expect(read(terms, 1)).toMatchObject({ ok: true, result: { state: 'passed', penalty: 0 } });
    expect(drillOf(terms, 1)).toMatchObject({ state: 'passed', times: { readMs: 30 }, reason: 'read' });
    expect(end(terms, 1)).toMatchObject({ ok: true, result: { state: 'passed' } });
    expect(escrow(terms)).toMatchObject({ openings: 0, drills: { started: 1, passed: 1, failed: 0 } });
    expect(ledger.state.get(keys.keys(terms.contractId))).toBeUndefined();
  });

  test('is passed before READY where the terms demand any, and is asked for only where they do', () => {
    const terms = validated();
    expect(ledger.send(ben, ready(terms))).toMatchObject({
      ok: false,
      message: 'a drill is to be passed first',
    });
    pass(terms, 1);
    expect(ledger.send(ben, ready(terms))).toMatchObject({ ok: true });
    const none = makeTerms(2);
    ledger.send(central, validation(none, ada, ben));
    expect(start(none, 1)).toMatchObject({ ok: false, code: 'forbidden' });
    expect(ledger.send(ben, ready(none))).toMatchObject({ ok: true });
  });

  test('is not asked for where the set has no sensor that one could be of', () => {
    const terms = validated(DRILLS, { set: { setId: 'drones', service: 'device-drone', devices: [] } });
    expect(start(terms, 1)).toMatchObject({ ok: false, code: 'forbidden' });
    expect(ledger.send(ben, ready(terms))).toMatchObject({ ok: true });
  });

  test('that the provider does not open costs it its penalty, once; one before READY costs nobody', () => {
    const terms = validated();
    start(terms, 1);
    ledger.now += 10_001;
    expect(end(terms, 1)).toMatchObject({ ok: true, result: { state: 'failed', penalty: 0 } });
    pass(terms, 2);
    ledger.send(ben, ready(terms));
    const [adas, bens] = [balance(ada), balance(ben)];
    start(terms, 3);
    expect(end(terms, 3, ben)).toMatchObject({ ok: false, message: 'the provider still has time' });
    ledger.now += 10_001;
    expect(open(terms, 3)).toMatchObject({ ok: false });
    expect(end(terms, 3)).toMatchObject({ ok: true, result: { state: 'asked' } });
    expect(end(terms, 3)).toMatchObject({ ok: false, message: 'the provider still has time' });
    ledger.now += 10_001;
    expect(end(terms, 3, ben)).toMatchObject({
      ok: true,
      result: { state: 'failed', reason: 'notOpened', penalty: 30 },
    });
    expect(end(terms, 3)).toMatchObject({ ok: true, result: { state: 'failed' } });
    expect([balance(ada), balance(ben)]).toEqual([adas + 30, bens]);
    expect(escrow(terms)).toMatchObject({ escrow: { customer: 100, provider: 70 }, drills: { failed: 2 } });
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test('that fails shows that the provider did not stand by in the times it had: no rent for these', () => {
    const expiresAt = ledger.now + 600_000;
    const terms = validated(DRILLS, { rent: { perHour: 3600 }, expiresAt, maxActiveS: 60 });
    pass(terms, 1);
    ledger.send(ben, ready(terms));
    ledger.now += 5000;
    start(terms, 2);
    ledger.now += 25_000;
    end(terms, 2);
    ledger.now += 12_000;
    const contract = () => contractOf(ledger, terms.contractId);
    expect(rentEarned(contract(), terms, ledger.now).earned).toBe(42);
    expect(end(terms, 2)).toMatchObject({ result: { state: 'failed' } });
    expect(rentEarned(contract(), terms, ledger.now).earned).toBe(22);
    ledger.now += 8000;
    expect(rentEarned(contract(), terms, ledger.now).earned).toBe(30);
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test.each([
    ['no word', () => ({})],
    ['the customer’s word', (id: string) => ({ receipt: receiptOf(ada, id) })],
    ['its word on other keys', (id: string) => ({ receipt: receiptOf(ben, id, 2) })],
    [
      'a forged word',
      (id: string) => ({ receipt: { ...receiptOf(ben, id), signature: receiptOf(ada, id).signature } }),
    ],
  ])('costs the provider nothing where there is %s that it has the keys', (_what, shown) => {
    const terms = isReady();
    const { contractId } = terms;
    const asked = { type: 'drill/start', contractId, drill: 2, keyVersion: 1 } as const;
    const rest = { frames: ['40'.repeat(16)], answer: drillAnswerHash(ANSWER) };
    expect(ledger.send(ada, { ...asked, ...rest, ...shown(contractId) })).toMatchObject({ ok: true });
    ledger.now += 1_000_000;
    for (const by of [ada, ada]) end(terms, 2, by);
    expect(escrow(terms)).toMatchObject({ escrow: { customer: 100, provider: 100 } });
    expect(drillOf(terms, 2)).toMatchObject({ counts: false });
  });

  test.each(['asked', 'opened'] as const)(
    'that was %s when the ledger went away, or its clock was set, costs nobody once it is read',
    (state) => {
      const terms = isReady();
      start(terms, 2);
      if (state === 'opened') open(terms, 2);
      if (state === 'opened') for (const by of [central, cleo]) release(terms, 2, by);
      ledger.now += 3_600_000;
      expect(end(terms, 2)).toMatchObject({ ok: true, result: { state } });
      ledger.now += 5000;
      expect(open(terms, 2)).toMatchObject({ ok: true });
      for (const by of [central, cleo]) expect(release(terms, 2, by)).toMatchObject({ ok: true });
      ledger.now += 4000;
      expect(read(terms, 2)).toMatchObject({
        ok: true,
        result: { state: 'void', reason: 'late', penalty: 0 },
      });
      expect(escrow(terms)).toMatchObject({ escrow: { provider: 100 }, drills: { void: 1, judged: 0 } });
    },
  );

  test('takes no more than the provider has at stake, and those beyond the month’s cost nobody', () => {
    const terms = isReady({ ...DRILLS, perMonth: 2, penalty: 60 });
    for (const [n, penalty] of [
      [2, 60],
      [3, 40],
      [4, 0],
    ] as const) {
      start(terms, n);
      if (drillOf(terms, n).counts) {
        ledger.now += 10_001;
        end(terms, n);
      }
      ledger.now += 10_001;
      expect(end(terms, n)).toMatchObject({ result: { state: 'failed', penalty } });
    }
    expect(drillOf(terms, 4).counts).toBe(false);
    ledger.now += DRILL_MONTH_MS;
    start(terms, 5);
    expect(drillOf(terms, 5).counts).toBe(true);
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test('counts against the provider only what it took of its own', () => {
    const terms = isReady({ ...DRILLS, perMonth: 2 });
    start(terms, 2);
    ledger.now += 4000;
    open(terms, 2);
    release(terms, 2, central);
    ledger.now += 9000;
    expect(release(terms, 2, cleo)).toMatchObject({ ok: true });
    ledger.now += 6000;
    expect(read(terms, 2)).toMatchObject({ ok: true, result: { state: 'passed' } });
    start(terms, 3);
    ledger.now += 4000;
    open(terms, 3);
    for (const by of [central, cleo]) release(terms, 3, by);
    ledger.now += 6001;
    expect(read(terms, 3)).toMatchObject({ ok: false, code: 'conflict' });
    expect(end(terms, 3)).toMatchObject({ result: { state: 'opened' } });
    ledger.now += 10_001;
    expect(end(terms, 3)).toMatchObject({ result: { state: 'failed', reason: 'notRead', penalty: 30 } });
  });

  test('that nobody can read for the customer’s own fault is excused by the arbitrator alone', () => {
    const terms = isReady();
    const { contractId } = terms;
    const excuse = (by: Identity) =>
      ledger.send(by, { type: 'drill/excuse', contractId, drill: 2, found: 'otherAnswer' });
    start(terms, 2);
    open(terms, 2);
    for (const by of [ben, ada]) expect(excuse(by)).toMatchObject({ ok: false, code: 'forbidden' });
    expect(excuse(central)).toMatchObject({ result: { state: 'void', reason: 'wrongFrames', penalty: 0 } });
    expect(excuse(central)).toMatchObject({ ok: true, result: { state: 'void' } });
    expect(escrow(terms)).toMatchObject({ escrow: { provider: 100 }, drills: { void: 1, judged: 0 } });
  });

  test('whose holders are silent, whose customer gives it up, or that a takeover ends, costs nobody', () => {
    const terms = isReady();
    start(terms, 2);
    open(terms, 2);
    release(terms, 2, cleo);
    ledger.now += 10_001;
    expect(end(terms, 2, ben)).toMatchObject({ result: { state: 'void', reason: 'holdersSilent' } });
    start(terms, 3);
    for (const by of [ada, ben]) expect(end(terms, 3, by)).toMatchObject({ ok: false, code: 'conflict' });
    expect(end(terms, 3, ben, true)).toMatchObject({ ok: false });
    expect(end(terms, 3, ada, true)).toMatchObject({ result: { state: 'void', reason: 'givenUp' } });
    start(terms, 4);
    const root = ringRootOf(ben, terms.contractId, 5);
    ledger.send(central, { type: 'contract/open', contractId: terms.contractId, root, keyVersion: 1 });
    ledger.now += 10_001;
    expect(open(terms, 4)).toMatchObject({ ok: false });
    expect(end(terms, 4)).toMatchObject({ result: { state: 'void', reason: 'takeover' } });
    ledger.send(central, take(ben, terms, 1, { customer: ledger.now, holder: ledger.now }));
    expect(start(terms, 5)).toMatchObject({ ok: false, message: 'the contract is ACTIVE' });
    expect(escrow(terms)).toMatchObject({ escrow: { customer: 100, provider: 100 }, drills: { void: 3 } });
  });
});

test('whatever is sent of drills, money is conserved and a failed one is paid for once', () => {
  const newest = (terms: ContractTerms): number =>
    (escrow(terms) as { drills?: { started: number } }).drills?.started ?? 0;
  const acts: readonly ((terms: ContractTerms) => unknown)[] = [
    (terms) => start(terms, newest(terms) + 1),
    (terms) => open(terms, newest(terms)),
    (terms) => release(terms, newest(terms), cleo),
    (terms) => release(terms, newest(terms), central),
    (terms) => read(terms, newest(terms)),
    (terms) => end(terms, newest(terms)),
    (terms) => end(terms, newest(terms), ben),
    (terms) => end(terms, 1),
    (terms) => end(terms, newest(terms), ada, true),
    () => (ledger.now += 5001),
    () => (ledger.now += DRILL_MONTH_MS / 2),
    ({ contractId }) => ledger.send(central, { type: 'contract/expire', contractId }),
  ];
  fc.assert(
    fc.property(fc.array(fc.nat(acts.length - 1), { maxLength: 60 }), (moves) => {
      ledger = createTestLedger();
      register(ledger, ada, ben, cleo);
      const terms = isReady({ perMonth: 3, maxMs: 10_000, penalty: 30 });
      for (const move of moves) acts[move]?.(terms);
      expect(invariantProblems(ledger.state)).toEqual([]);
      const drills = [...ledger.state.range(`drill/${terms.contractId}/`)].map(([, value]) => value as Drill);
      const paid = drills.reduce((sum, { penalty = 0 }) => sum + penalty, 0);
      const due = 30 * drills.filter(({ state, counts }) => state === 'failed' && counts).length;
      expect(paid).toBe(Math.min(100, due));
    }),
    { numRuns: 100, seed: 8 },
  );
});
