import { beforeEach, describe, expect, test } from '@jest/globals';
import { generateIdentity, openIdentity } from '@antirio/kernel';
import { invariantProblems } from './invariants.ts';
import {
  ada,
  balances,
  ben,
  central,
  cleo,
  contractOf,
  createTestLedger,
  makeTerms,
  ready,
  readyLedger,
  register,
  returnedLedger,
  ringRootOf,
  start,
  statement,
  take,
  validation,
  type Request,
  type TestLedger,
} from './machine.fixture.ts';
import { keys, type SpeakerRecord } from './records.ts';

const terms = makeTerms(1);
const { contractId } = terms;
const HOUR = 3_600_000;
const stranger = openIdentity(generateIdentity());

const appoint = (changes: object = {}): Request => ({
  type: 'speaker/appoint',
  speaker: cleo.edgeId,
  acts: ['cancel', 'expire', 'coverage', 'roots'],
  silentMs: HOUR,
  until: start + 90 * 24 * HOUR,
  ...changes,
});
const speak = (act: object, edge = ada.edgeId): Request =>
  ({ type: 'speaker/speak', edge, act: { contractId, ...act } }) as unknown as Request;
const cancel = speak({ type: 'contract/cancel' });
const expire = speak({ type: 'contract/expire' });

const recordOf = (ledger: TestLedger): SpeakerRecord | undefined =>
  ledger.state.get(keys.speaker(ada.edgeId)) as SpeakerRecord | undefined;

/** Validated, never READY, and its customer has been silent for as long as it said. */
let ledger: TestLedger;
beforeEach(() => {
  ledger = createTestLedger();
  register(ledger, ada, ben, cleo);
  ledger.send(central, validation(terms, ada, ben));
  expect(ledger.send(ada, appoint())).toMatchObject({ ok: true });
  ledger.now += HOUR;
});

describe('who speaks for an edge', () => {
  test('cancels in its place what never became READY: each has its stake back', () => {
    expect(ledger.send(cleo, cancel)).toMatchObject({ ok: true, result: { row: 'cancelled' } });
    expect(balances(ledger)).toEqual([1000, 1000]);
    expect(contractOf(ledger, contractId)).toMatchObject({ life: { state: 'CANCELLED' } });
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test('is the one that it appointed, for what it appointed it, as long as that stands', () => {
    expect(ledger.send(stranger, cancel)).toMatchObject({ code: 'unauthenticated' });
    expect(ledger.send(ben, cancel)).toMatchObject({ code: 'forbidden' });
    expect(ledger.send(cleo, speak({ type: 'contract/cancel' }, ben.edgeId))).toMatchObject({
      code: 'forbidden',
      message: 'the edge has not appointed the signer',
    });
    ledger.send(ada, appoint({ acts: ['roots'], until: ledger.now + 2 * HOUR }));
    ledger.now += HOUR;
    expect(ledger.send(cleo, cancel)).toMatchObject({
      code: 'forbidden',
      message: 'the signer is not appointed to: cancel',
    });
    ledger.send(ada, appoint({ until: ledger.now + HOUR }));
    ledger.now += HOUR;
    expect(ledger.send(cleo, cancel)).toMatchObject({ code: 'gone' });
    expect(balances(ledger)).toEqual([900, 900]);
  });

  test('keeps silent while the edge speaks: whatever that signs counts, and what it is given', () => {
    ledger.now -= 1;
    const early = { code: 'conflict', message: 'the edge has spoken itself since' };
    expect(ledger.send(cleo, cancel)).toMatchObject(early);
    ledger.now += 1;
    // a refusal is its word as well
    expect(ledger.send(ada, { type: 'order/withdraw', orderId: 'ab'.repeat(32) })).toMatchObject({
      code: 'notFound',
    });
    expect(ledger.send(cleo, cancel)).toMatchObject(early);
    ledger.now += HOUR;
    ledger.send(central, take(ada, terms, 1, { customer: ledger.now - 10 }));
    expect(ledger.send(cleo, cancel)).toMatchObject(early);
    ledger.now += HOUR;
    // nobody else makes it alive
    expect(ledger.send(ben, take(ada, terms, 2, { customer: ledger.now - 10 }))).toMatchObject({
      code: 'forbidden',
    });
    expect(ledger.send(cleo, cancel)).toMatchObject({ ok: true });
  });

  test('is dismissed by the edge, and another one takes its place', () => {
    expect(ledger.send(ben, { type: 'speaker/dismiss' })).toMatchObject({ code: 'notFound' });
    expect(ledger.send(ada, { type: 'speaker/dismiss' })).toMatchObject({ ok: true });
    expect(recordOf(ledger)).toBeUndefined();
    ledger.now += HOUR;
    expect(ledger.send(cleo, cancel)).toMatchObject({ code: 'forbidden' });
    register(ledger, stranger);
    ledger.send(ada, appoint({ speaker: stranger.edgeId }));
    ledger.now += HOUR;
    expect(ledger.send(cleo, cancel)).toMatchObject({ code: 'forbidden' });
    expect(ledger.send(stranger, cancel)).toMatchObject({ ok: true });
  });

  test('may say no more than the edge itself', () => {
    expect(ledger.send(cleo, expire)).toMatchObject({ code: 'conflict' });
    expect(ledger.send(ben, ready(terms))).toMatchObject({ ok: true });
    expect(ledger.send(cleo, cancel)).toMatchObject({ code: 'forbidden' });
    const others = speak({ contractId: makeTerms(2).contractId, type: 'contract/expire' });
    expect(ledger.send(cleo, others)).toMatchObject({ code: 'notFound' });
    ledger.now = terms.expiresAt + terms.takeoverSlaMs + 60_000;
    expect(ledger.send(cleo, expire)).toMatchObject({ ok: true, result: { row: 'expired' } });
    expect(balances(ledger)).toEqual([1000, 1000]);
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test('is not the other party of the contract, nor does it speak of contracts of others', () => {
    ledger.send(ada, appoint({ speaker: ben.edgeId }));
    ledger.now += HOUR;
    expect(ledger.send(ben, cancel)).toMatchObject({
      code: 'forbidden',
      message: 'a party does not speak for the other one',
    });
    register(ledger, stranger);
    ledger.send(stranger, appoint());
    ledger.now += HOUR;
    expect(ledger.send(cleo, speak({ type: 'contract/cancel' }, stranger.edgeId))).toMatchObject({
      code: 'forbidden',
      message: 'the contract is of others',
    });
  });
});

test('who rules cannot lend its own voice', () => {
  ledger.send(central, appoint());
  ledger.now = terms.expiresAt;
  expect(ledger.send(cleo, speak({ type: 'contract/expire' }, central.edgeId))).toMatchObject({
    code: 'forbidden',
    message: 'the contract is of others',
  });
});

describe('an appointment', () => {
  test('is renewed by the same word, and never moves what the edge has said before it', () => {
    const before = recordOf(ledger);
    ledger.send(ada, appoint());
    expect(recordOf(ledger)).toEqual({ ...before, heardAt: ledger.now });
  });

  test('names a registered edge that is neither itself nor the arbitrator, for a bounded time', () => {
    for (const [bad, code] of [
      [{ speaker: ada.edgeId }, 'invalidInput'],
      [{ speaker: central.edgeId }, 'forbidden'],
      [{ speaker: stranger.edgeId }, 'notFound'],
      [{ until: ledger.now }, 'invalidInput'],
      [{ until: ledger.now + 401 * 24 * HOUR }, 'invalidInput'],
    ] as const)
      expect([bad, ledger.send(ada, appoint(bad))]).toMatchObject([bad, { ok: false, code }]);
    for (const bad of [
      { acts: [] },
      { acts: ['statement'] },
      { acts: ['cancel', 'cancel'] },
      { silentMs: 9999 },
    ])
      expect(() => ledger.send(ada, appoint(bad))).toThrow();
    const consent = { kind: 'antirio/cancel-consent/1', by: ben.edgeId, body: { contractId } };
    expect(() => ledger.send(cleo, speak({ type: 'contract/cancel', consent }))).toThrow();
    expect(() => ledger.send(cleo, speak({ type: 'contract/statement' }))).toThrow();
  });
});

describe('a customer that is gone for good', () => {
  const roots = [ringRootOf(ben, contractId, 40), ringRootOf(ben, contractId, 40, 39)] as const;
  const breach: Request = {
    type: 'contract/rule',
    contractId,
    ruling: { row: 'providerBreach', evidence: { kind: 'contradictingRoots', roots: [...roots] } },
  };

  /** Its provider took over, and let go again; nobody is there to take the set back. */
  function abandoned(appoints: boolean): TestLedger {
    const one = readyLedger(terms);
    if (appoints) one.send(ada, appoint());
    one.now += HOUR;
    one.send(central, take(ben, terms, 1, { customer: one.now - 500 }));
    expect(one.send(central, breach)).toMatchObject({ code: 'conflict' });
    const released = one.send(ben, {
      type: 'epoch/release',
      setId: terms.set.setId,
      epoch: 2,
      counters: {},
    });
    expect(released).toMatchObject({ ok: true });
    one.send(ben, statement(terms, 2, 50));
    return one;
  }

  test('has its provider’s breach ruled where somebody speaks for it, as soon as that one has let go', () => {
    const one = abandoned(true);
    expect(one.send(central, breach)).toMatchObject({ ok: true, result: { row: 'providerBreach' } });
    expect(balances(one)).toEqual([1100, 900]);
    expect(invariantProblems(one.state)).toEqual([]);
  });

  test('without a speaker, or with one that it does not need, waits for its return as ever', () => {
    expect(abandoned(false).send(central, breach)).toMatchObject({ code: 'conflict' });
    const alive = abandoned(true);
    alive.send(ada, appoint());
    expect(alive.send(central, breach)).toMatchObject({ code: 'conflict' });
  });
});

test('a claim of what was heard is ruled though its customer was lost after it', () => {
  const claims = makeTerms(1, { coverage: { breach: 'ruled', claimWithinMs: 2 * HOUR } });
  const one = returnedLedger(claims);
  one.send(ada, appoint());
  one.send(ben, statement(claims, 2, 50));
  one.send(ada, statement(claims, 2, 50));
  one.now += HOUR;
  const rule = speak({ type: 'coverage/rule', epoch: 2 });
  expect(one.send(cleo, rule)).toMatchObject({ code: 'conflict', message: 'the customer may still claim' });
  one.now += 2 * HOUR;
  expect(one.send(cleo, rule)).toMatchObject({ ok: true, result: { row: 'honoured' } });
  expect(balances(one)).toEqual([900, 1100]);
});
