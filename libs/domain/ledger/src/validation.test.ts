import { describe, expect, test } from '@jest/globals';
import { signDocument } from '@antirio/kernel';
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
  register,
  start,
  readyLedger as readyLedgerOf,
  validation,
  type TestLedger,
} from './machine.fixture.ts';
import { keys } from './records.ts';
import { CANCEL_CONSENT_KIND, TX_KIND, type SignedTx } from './transaction.ts';

const terms = makeTerms(1);
const { contractId } = terms;

const readyLedger = (): TestLedger => readyLedgerOf(terms);

describe('validation', () => {
  const refusal = (send: (ledger: TestLedger) => unknown): unknown => {
    const ledger = createTestLedger();
    register(ledger, ada, ben, cleo);
    const receipt = send(ledger);
    expect(invariantProblems(ledger.state)).toEqual([]);
    expect(balances(ledger)).toEqual([1000, 1000]);
    return receipt;
  };

  test('puts both stakes in escrow and makes the set with the customer at epoch 1', () => {
    const ledger = createTestLedger();
    register(ledger, ada, ben);
    ledger.send(central, validation(terms, ada, ben));
    expect(balances(ledger)).toEqual([900, 900]);
    expect(contractOf(ledger, contractId)).toMatchObject({
      escrow: { customer: 100, provider: 100 },
      life: { state: 'VALIDATED' },
    });
    const slots = { [ada.edgeId]: 0, [ben.edgeId]: 1 };
    expect(ledger.state.get(keys.set('set-1'))).toMatchObject({ epoch: 1, holder: ada.edgeId, slots });
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test('refuses wrong signatures, other arbitrators, expired terms and stakes that are not there', () => {
    expect(refusal((l) => l.send(central, validation(terms, ada, cleo)))).toMatchObject({
      code: 'unauthenticated',
    });
    expect(refusal((l) => l.send(central, validation(terms, cleo, ben)))).toMatchObject({
      code: 'unauthenticated',
    });
    expect(refusal((l) => l.send(ada, validation(terms, ada, ben)))).toMatchObject({ code: 'forbidden' });
    const foreign = makeTerms(1, { central: cleo.edgeId });
    expect(refusal((l) => l.send(central, validation(foreign, ada, ben)))).toMatchObject({
      code: 'forbidden',
    });
    const expired = makeTerms(1, { expiresAt: start });
    expect(refusal((l) => l.send(central, validation(expired, ada, ben)))).toMatchObject({ code: 'gone' });
    const dear = makeTerms(1, { stakes: { customer: 1001, provider: 0 } });
    expect(refusal((l) => l.send(central, validation(dear, ada, ben)))).toMatchObject({ code: 'conflict' });
    const unmatched = makeTerms(1, { matchId: 'ab'.repeat(32) });
    expect(refusal((l) => l.send(central, validation(unmatched, ada, ben)))).toMatchObject({
      code: 'notFound',
    });
  });

  test('refuses a device that another live set has, and frees it when that set has ended', () => {
    const ledger = readyLedger();
    const other = makeTerms(2, { set: { ...terms.set, setId: 'set-2' } });
    expect(ledger.send(central, validation(other, ada, ben))).toMatchObject({ code: 'conflict' });
    const consent = {
      ...signDocument(ben, CANCEL_CONSENT_KIND, { contractId }),
      kind: CANCEL_CONSENT_KIND,
    } as const;
    expect(ledger.send(ada, { type: 'contract/cancel', contractId })).toMatchObject({ code: 'forbidden' });
    expect(ledger.send(ada, { type: 'contract/cancel', contractId, consent })).toMatchObject({ ok: true });
    expect(balances(ledger)).toEqual([1000, 1000]);
    expect(ledger.send(central, validation(other, ada, ben))).toMatchObject({ ok: true });
  });

  test('a second provider joins the set with a slot of its own; a set that lives again goes on from its epoch', () => {
    const ledger = readyLedger();
    const second = makeTerms(2, { set: terms.set, provider: cleo.edgeId });
    expect(ledger.send(central, validation(second, ada, cleo))).toMatchObject({ code: 'conflict' });
    const mended = makeTerms(2, {
      set: terms.set,
      provider: cleo.edgeId,
      slots: { customer: 0, provider: 2 },
    });
    expect(ledger.send(central, validation(mended, ada, cleo))).toMatchObject({
      ok: true,
      result: { epoch: 1 },
    });
    ledger.send(cleo, { type: 'contract/cancel', contractId: mended.contractId });
    const thief = makeTerms(4, { set: { ...terms.set, setId: 'set-4' } });
    expect(ledger.send(central, validation(thief, ada, ben))).toMatchObject({ code: 'conflict' });
    ledger.now = terms.expiresAt;
    expect(ledger.send(central, { type: 'contract/expire', contractId })).toMatchObject({
      ok: true,
      result: { row: 'expired' },
    });
    const again = makeTerms(3, { set: terms.set, expiresAt: ledger.now + 1_000_000 });
    expect(ledger.send(central, validation(again, ada, ben))).toMatchObject({
      ok: true,
      result: { epoch: 2 },
    });
  });
});

describe('a contract of before', () => {
  test('whose terms have nothing of what came later is validated as it was then, and kept as it was signed', () => {
    const later =
      /^(escrow|exposed|yielding|deaf|hearing|activation|flapping|drills|downlinkDrills|coverage|rekey)$/;
    const kept = Object.entries(terms).filter(([name]) => !later.test(name));
    const old = Object.fromEntries(kept) as typeof terms;
    const ledger = createTestLedger();
    register(ledger, ada, ben);
    const payload = validation(old, ada, ben);
    const tx = signDocument(central, TX_KIND, { nonce: '0'.repeat(32), expiryHeight: 100, payload });
    expect(ledger.sendTx(tx as SignedTx).receipt).toMatchObject({ ok: true });
    expect(ledger.state.get(keys.terms(contractId))).toMatchObject({ terms: { ...old } });
    expect(ledger.state.get(keys.terms(contractId))).not.toHaveProperty('terms.drills');
    expect(ledger.send(ben, ready(old))).toMatchObject({ ok: true });
  });
});
