import { describe, expect, test } from '@jest/globals';
import { signDocument, type Identity } from '@antirio/kernel';
import {
  COVERAGE_KIND,
  type ContractTerms,
  type CoverageMark,
  type SignedMark,
} from '@antirio/service-contract';
import { invariantProblems } from './invariants.ts';
import {
  ada,
  ben,
  central,
  cleo,
  contractOf,
  createTestLedger,
  devEui,
  makeTerms,
  ready,
  register,
  ringRootOf,
  start,
  take,
  validation,
  type Request,
  type TestLedger,
} from './machine.fixture.ts';
import { keys } from './records.ts';

const EPOCH = 2;
const session = '00'.repeat(8);

function markOf(terms: ContractTerms, more: Partial<CoverageMark> = {}, by: Identity = ben): SignedMark {
  const body: CoverageMark = {
    ...{
      contractId: terms.contractId,
      devEui: devEui(1),
      devAddr: '0000000a',
      session,
      keyVersion: 1,
      at: 0,
    },
    ...{ from: 91, last: 100, shown: 10, seq: 280, settings: {} },
    ...{ before: { sent: 100, shown: 90 }, since: { sent: 100, shown: 100 } },
    receipts: { chain: 'ab', batch: 1, hash: '0'.repeat(64) },
    ...more,
  };
  const signatures = {
    customer: signDocument(ada, COVERAGE_KIND, body).signature,
    provider: signDocument(by, COVERAGE_KIND, body).signature,
  };
  return { body, signatures };
}

const handback = (terms: ContractTerms, count: number): Request => ({
  type: 'contract/statement',
  statement: {
    ...{ contractId: terms.contractId, epoch: EPOCH, from: 301, through: 900 },
    devices: [
      {
        ...{ devEui: devEui(1), devAddr: '0000000a', session, first: 103, last: 400, count, gaps: 0 },
        digest: 'ab'.repeat(32),
      },
    ],
  },
  counters: {},
});

/** Ben served under epoch 2, and both state that he handed `count` of 300 uplinks back. */
function handedBack(count: number, changes: Parameters<typeof makeTerms>[1] = {}, everyMs = 0) {
  const terms = makeTerms(1, { coverage: { breach: 'ruled' }, ...changes });
  const ledger = createTestLedger();
  register(ledger, ada, ben, cleo);
  const { contractId, set } = terms;
  const { setId } = set;
  const root = ringRootOf(ben, contractId, 0);
  const requests: (readonly [Identity, Request])[] = [
    [central, validation(terms, ada, ben)],
    [ben, ready(terms)],
    [central, { type: 'contract/open', contractId, root, keyVersion: 1 }],
    [ada, { type: 'epoch/release', setId, epoch: 1, counters: {} }],
    [central, take(ben, terms, 1)],
    [ben, { type: 'epoch/release', setId, epoch: EPOCH, counters: {} }],
    [central, take(ada, terms, EPOCH)],
    [ben, handback(terms, count)],
    [ada, handback(terms, count)],
  ];
  for (const [by, request] of requests) {
    expect(ledger.send(by, request)).toMatchObject({ ok: true });
    ledger.now += everyMs;
  }
  const about = { contractId, epoch: EPOCH };
  const mark = markOf(terms);
  const claim = { marks: [mark], changed: [], closings: [{ devEui: devEui(1), first: 402 }] };
  return { ledger, terms, about, claim };
}

const balances = ({ state }: TestLedger): number[] =>
  [ada, ben].map((edge) => (state.get(keys.account(edge.edgeId)) as { balance: number }).balance);
const settlementOf = ({ ledger, terms }: ReturnType<typeof handedBack>) =>
  contractOf(ledger, terms.contractId).settlement?.row;

describe('a coverage claim on the ledger', () => {
  test('that bears a breach leaves the provider the rent of before that outage', () => {
    const rent = { rent: { perHour: 3600 }, expiresAt: start + 600_000, maxActiveS: 60 };
    // READY for three seconds before it served for one
    const { ledger, about, claim } = handedBack(150, rent, 1000);
    ledger.send(ada, { type: 'coverage/claim', ...about, claim });
    ledger.send(ben, { type: 'coverage/answer', ...about, answer: { closings: claim.closings } });
    expect(ledger.send(ada, { type: 'coverage/rule', ...about })).toMatchObject({ ok: true });
    const paid = { customer: 200 + 657, provider: 3 };
    expect(contractOf(ledger, about.contractId).settlement).toMatchObject({ row: 'providerBreach', paid });
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test('that bears a breach costs the provider its stake, once', () => {
    const all = handedBack(150);
    const { ledger, about, claim } = all;
    expect(contractOf(ledger, about.contractId).life.state).toBe('HANDED_BACK');
    expect(ledger.send(ada, { type: 'coverage/claim', ...about, claim })).toMatchObject({ ok: true });
    expect(ledger.send(ada, { type: 'coverage/rule', ...about })).toMatchObject({ code: 'conflict' });
    const answer = { closings: [{ devEui: devEui(1), first: 402 }] };
    expect(ledger.send(ben, { type: 'coverage/answer', ...about, answer })).toMatchObject({ ok: true });
    expect(ledger.send(ada, { type: 'coverage/rule', ...about })).toMatchObject({ ok: true });
    expect(settlementOf(all)).toBe('providerBreach');
    expect(balances(ledger)).toEqual([1100, 900]);
    expect(ledger.send(ada, { type: 'coverage/rule', ...about })).toMatchObject({ code: 'gone' });
    expect(ledger.state.get(keys.reputation(ben.edgeId))).toEqual({ honoured: 0, breached: 1 });
    expect(ledger.state.get(keys.coverageClaim(about.contractId, EPOCH))).toMatchObject({
      ruled: { verdict: 'breach', expected: 300, heard: 161, devices: 1 },
    });
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test('that shows no breach leaves the takeover paid', () => {
    const all = handedBack(285);
    const { ledger, about, claim } = all;
    expect(ledger.send(ada, { type: 'coverage/claim', ...about, claim })).toMatchObject({ ok: true });
    expect(ledger.send(ben, { type: 'coverage/answer', ...about, answer: { closings: [] } })).toMatchObject({
      ok: true,
    });
    expect(ledger.send(ben, { type: 'coverage/rule', ...about })).toMatchObject({ ok: true });
    expect(settlementOf(all)).toBe('honoured');
    expect(balances(ledger)).toEqual([900, 1100]);
  });

  test('is ruled by what the customer shows where the provider is silent until its time is up', () => {
    const all = handedBack(150);
    const { ledger, terms, about, claim } = all;
    ledger.send(ada, { type: 'coverage/claim', ...about, claim });
    ledger.now += terms.coverage.answerWithinMs + 1;
    expect(ledger.send(ben, { type: 'coverage/answer', ...about, answer: { closings: [] } })).toMatchObject({
      code: 'gone',
    });
    // once more: the ledger itself may have been away
    expect(ledger.send(central, { type: 'coverage/rule', ...about })).toMatchObject({ ok: true });
    expect(settlementOf(all)).toBeUndefined();
    expect(ledger.send(ada, { type: 'coverage/rule', ...about })).toMatchObject({ code: 'conflict' });
    ledger.now += terms.coverage.answerWithinMs + 1;
    expect(ledger.send(central, { type: 'coverage/rule', ...about })).toMatchObject({ ok: true });
    expect(settlementOf(all)).toBe('providerBreach');
  });

  test('cannot be voided by another statement, and none is made of what was waived', () => {
    const all = handedBack(150);
    const { ledger, terms, about, claim } = all;
    expect(ledger.send(ben, handback(terms, 299))).toMatchObject({ code: 'conflict' });
    expect(ledger.send(ben, handback(terms, 150))).toMatchObject({ ok: true });
    expect(ledger.send(ben, { type: 'coverage/waive', ...about })).toMatchObject({ code: 'forbidden' });
    expect(ledger.send(ada, { type: 'coverage/waive', ...about })).toMatchObject({ ok: true });
    expect(settlementOf(all)).toBe('honoured');
    expect(ledger.send(ada, { type: 'coverage/claim', ...about, claim })).toMatchObject({ code: 'gone' });
  });

  test('is the customer’s, in time, by marks that both signed, and once', () => {
    const { ledger, terms, about, claim } = handedBack(150);
    const forged = { ...claim, marks: [markOf(terms, {}, ada)] };
    const send = (by: Identity, of: typeof claim = claim) =>
      ledger.send(by, { type: 'coverage/claim', ...about, claim: of });
    expect(send(ben)).toMatchObject({ code: 'forbidden' });
    expect(send(ada, forged)).toMatchObject({ code: 'invalidInput' });
    expect(ledger.send(cleo, { type: 'coverage/rule', ...about })).toMatchObject({ code: 'forbidden' });
    expect(send(ada)).toMatchObject({ ok: true });
    expect(send(ada)).toMatchObject({ code: 'conflict' });
    expect(ledger.send(ada, { type: 'coverage/waive', ...about })).toMatchObject({ code: 'conflict' });
    const answer = { closings: [] };
    expect(ledger.send(ada, { type: 'coverage/answer', ...about, answer })).toMatchObject({
      code: 'forbidden',
    });
  });

  test('that nobody makes in time holds nothing up', () => {
    const all = handedBack(150);
    const { ledger, terms, about, claim } = all;
    expect(ledger.send(ben, { type: 'coverage/rule', ...about })).toMatchObject({ code: 'conflict' });
    ledger.now += terms.coverage.claimWithinMs + 1;
    expect(ledger.send(ada, { type: 'coverage/claim', ...about, claim })).toMatchObject({ code: 'gone' });
    expect(ledger.send(ben, { type: 'coverage/rule', ...about })).toMatchObject({ ok: true });
    expect(settlementOf(all)).toBe('honoured');
  });

  test('is left to a contract that goes on, and ends it where it bears a breach', () => {
    const all = handedBack(150, { activation: { events: ['offline'], takeovers: 2 } });
    const { ledger, about, claim, terms } = all;
    expect(contractOf(ledger, terms.contractId).life.state).toBe('READY_EXPOSED');
    ledger.send(ada, { type: 'coverage/claim', ...about, claim });
    ledger.now = terms.expiresAt;
    expect(ledger.send(central, { type: 'contract/expire', contractId: terms.contractId })).toMatchObject({
      code: 'conflict',
    });
    ledger.now = start + 60_000;
    ledger.send(ben, { type: 'coverage/answer', ...about, answer: { closings: [] } });
    ledger.send(ada, { type: 'coverage/rule', ...about });
    expect(settlementOf(all)).toBe('providerBreach');
  });

  test('is none where the terms say that an outage is only reported', () => {
    const all = handedBack(150, { coverage: {} });
    expect(settlementOf(all)).toBe('honoured');
  });
});
