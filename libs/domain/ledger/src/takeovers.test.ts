import { describe, expect, test } from '@jest/globals';
import { invariantProblems } from './invariants.ts';
import {
  ada,
  askFor,
  balances,
  ben,
  bidFor,
  central,
  cleo,
  contractOf,
  makeTerms,
  must,
  ready,
  readyLedger,
  register,
  ringRootOf,
  statement,
  take,
  validation,
  type TestLedger,
} from './machine.fixture.ts';
import { keys, type SetRecord } from './records.ts';
import type { ContractTerms } from '@antirio/service-contract';

/** From READY over a takeover under `epoch` to the customer's own epoch after it; nothing is stated yet. */
function takeover(ledger: TestLedger, terms: ContractTerms, epoch: number): void {
  const { contractId, set } = terms;
  const { setId } = set;
  const root = ringRootOf(ben, contractId, 0);
  const steps = [
    ledger.send(central, { type: 'contract/open', contractId, root, keyVersion: 1 }),
    ledger.send(ada, { type: 'epoch/release', setId, epoch: epoch - 1, counters: {} }),
    ledger.send(central, take(ben, terms, epoch - 1)),
    ledger.send(ben, { type: 'epoch/release', setId, epoch, counters: {} }),
    ledger.send(central, take(ada, terms, epoch)),
  ];
  expect(steps.filter((one) => !one.ok)).toEqual([]);
}

function stated(ledger: TestLedger, terms: ContractTerms, epoch: number): void {
  for (const by of [ben, ada])
    expect(ledger.send(by, statement(terms, epoch, 0))).toMatchObject({ ok: true });
}

const noDevices = { set: { setId: 'set-1', service: 'pre-processor', devices: [] } };

test('a contract without any sensors has a whole life: taken over by word, given back, paid', () => {
  const terms = makeTerms(1, { ...noDevices, activation: { events: ['manual'] } });
  const ledger = readyLedger(terms);
  takeover(ledger, terms, 2);
  stated(ledger, terms, 2);
  expect(contractOf(ledger, terms.contractId)).toMatchObject({
    life: { state: 'SETTLED' },
    settlement: { row: 'honoured' },
  });
  expect(balances(ledger)).toEqual([900, 1100]);
  expect(invariantProblems(ledger.state)).toEqual([]);
});

test('two contracts of one customer without sensors are two sets', () => {
  const terms = makeTerms(1, noDevices);
  const ledger = readyLedger(terms);
  const other = makeTerms(2, { set: { ...noDevices.set, setId: 'set-2' } });
  expect(ledger.send(central, validation(other, ada, ben)).ok).toBe(true);
});

test('several takeovers of one contract are paid once, after the last', () => {
  const terms = makeTerms(1, { activation: { events: ['offline', 'manual'], takeovers: 2 } });
  const ledger = readyLedger(terms);
  takeover(ledger, terms, 2);
  stated(ledger, terms, 2);
  expect(contractOf(ledger, terms.contractId)).toMatchObject({
    life: { state: 'READY_EXPOSED' },
    served: { takeovers: 1, epoch: 2 },
    escrow: { customer: 100, provider: 100 },
  });
  takeover(ledger, terms, 4);
  stated(ledger, terms, 4);
  expect(contractOf(ledger, terms.contractId).settlement?.row).toBe('honoured');
  expect(balances(ledger)).toEqual([900, 1100]);
});

test('a takeover that is not owed stays so after one that was counted: what another provider released was the customer’s', () => {
  const terms = makeTerms(1, { activation: { events: ['offline', 'manual'], takeovers: 2 } });
  const { set } = terms;
  const other = makeTerms(2, { set, provider: cleo.edgeId, slots: { customer: 0, provider: 2 } });
  const ledger = readyLedger(terms);
  register(ledger, cleo);
  takeover(ledger, terms, 2);
  stated(ledger, terms, 2);
  const release = (epoch: number) =>
    ({ type: 'epoch/release', setId: set.setId, epoch, counters: {} }) as const;
  const steps = [
    ledger.send(central, validation(other, ada, cleo)),
    ledger.send(cleo, ready(other)),
    ledger.send(ada, release(3)),
    ledger.send(central, take(cleo, other, 3)),
    ledger.send(cleo, release(4)),
    ledger.send(central, take(ben, terms, 4)),
  ];
  expect(steps.filter((one) => !one.ok)).toEqual([]);
  expect(contractOf(ledger, terms.contractId).activation).toMatchObject({ epoch: 5, owed: false });
  ledger.send(ben, release(5));
  ledger.send(central, take(ada, terms, 5));
  stated(ledger, terms, 5);
  expect(contractOf(ledger, terms.contractId)).toMatchObject({
    life: { state: 'READY_EXPOSED' },
    served: { takeovers: 1, epoch: 2 },
  });
});

test('the set keeps which run of its holder released last, beyond the next epoch, and forgets it with one that does not say', () => {
  const terms = makeTerms(1);
  const ledger = readyLedger(terms);
  const { setId } = terms.set;
  const last = (): unknown => (ledger.state.get(keys.set(setId)) as SetRecord).lastRelease;
  const release = (epoch: number, bootId?: string) =>
    ({ type: 'epoch/release', setId, epoch, counters: {}, bootId }) as const;
  expect(last()).toBeUndefined();
  for (const bootId of ['', 'x'.repeat(65)])
    expect(() => ledger.send(ada, release(1, bootId))).toThrow(/at bootId/);
  must(ledger.send(ada, release(1, 'boot-a')));
  must(ledger.send(central, take(ben, terms, 1)));
  expect(last()).toEqual({ epoch: 1, bootId: 'boot-a' });
  must(ledger.send(ben, release(2, 'boot-b')));
  expect(last()).toEqual({ epoch: 2, bootId: 'boot-b' });
  must(ledger.send(central, take(ada, terms, 2)));
  must(ledger.send(ada, release(3)));
  expect(last()).toBeUndefined();
});

test('what was served is paid where the contract ends before the last takeover', () => {
  const terms = makeTerms(1, { activation: { events: ['manual'], takeovers: 5 } });
  const ledger = readyLedger(terms);
  takeover(ledger, terms, 2);
  stated(ledger, terms, 2);
  ledger.now = terms.expiresAt;
  expect(ledger.send(central, { type: 'contract/expire', contractId: terms.contractId }).ok).toBe(true);
  expect(contractOf(ledger, terms.contractId).settlement).toMatchObject({
    row: 'honoured',
    reason: 'ended after 1 takeovers',
  });
  expect(balances(ledger)).toEqual([900, 1100]);
});

test('with keys that nobody may go on with, a takeover that is stated twice counts once', () => {
  const terms = makeTerms(1, { exposed: 'refuse', activation: { events: ['manual'], takeovers: 3 } });
  const ledger = readyLedger(terms);
  takeover(ledger, terms, 2);
  stated(ledger, terms, 2);
  stated(ledger, terms, 2);
  expect(contractOf(ledger, terms.contractId)).toMatchObject({
    life: { state: 'HANDED_BACK' },
    served: { takeovers: 1 },
  });
  ledger.now = terms.expiresAt;
  expect(ledger.send(central, { type: 'contract/expire', contractId: terms.contractId }).ok).toBe(true);
});

test('nobody breaks a contract by leaving a service alone that moves on its customer’s word only', () => {
  const terms = makeTerms(1, { activation: { events: ['manual'] } });
  const ledger = readyLedger(terms);
  ledger.now += 10_000_000;
  const customerLeaseEndedAt = ledger.now - 5_000_000;
  const evidence = { kind: 'neverTookOver' as const, customerLeaseEndedAt, details: {} };
  const ruling = { row: 'providerBreach' as const, evidence };
  expect(ledger.send(central, { type: 'contract/rule', contractId: terms.contractId, ruling })).toMatchObject(
    {
      ok: false,
    },
  );
});

test('who stands by with keys that it has seen is in breach for leaving its customer alone, from then on', () => {
  const terms = makeTerms(1, { disputeS: 259_200, activation: { takeovers: 3 } });
  const ledger = readyLedger(terms);
  takeover(ledger, terms, 2);
  ledger.now += 1000;
  stated(ledger, terms, 2);
  const { contractId } = terms;
  expect(contractOf(ledger, contractId).life.state).toBe('READY_EXPOSED');
  const never = (customerLeaseEndedAt: number) => {
    const evidence = { kind: 'neverTookOver' as const, customerLeaseEndedAt, details: {} };
    const ruling = { row: 'providerBreach' as const, evidence };
    return ledger.send(central, { type: 'contract/rule', contractId, ruling });
  };
  const rearmedAt = ledger.now;
  ledger.now += terms.takeoverSlaMs + 2;
  expect(never(rearmedAt - 1)).toMatchObject({ ok: false, message: 'the provider was not READY then' });
  expect(never(rearmedAt + 1)).toMatchObject({ ok: true, result: { row: 'providerBreach' } });
});

/** Two takeovers, about the second of which the two differ. */
function disputedAfterOneAgreed(terms: ReturnType<typeof makeTerms>): ReturnType<typeof readyLedger> {
  const ledger = readyLedger(terms);
  takeover(ledger, terms, 2);
  stated(ledger, terms, 2);
  takeover(ledger, terms, 4);
  ledger.send(ben, statement(terms, 4, 50));
  ledger.send(ada, statement(terms, 4, 50, 2));
  return ledger;
}

test('nobody takes over while the two differ, and the customer may be served again once they agree', () => {
  const terms = makeTerms(1, { disputeS: 60, activation: { takeovers: 3 } });
  const ledger = disputedAfterOneAgreed(terms);
  const takeAt5 = () => ledger.send(central, take(ben, terms, 5));
  ledger.send(ada, { type: 'epoch/release', setId: terms.set.setId, epoch: 5, counters: {} });
  expect(takeAt5()).toMatchObject({ message: 'cannot activate a contract that is HANDED_BACK' });
  ledger.send(ada, statement(terms, 4, 50));
  expect(takeAt5()).toMatchObject({ ok: true, result: { epoch: 6 } });
});

test('what both had agreed on before is paid though they differ about the last takeover', () => {
  const terms = makeTerms(1, { disputeS: 60, activation: { takeovers: 3 } });
  const ledger = disputedAfterOneAgreed(terms);
  const { contractId } = terms;
  expect(contractOf(ledger, contractId)).toMatchObject({
    life: { state: 'HANDED_BACK' },
    disputedAt: ledger.now,
  });
  ledger.now += 60_000;
  expect(ledger.send(ben, { type: 'contract/close', contractId })).toMatchObject({
    result: { row: 'honoured' },
  });
  expect(balances(ledger)).toEqual([900, 1100]);
  const honoured = { honoured: 1, breached: 0 };
  expect(ledger.state.get(keys.reputation(ada.edgeId))).toEqual(honoured);
});

test('what ends undecided is counted of both where the terms say so, also where takeovers before it are paid', () => {
  const terms = makeTerms(1, { disputeS: 60, disputeCounts: true, activation: { takeovers: 3 } });
  const ledger = disputedAfterOneAgreed(terms);
  const close = () => ledger.send(ben, { type: 'contract/close', contractId: terms.contractId });
  expect(close()).toMatchObject({ ok: false });
  expect(ledger.state.get(keys.reputation(ada.edgeId))).toBeUndefined();
  ledger.now += 60_000;
  expect(close()).toMatchObject({ ok: true });
  for (const { edgeId } of [ada, ben])
    expect(ledger.state.get(keys.reputation(edgeId))).toEqual({ honoured: 1, breached: 0, undecided: 1 });
  // what it honoured besides excuses it where a share is borne
  register(ledger, cleo);
  expect(ledger.send(ben, askFor(80, 100)).ok).toBe(true);
  const bid = (changes: object) => ledger.send(cleo, bidFor(100, 0, { maxUndecided: 0, ...changes }));
  expect(bid({})).toMatchObject({ result: { matches: [] } });
  expect(bid({ maxUndecidedPermille: 499 })).toMatchObject({ result: { matches: [] } });
  expect(bid({ maxUndecidedPermille: 500 })).toMatchObject({ result: { matches: [expect.any(String)] } });
  expect(invariantProblems(ledger.state)).toEqual([]);
});

describe('a provider that gives nothing back though it has served for as long as it may', () => {
  const WEEK_MS = 7 * 86_400_000;
  function served(changes: Parameters<typeof makeTerms>[1] = { disputeS: 60 }) {
    const terms = makeTerms(1, { maxActiveS: 60, ...changes });
    const ledger = readyLedger(terms);
    ledger.send(central, take(ben, terms, 1, { customer: ledger.now }));
    ledger.now += 59_999;
    return {
      terms,
      ledger,
      close: () => ledger.send(ada, { type: 'contract/close', contractId: terms.contractId }),
    };
  }

  test('is stated all the same, and paid by its customer’s word where it keeps silent', () => {
    const { terms, ledger, close } = served();
    expect(ledger.send(ada, statement(terms, 2, 40))).toMatchObject({ message: 'the contract is ACTIVE' });
    ledger.now += 1;
    expect(ledger.send(ada, statement(terms, 2, 40))).toMatchObject({ ok: true, result: { agreed: false } });
    expect(contractOf(ledger, terms.contractId).life).toEqual({ state: 'RETURNING', epoch: 2 });
    ledger.now += WEEK_MS;
    expect(close()).toMatchObject({ ok: true, result: { row: 'honoured' } });
    expect(balances(ledger)).toEqual([900, 1100]);
  });

  test('and whose customer says nothing either ends undecided, a week after', () => {
    const { ledger, close } = served();
    ledger.now += WEEK_MS;
    expect(close()).toMatchObject({ ok: false });
    ledger.now += 1;
    expect(close()).toMatchObject({ ok: true, result: { row: 'undecided' } });
    expect(balances(ledger)).toEqual([1000, 1000]);
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test('keeps the rules of then under terms of before', () => {
    const { terms, ledger, close } = served({});
    ledger.now += WEEK_MS + 1;
    expect(ledger.send(ada, statement(terms, 2, 40))).toMatchObject({ message: 'the contract is ACTIVE' });
    expect(close()).toMatchObject({ message: 'the contract is ACTIVE' });
  });
});
