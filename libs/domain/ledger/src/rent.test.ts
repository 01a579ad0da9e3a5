import { describe, expect, test } from '@jest/globals';
import { signDocument } from '@antirio/kernel';
import { contractTerms, prepaidRent, rentFor, type ContractTerms } from '@antirio/service-contract';
import { invariantProblems } from './invariants.ts';
import {
  ada,
  balances,
  ben,
  central,
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
import { RENT_DOUBT_EVERY_MS } from './rent-doubts.ts';
import { RENT_ANSWER_MS, rentEarned, rentSoFar } from './rent.ts';
import { CANCEL_CONSENT_KIND } from './transaction.ts';

const HOUR_MS = 3_600_000;
/** A unit each second, so that seconds are money: an hour and a minute of service at the most are 3660. */
const terms = withRent({});
const { contractId, takeoverSlaMs } = terms;
const R = 660;

function withRent(changes: object): ContractTerms {
  return makeTerms(1, {
    ...{ rent: { perHour: 3600 }, stakes: { customer: 100, provider: 100 } },
    ...{ expiresAt: start + 600_000, maxActiveS: 60, hearing: { silentMs: 1000 }, ...changes },
  });
}

const send = (ledger: TestLedger, request: Request, by = central) => {
  const receipt = ledger.send(by, request);
  expect(invariantProblems(ledger.state)).toEqual([]);
  return receipt;
};
const rule = (ledger: TestLedger, ruling: Extract<Request, { type: 'contract/rule' }>['ruling']) =>
  send(ledger, { type: 'contract/rule', contractId, ruling });
const earned = (ledger: TestLedger): number =>
  rentEarned(contractOf(ledger, contractId), terms, ledger.now).earned;
/** Both stakes and the rent as they went in, with what the rent makes different in the end. */
function expectPaid(ledger: TestLedger, customer: number, provider: number, rent: number): void {
  expect(balances(ledger)).toEqual([customer, provider]);
  expect(customer + provider).toBe(2000);
  expect(contractOf(ledger, contractId).settlement?.rent).toMatchObject({ prepaid: R, paid: rent });
}

describe('rent in advance', () => {
  test('is in escrow from the validation to the end of the contract, and for as long as it may be served', () => {
    const ledger = createTestLedger();
    register(ledger, ada, ben);
    send(ledger, validation(terms, ada, ben));
    expect(contractOf(ledger, contractId).escrow).toEqual({ customer: 100, provider: 100, rent: R });
    expect(balances(ledger)).toEqual([1000 - 100 - R, 900]);
  });

  test('is refused by name where the customer’s account does not cover it, or no escrow could', () => {
    const ledger = createTestLedger();
    register(ledger, ada, ben);
    const dear = withRent({ rent: { perHour: 3600 * 2 } });
    expect(send(ledger, validation(dear, ada, ben))).toMatchObject({
      ...{ code: 'conflict', message: 'the customer cannot pay its stake and 1320 of rent in advance' },
    });
    const long = withRent({ rent: { perHour: 1_000_000_000 }, expiresAt: start + 2000 * HOUR_MS });
    expect(send(ledger, validation(long, ada, ben))).toMatchObject({ code: 'invalidInput' });
  });

  test('is a whole number an hour, at least 1, and in no terms that have none', () => {
    for (const perHour of [0, -1, 0.5, 1_000_000_001, '1'])
      expect(contractTerms.safeParse({ ...terms, rent: { perHour } }).success).toBe(false);
    expect(makeTerms(1)).not.toHaveProperty('rent');
    expect(contractOf(readyLedger(makeTerms(1)), contractId)).not.toHaveProperty('rent');
    expect(prepaidRent(makeTerms(1), start)).toBe(0);
  });

  test('is rounded up, and what is earned of it down', () => {
    expect(rentFor(1, HOUR_MS - 1)).toBe(0);
    expect(rentFor(1_000_000_000, 2 ** 40)).toBe(Number((10n ** 9n * 2n ** 40n) / 3_600_000n));
    expect(prepaidRent({ rent: { perHour: 1 }, expiresAt: start, maxActiveS: 60 }, start)).toBe(1);
  });
});

describe('time that is paid for', () => {
  test('begins with READY, ends with DEGRADED, and goes on when the provider hears again', () => {
    const ledger = readyLedger(terms);
    ledger.now += 10_000;
    expect(earned(ledger)).toBe(10);
    send(ledger, { type: 'contract/degrade', contractId, reason: 'silent' }, ben);
    ledger.now += 50_000;
    expect(earned(ledger)).toBe(10);
    send(ledger, ready(terms), ben);
    ledger.now += 5999;
    expect(earned(ledger)).toBe(15);
  });

  test('is that of serving too, for as long as an activation may last, and not that of the way back', () => {
    const ledger = readyLedger(terms);
    ledger.now += 10_000;
    send(ledger, take(ben, terms, 1, { customer: ledger.now }));
    ledger.now += 20_000;
    expect(earned(ledger)).toBe(30);
    ledger.now += 200_000;
    expect(earned(ledger)).toBe(70);
    send(ledger, { type: 'epoch/release', setId: terms.set.setId, epoch: 2, counters: {} }, ben);
    ledger.now += 100_000;
    expect(earned(ledger)).toBe(70);
  });

  test('ends with the contract, but for who serves then', () => {
    const ledger = readyLedger(terms);
    ledger.now = terms.expiresAt + 500_000;
    expect(earned(ledger)).toBe(599);
    const late = readyLedger(terms);
    late.now = terms.expiresAt - 1;
    send(late, take(ben, terms, 1, { customer: late.now }));
    late.now += 500_000;
    expect(earned(late)).toBe(598 + 60);
  });

  test('is remembered as long as a provider goes in and out', () => {
    const ledger = readyLedger(terms);
    for (let i = 0; i < 100; i++) {
      ledger.now += 1000;
      send(ledger, { type: 'contract/degrade', contractId, reason: 'silent' }, ben);
      ledger.now += 1000;
      send(ledger, ready(terms), ben);
    }
    expect(earned(ledger)).toBe(100);
    expect(contractOf(ledger, contractId).rent?.stood.length).toBeLessThanOrEqual(64);
    const contract = contractOf(ledger, contractId);
    const at = (ms: number) => rentEarned(contract, terms, ledger.now, start + 1000 + ms).earned;
    expect(at(150_000)).toBe(75);
    expect(at(10_000)).toBeLessThanOrEqual(10);
  });
});

describe('a provider that its customer does not hear', () => {
  const doubt = (ledger: TestLedger, by = ada) => send(ledger, { type: 'rent/doubt', contractId }, by);
  const answer = (ledger: TestLedger, by = ben) => send(ledger, { type: 'rent/answer', contractId }, by);

  test('loses nothing where it says in its time that it is there, and is not asked again at once', () => {
    const ledger = readyLedger(terms);
    ledger.now += 10_000;
    expect(doubt(ledger, ben)).toMatchObject({ code: 'forbidden' });
    expect(doubt(ledger)).toMatchObject({ ok: true });
    expect(doubt(ledger)).toMatchObject({ ok: true });
    ledger.now += RENT_ANSWER_MS;
    expect(answer(ledger, ada)).toMatchObject({ code: 'forbidden' });
    expect(answer(ledger)).toMatchObject({ ok: true, result: { isLate: false } });
    expect(answer(ledger)).toMatchObject({ ok: true });
    ledger.now += 1000;
    expect(earned(ledger)).toBe(131);
    expect(doubt(ledger)).toMatchObject({ code: 'busy' });
    ledger.now += RENT_DOUBT_EVERY_MS;
    expect(doubt(ledger)).toMatchObject({ ok: true });
  });

  test('is paid for nothing from then on until it says so', () => {
    const ledger = readyLedger(terms);
    ledger.now += 10_000;
    doubt(ledger);
    const doubtedAt = ledger.now;
    ledger.now += RENT_ANSWER_MS;
    const shown = rentSoFar(contractOf(ledger, contractId), terms, ledger.now);
    expect(shown).toEqual({ prepaid: R, earned: 130, provenMs: 130_000, doubtedAt });
    expect(earned(ledger)).toBe(130);
    ledger.now += 100_000;
    expect(earned(ledger)).toBe(10);
    expect(answer(ledger)).toMatchObject({ ok: true, result: { isLate: true } });
    ledger.now += 7000;
    expect(earned(ledger)).toBe(17);
  });

  test('and that never answers is paid until then, however the contract ends', () => {
    const ledger = readyLedger(terms);
    ledger.now += 10_000;
    doubt(ledger);
    ledger.now = terms.expiresAt;
    send(ledger, { type: 'contract/expire', contractId });
    expectPaid(ledger, 990, 1010, 10);
    const shown = rentSoFar(contractOf(ledger, contractId), terms, ledger.now);
    expect(shown).toEqual({ prepaid: R, earned: 10, provenMs: 10_000 });
  });

  test('answers by taking over: what was before that is not paid, what it serves is', () => {
    const ledger = readyLedger(terms);
    ledger.now += 10_000;
    doubt(ledger);
    ledger.now += 200_000;
    send(ledger, take(ben, terms, 1, { customer: ledger.now }));
    ledger.now += 5000;
    expect(earned(ledger)).toBe(15);
    expect(doubt(ledger)).toMatchObject({ code: 'conflict' });
  });

  test('is not asked where there is no rent', () => {
    expect(doubt(readyLedger(makeTerms(1)))).toMatchObject({ code: 'conflict' });
  });
});

/** After 30 s of standing by and 20 s of service the customer has its sensors back. */
function servedLedger(): TestLedger {
  const ledger = readyLedger(terms);
  ledger.now += 30_000;
  send(ledger, take(ben, terms, 1, { customer: ledger.now }));
  ledger.now += 20_000;
  send(ledger, { type: 'epoch/release', setId: terms.set.setId, epoch: 2, counters: {} }, ben);
  send(ledger, take(ada, terms, 2));
  return ledger;
}

describe('what becomes of the rent', () => {
  test('cancelled: it is the customer’s', () => {
    const ledger = readyLedger(terms);
    ledger.now += 100_000;
    const document = signDocument(ben, CANCEL_CONSENT_KIND, { contractId });
    const consent = { ...document, kind: CANCEL_CONSENT_KIND } as const;
    send(ledger, { type: 'contract/cancel', contractId, consent }, ada);
    expectPaid(ledger, 1000, 1000, 0);
  });

  test('expired without activation: the provider’s for the time it stood by', () => {
    const ledger = readyLedger(terms);
    ledger.now += 99_000;
    send(ledger, { type: 'contract/degrade', contractId, reason: 'silent' }, ben);
    ledger.now = terms.expiresAt;
    send(ledger, { type: 'contract/expire', contractId });
    expectPaid(ledger, 901, 1099, 99);
  });

  test('honoured: on top of P', () => {
    const ledger = returnedLedger(terms);
    ledger.now += 77_000;
    send(ledger, statement(terms, 2, 50), ben);
    send(ledger, statement(terms, 2, 50), ada);
    // 10 s READY; it gave back at once
    expectPaid(ledger, 890, 1110, 10);
  });

  test('a breach of the provider’s: until then', () => {
    const ledger = readyLedger(terms);
    const customerLeaseEndedAt = ledger.now + 40_000;
    ledger.now = customerLeaseEndedAt + takeoverSlaMs + 1;
    rule(ledger, { row: 'providerBreach', evidence: { kind: 'neverTookOver', customerLeaseEndedAt } });
    expectPaid(ledger, 1060, 940, 40);
  });

  test('a breach by a false word on its ring: until the outage that it was for', () => {
    const ledger = servedLedger();
    send(ledger, statement(terms, 2, 39), ben);
    const root = ringRootOf(ben, contractId, 40);
    rule(ledger, { row: 'providerBreach', evidence: { kind: 'statementBelowRoot', root } });
    expectPaid(ledger, 1070, 930, 30);
  });

  test('undecided: the provider’s for the time it stood by and served', () => {
    const ledger = servedLedger();
    send(ledger, statement(terms, 2, 50), ben);
    send(ledger, statement(terms, 2, 50, 2), ada);
    ledger.now += 90_000;
    rule(ledger, { row: 'undecided', reason: 'no evidence' });
    expectPaid(ledger, 950, 1050, 50);
  });

  test('who read without the grantor’s epoch has its rent, and no payment', () => {
    const own = withRent({ opening: 'autonomous' });
    const ledger = readyLedger(own);
    const root = ringRootOf(ben, contractId, 4);
    send(ledger, { type: 'contract/open', contractId, root, keyVersion: 1 });
    ledger.now += 60_000;
    send(ledger, statement(own, 0, 4), ben);
    send(ledger, statement(own, 0, 4), ada);
    ledger.now = own.expiresAt;
    send(ledger, { type: 'contract/expire', contractId });
    expectPaid(ledger, 1000 - 599, 1000 + 599, 599);
  });

  test('what an account cannot hold any more is never paid: R bounds what is earned', () => {
    const contract = contractOf(readyLedger(terms), contractId);
    const long = { ...contract, rent: { stood: [{ from: 0, until: start, ms: start }] } };
    expect(rentEarned(long, terms, start).earned).toBe(R);
  });
});
