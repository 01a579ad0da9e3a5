import { describe, expect, test } from '@jest/globals';
import {
  ada,
  ben,
  central,
  cleo,
  contractOf,
  makeTerms,
  ready,
  ringRootOf,
  statement,
  take,
  readyLedger as readyLedgerOf,
  validation,
  type TestLedger,
} from './machine.fixture.ts';
import { SILENCE_MS } from './settlement.ts';

const terms = makeTerms(1);
const { contractId } = terms;

const readyLedger = (): TestLedger => readyLedgerOf(terms);

describe('epochs', () => {
  test('are taken by compare-and-set: of two takers one wins', () => {
    const ledger = readyLedger();
    const second = makeTerms(2, {
      set: terms.set,
      provider: cleo.edgeId,
      slots: { customer: 0, provider: 2 },
    });
    ledger.send(central, validation(second, ada, cleo));
    ledger.send(cleo, ready(second));
    ledger.now += 5000;
    const lease = { customer: ledger.now - 1 };
    expect(ledger.send(central, take(cleo, second, 1, lease))).toMatchObject({
      ok: true,
      result: { epoch: 2 },
    });
    const late = { customer: ledger.now, holder: ledger.now };
    const lost = ledger.send(central, take(ben, terms, 1, late));
    expect(lost).toMatchObject({ code: 'conflict', message: 'the set is at epoch 2, not 1' });
    expect(ledger.send(central, take(ben, terms, 2, late))).toMatchObject({ ok: true, result: { epoch: 3 } });
    expect(contractOf(ledger, second.contractId).life.state).toBe('RETURNING');
  });

  test('a takeover from another provider is owed only where the customer’s own lease had ended', () => {
    const ledger = readyLedger();
    const second = makeTerms(2, {
      set: terms.set,
      provider: cleo.edgeId,
      slots: { customer: 0, provider: 2 },
    });
    ledger.send(central, validation(second, ada, cleo));
    ledger.send(cleo, ready(second));
    ledger.now += 5000;
    ledger.send(central, take(ben, terms, 1, { customer: ledger.now }));
    ledger.send(ben, { type: 'epoch/release', setId: 'set-1', epoch: 2, counters: {} });
    expect(ledger.send(central, take(cleo, second, 2)).ok).toBe(true);
    expect(contractOf(ledger, second.contractId).activation).toMatchObject({ owed: false });
    ledger.send(cleo, { type: 'epoch/release', setId: 'set-1', epoch: 3, counters: {} });
    ledger.send(ada, statement(second, 3, 9));
    expect(ledger.send(cleo, statement(second, 3, 9))).toMatchObject({ ok: true, result: { agreed: true } });
    expect(contractOf(ledger, second.contractId)).toMatchObject({
      life: { state: 'READY_EXPOSED' },
      escrow: { customer: 100, provider: 100 },
    });
  });

  test('are given by the central arbitrator only, on a request that the taker signed, and never during a lease', () => {
    const ledger = readyLedger();
    const lease = { customer: ledger.now - 1 };
    expect(ledger.send(ben, take(ben, terms, 1, lease))).toMatchObject({ code: 'forbidden' });
    expect(ledger.send(central, take(ben, terms, 1))).toMatchObject({ code: 'conflict' });
    expect(ledger.send(central, take(ben, terms, 1, { customer: ledger.now + 1 }))).toMatchObject({
      code: 'conflict',
    });
    expect(ledger.send(central, take(cleo, terms, 1, lease))).toMatchObject({ code: 'forbidden' });
    const request = take(ben, terms, 1, lease);
    if (request.type !== 'epoch/take') throw new TypeError('not a take');
    const forged = { ...request, request: { ...request.request, by: ada.edgeId } };
    expect(ledger.send(central, forged)).toMatchObject({ code: 'unauthenticated' });
  });

  test('are released by their holder only, once, and B may take over again before A has it back', () => {
    const ledger = readyLedger();
    const release = (epoch: number) =>
      ({ type: 'epoch/release', setId: 'set-1', epoch, counters: {} }) as const;
    expect(ledger.send(ben, release(1))).toMatchObject({ code: 'forbidden' });
    ledger.send(central, take(ben, terms, 1, { customer: ledger.now }));
    expect(ledger.send(ben, release(1))).toMatchObject({ code: 'conflict' });
    expect(ledger.send(ben, release(2)).ok).toBe(true);
    expect(ledger.send(ben, release(2))).toMatchObject({ code: 'conflict' });
    expect(ledger.send(central, take(ben, terms, 2))).toMatchObject({ ok: true, result: { epoch: 3 } });
    expect(contractOf(ledger, contractId)).toMatchObject({
      life: { state: 'ACTIVE', epoch: 3 },
      activation: { owed: true },
    });
  });

  test('left behind by a contract that is over go back to its customer, and to nobody else', () => {
    const ledger = readyLedger();
    ledger.now += 5000;
    ledger.send(central, take(ben, terms, 1, { customer: ledger.now }));
    ledger.send(ben, { type: 'epoch/release', setId: 'set-1', epoch: 2, counters: {} });
    ledger.send(ben, statement(terms, 2, 50));
    ledger.now += SILENCE_MS;
    ledger.send(ben, { type: 'contract/close', contractId });
    const ended = contractOf(ledger, contractId);
    expect(ended.life.state).toBe('SETTLED');
    expect(ledger.send(central, take(ben, terms, 2))).toMatchObject({ code: 'gone' });
    expect(ledger.send(central, take(ada, terms, 2))).toMatchObject({ ok: true, result: { epoch: 3 } });
    expect(contractOf(ledger, contractId)).toEqual(ended);
  });

  test('opening needs a ring root that the provider signed', () => {
    const ledger = readyLedger();
    const open = (root: ReturnType<typeof ringRootOf>, by = central) =>
      ledger.send(by, { type: 'contract/open', contractId, root, keyVersion: 1 });
    expect(open(ringRootOf(ada, contractId, 9))).toMatchObject({ code: 'unauthenticated' });
    expect(open(ringRootOf(ben, makeTerms(7).contractId, 9))).toMatchObject({ code: 'unauthenticated' });
    expect(open(ringRootOf(ben, contractId, 9), ben)).toMatchObject({ code: 'forbidden' });
    expect(open(ringRootOf(ben, contractId, 9))).toMatchObject({ ok: true });
  });
});
