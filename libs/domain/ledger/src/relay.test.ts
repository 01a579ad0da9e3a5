import { describe, expect, test } from '@jest/globals';
import { signDocument } from '@antirio/kernel';
import { KEY_HEADER_KIND } from '@antirio/service-contract';
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
  ringRootOf,
  start,
  take,
  validation,
  type TestLedger,
} from './machine.fixture.ts';
import { keys } from './records.ts';

const kept = { confidentiality: 'relay', disputeS: 3600 } as const;
const terms = makeTerms(1, kept);
const { contractId } = terms;
const NEVER = /never takes over/;
const opened = (ledger: TestLedger, id = contractId) =>
  ledger.send(central, {
    type: 'contract/open',
    contractId: id,
    root: ringRootOf(ben, id, 40),
    keyVersion: 1,
  });

describe('a relay contract', () => {
  test('is READY without keys: the ledger knows of none, also at the end', () => {
    const ledger = readyLedger(terms);
    expect(contractOf(ledger, contractId).life.state).toBe('READY');
    expect(ledger.state.get(keys.keys(contractId))).toBeUndefined();
    ledger.now = terms.expiresAt;
    expect(ledger.send(central, { type: 'contract/expire', contractId })).toMatchObject({ ok: true });
    expect(ledger.state.get(keys.keys(contractId))).toBeUndefined();
    expect(balances(ledger)).toEqual([1000, 1000]);
  });

  test('opens nothing and gives its provider no epoch, whatever the centre submits', () => {
    const ledger = readyLedger(terms);
    ledger.now += 10_000;
    expect(opened(ledger)).toMatchObject({ ok: false, code: 'forbidden', message: NEVER });
    const taken = ledger.send(central, take(ben, terms, 1, { customer: ledger.now - 500 }));
    expect(taken).toMatchObject({ ok: false, code: 'forbidden', message: NEVER });
    expect(contractOf(ledger, contractId)).toMatchObject({ openings: 0, life: { state: 'READY' } });
  });

  test('gives its customer the epoch again that it gave up', () => {
    const ledger = readyLedger(terms);
    const { setId } = terms.set;
    ledger.send(ada, { type: 'epoch/release', setId, epoch: 1, counters: {} });
    expect(ledger.send(central, take(ada, terms, 1))).toMatchObject({ ok: true });
  });

  test('takes no new keys', () => {
    const ledger = readyLedger(terms);
    const body = { contractId, keyVersion: 2, sealed: '0'.repeat(64), part: '0'.repeat(64) };
    const document = signDocument(ada, KEY_HEADER_KIND, { ...body, threshold: 1, shares: [] });
    const header = { ...document, kind: KEY_HEADER_KIND } as const;
    const said = ledger.send(ben, { type: 'contract/rekey', header });
    expect(said).toMatchObject({ ok: false, code: 'conflict', message: NEVER });
  });

  test('pays the rent of READY time only, and both stakes go back', () => {
    const short = { expiresAt: start + 400_000, maxActiveS: 60 };
    const rented = makeTerms(1, { ...kept, ...short, rent: { perHour: 3600 } });
    const ledger = readyLedger(rented);
    ledger.now += 100_000;
    const degraded = { type: 'contract/degrade', contractId, reason: 'silent' } as const;
    expect(ledger.send(ben, { ...degraded, contractId })).toMatchObject({ ok: false });
    ledger.now += 50_000;
    expect(ledger.send(ben, degraded)).toMatchObject({ ok: true });
    ledger.now += 50_000;
    expect(ledger.send(ben, ready(rented))).toMatchObject({ ok: true });
    ledger.now = rented.expiresAt;
    ledger.send(central, { type: 'contract/expire', contractId });
    const { settlement } = contractOf(ledger, contractId);
    const provenMs = (settlement?.rent?.provenMs ?? 0) / 1000;
    // from READY to the end, but for the time in which it heard nothing
    expect(settlement).toMatchObject({ row: 'expired' });
    expect(provenMs).toBe(400 - 1 - 50);
    expect(balances(ledger)).toEqual([1000 - provenMs, 1000 + provenMs]);
  });

  test('has no breach for not taking over', () => {
    const ledger = readyLedger(terms);
    const customerLeaseEndedAt = ledger.now + 1000;
    ledger.now += 10_000_000;
    const evidence = { kind: 'neverTookOver', customerLeaseEndedAt, details: {} } as const;
    const ruling = { row: 'providerBreach', evidence } as const;
    expect(ledger.send(central, { type: 'contract/rule', contractId, ruling })).toMatchObject({ ok: false });
  });

  test('is not validated with what only a provider that takes over can do', () => {
    const ledger = createTestLedger();
    register(ledger, ada, ben);
    const drilled = makeTerms(1, { ...kept, coverage: { breach: 'ruled' } });
    expect(ledger.send(central, validation(drilled, ada, ben))).toMatchObject({ code: 'invalidInput' });
  });

  test('stands beside another of its set, whose provider is given the epoch', () => {
    const ledger = readyLedger(terms);
    const { set } = terms;
    const full = makeTerms(2, {
      set,
      provider: cleo.edgeId,
      slots: { customer: 0, provider: 2 },
      disputeS: 3600,
    });
    expect(ledger.send(central, validation(full, ada, cleo))).toMatchObject({ ok: true });
    ledger.now += 1000;
    expect(ledger.send(cleo, ready(full))).toMatchObject({ ok: true });
    ledger.now += 1000;
    const taken = ledger.send(central, take(cleo, full, 1, { customer: ledger.now - 500 }));
    expect(taken).toMatchObject({ ok: true });
  });

  test('of before, without a time for disputes, opens as it did', () => {
    const old = makeTerms(1, { confidentiality: 'relay' });
    const ledger = readyLedger(old);
    ledger.now += 10_000;
    expect(opened(ledger, old.contractId)).toMatchObject({ ok: true });
  });
});
