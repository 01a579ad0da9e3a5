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
  register,
  ringRootOf,
  statement,
  take,
  readyLedger as readyLedgerOf,
  returnedLedger as returnedLedgerOf,
  type TestLedger,
} from './machine.fixture.ts';
import { keys } from './records.ts';
import { SILENCE_MS } from './settlement.ts';

const terms = makeTerms(1);
const { contractId } = terms;

const readyLedger = (): TestLedger => readyLedgerOf(terms);
/** B took over and gave back. */
const returnedLedger = (): TestLedger => returnedLedgerOf(terms);

describe('settlement', () => {
  test('honoured: both statements agree, P goes to the provider and Q comes back to it', () => {
    const ledger = returnedLedger();
    expect(ledger.send(ben, statement(terms, 2, 50))).toMatchObject({ ok: true, result: { agreed: false } });
    expect(balances(ledger)).toEqual([900, 900]);
    expect(ledger.send(ada, statement(terms, 2, 50))).toMatchObject({
      ok: true,
      result: { row: 'honoured' },
    });
    expect(balances(ledger)).toEqual([900, 1100]);
    expect(contractOf(ledger, contractId)).toMatchObject({
      life: { state: 'SETTLED', row: 'honoured' },
      escrow: { customer: 0, provider: 0 },
    });
    expect(ledger.state.get(keys.reputation(ben.edgeId))).toEqual({ honoured: 1, breached: 0 });
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test('statements that differ are a dispute, which a better statement or a ruling ends', () => {
    const ledger = returnedLedger();
    ledger.send(ben, statement(terms, 2, 50));
    expect(ledger.send(ada, statement(terms, 2, 50, 2))).toMatchObject({
      ok: true,
      result: { agreed: false },
    });
    expect(contractOf(ledger, contractId)).toMatchObject({
      life: { state: 'HANDED_BACK' },
      dispute: [expect.stringContaining('2 frames')],
    });
    expect(ledger.send(ada, statement(terms, 2, 50))).toMatchObject({ result: { row: 'honoured' } });

    const undecided = returnedLedger();
    undecided.send(ben, statement(terms, 2, 50));
    undecided.send(ada, statement(terms, 2, 50, 2));
    const ruling = { row: 'undecided', reason: 'no evidence' } as const;
    expect(undecided.send(ada, { type: 'contract/rule', contractId, ruling })).toMatchObject({
      code: 'forbidden',
    });
    expect(undecided.send(central, { type: 'contract/rule', contractId, ruling })).toMatchObject({
      ok: true,
    });
    expect(balances(undecided)).toEqual([1000, 1000]);
  });

  test('a dispute ends by itself: after its time both stakes go back, whoever asks for it', () => {
    const ledger = returnedLedgerOf(makeTerms(1, { disputeS: 259_200 }));
    ledger.send(ben, statement(terms, 2, 50));
    ledger.send(ada, statement(terms, 2, 50, 2));
    const disputedAt = ledger.now;
    const close = (by = ben) => ledger.send(by, { type: 'contract/close', contractId });
    ledger.now += 1000;
    // a newer statement that differs as well begins no new time
    ledger.send(ada, statement(terms, 2, 50, 1));
    ledger.now = disputedAt + 259_200_000 - 1;
    expect(close()).toMatchObject({ code: 'conflict' });
    ledger.now += 1;
    expect(close(cleo)).toMatchObject({ code: 'forbidden' });
    expect(close(central)).toMatchObject({ ok: true, result: { row: 'undecided' } });
    expect(balances(ledger)).toEqual([1000, 1000]);
    expect(ledger.state.get(keys.reputation(ben.edgeId))).toBeUndefined();
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test('undecided disputes are counted of both, and whoever minds them is matched with neither', () => {
    const ledger = returnedLedgerOf(makeTerms(1, { disputeS: 60, disputeCounts: true }));
    ledger.send(ben, statement(terms, 2, 50));
    ledger.send(ada, statement(terms, 2, 50, 2));
    ledger.now += 60_000;
    expect(ledger.send(central, { type: 'contract/close', contractId })).toMatchObject({ ok: true });
    for (const { edgeId } of [ada, ben])
      expect(ledger.state.get(keys.reputation(edgeId))).toEqual({ honoured: 0, breached: 0, undecided: 1 });
    register(ledger, cleo);
    expect(ledger.send(ben, askFor(80, 100)).ok).toBe(true);
    const bid = (changes: object) => ledger.send(cleo, bidFor(100, 0, changes));
    expect(bid({ maxUndecided: 0 })).toMatchObject({ result: { matches: [] } });
    expect(bid({ maxUndecided: 0, maxUndecidedPermille: 999 })).toMatchObject({ result: { matches: [] } });
    expect(bid({ maxUndecided: 1 })).toMatchObject({ result: { matches: [expect.any(String)] } });
    expect(bid({})).toMatchObject({ result: { matches: [expect.any(String)] } });
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test('a dispute under terms of before, which give it no end, is ended by a ruling only', () => {
    const ledger = returnedLedger();
    ledger.send(ben, statement(terms, 2, 50));
    ledger.send(ada, statement(terms, 2, 50, 2));
    expect(contractOf(ledger, contractId)).not.toHaveProperty('disputedAt');
    ledger.now += 365 * 86_400_000;
    for (const by of [ada, ben, central])
      expect(ledger.send(by, { type: 'contract/close', contractId })).toMatchObject({
        code: 'conflict',
        message: 'the contract is HANDED_BACK',
      });
    const ruling = { row: 'undecided', reason: 'no evidence' } as const;
    expect(ledger.send(central, { type: 'contract/rule', contractId, ruling })).toMatchObject({ ok: true });
  });

  test('volumes that did not come home are noted, and the readings are paid all the same', () => {
    const ledger = returnedLedger();
    const said = statement(terms, 2, 50);
    if (said.type !== 'contract/statement') throw new TypeError('not a statement');
    const volumes = { cid: 'bafy', size: 12 };
    ledger.send(ben, { ...said, statement: { ...said.statement, volumes } });
    expect(ledger.send(ada, said)).toMatchObject({ result: { row: 'honoured' } });
    expect(balances(ledger)).toEqual([900, 1100]);
  });

  test('a statement is of a party, for the newest epoch, about the devices of the contract', () => {
    const ledger = returnedLedger();
    expect(ledger.send(cleo, statement(terms, 2, 50))).toMatchObject({ code: 'forbidden' });
    expect(ledger.send(ada, statement(terms, 3, 50))).toMatchObject({ code: 'conflict' });
    const foreign = { ...makeTerms(9), contractId };
    expect(ledger.send(ada, statement(foreign, 2, 50))).toMatchObject({ code: 'invalidInput' });
    expect(readyLedger().send(ada, statement(terms, 2, 50))).toMatchObject({ code: 'conflict' });
  });

  test('a statement that has stood alone for seven days counts as agreed', () => {
    const ledger = returnedLedger();
    expect(ledger.send(ben, { type: 'contract/close', contractId })).toMatchObject({ code: 'conflict' });
    ledger.send(ben, statement(terms, 2, 50));
    expect(ledger.send(ben, { type: 'contract/close', contractId })).toMatchObject({ code: 'conflict' });
    ledger.now += SILENCE_MS;
    expect(ledger.send(ben, { type: 'contract/close', contractId })).toMatchObject({
      result: { row: 'honoured' },
    });
  });

  test("provider's breach: roots of its own that contradict each other pay both stakes to the customer", () => {
    const ledger = returnedLedger();
    const breach = (a: object, b: object) =>
      ledger.send(central, {
        type: 'contract/rule',
        contractId,
        ruling: { row: 'providerBreach', evidence: { kind: 'contradictingRoots', roots: [a, b] as never } },
      });
    expect(breach(ringRootOf(ben, contractId, 40), ringRootOf(ben, contractId, 50))).toMatchObject({
      code: 'conflict',
    });
    expect(breach(ringRootOf(ben, contractId, 40), ringRootOf(ada, contractId, 40, 39))).toMatchObject({
      code: 'unauthenticated',
    });
    expect(breach(ringRootOf(ben, contractId, 40), ringRootOf(ben, contractId, 40, 39))).toMatchObject({
      ok: true,
    });
    expect(balances(ledger)).toEqual([1100, 900]);
    expect(ledger.state.get(keys.reputation(ben.edgeId))).toEqual({ honoured: 0, breached: 1 });
  });

  test("provider's breach: a statement that ends before the range of its root", () => {
    const ledger = returnedLedger();
    const breach = () =>
      ledger.send(central, {
        type: 'contract/rule',
        contractId,
        ruling: {
          row: 'providerBreach',
          evidence: { kind: 'statementBelowRoot', root: ringRootOf(ben, contractId, 40) },
        },
      });
    expect(breach()).toMatchObject({ code: 'conflict' });
    ledger.send(ben, statement(terms, 2, 39));
    expect(breach()).toMatchObject({ ok: true, result: { row: 'providerBreach' } });
    expect(balances(ledger)).toEqual([1100, 900]);
  });

  test("provider's breach: READY, the customer's lease over for longer than agreed, and nobody took the epoch", () => {
    const ledger = readyLedger();
    const customerLeaseEndedAt = ledger.now + 1000;
    const breach = () =>
      ledger.send(central, {
        type: 'contract/rule',
        contractId,
        ruling: { row: 'providerBreach', evidence: { kind: 'neverTookOver', customerLeaseEndedAt } },
      });
    ledger.now = customerLeaseEndedAt + terms.takeoverSlaMs;
    expect(breach()).toMatchObject({ code: 'conflict' });
    ledger.now += 1;
    expect(breach()).toMatchObject({ ok: true });
    expect(balances(ledger)).toEqual([1100, 900]);
    expect(breach()).toMatchObject({ code: 'gone' });
  });

  test('expired without activation: both stakes come back, and the parties have to leave the arbitrator some time', () => {
    const ledger = readyLedger();
    ledger.now = terms.expiresAt;
    expect(ledger.send(ben, { type: 'contract/expire', contractId })).toMatchObject({ code: 'conflict' });
    ledger.now += terms.takeoverSlaMs + 60_000;
    expect(ledger.send(ben, { type: 'contract/expire', contractId })).toMatchObject({ ok: true });
    expect(balances(ledger)).toEqual([1000, 1000]);
    expect(contractOf(ledger, contractId).life.state).toBe('EXPIRED');
  });

  test('expiry never ends an activation', () => {
    const ledger = readyLedger();
    ledger.send(central, take(ben, terms, 1, { customer: ledger.now }));
    ledger.now = terms.expiresAt + 1;
    expect(ledger.send(central, { type: 'contract/expire', contractId })).toMatchObject({ code: 'conflict' });
  });
});
