import { describe, expect, test } from '@jest/globals';
import { signDocument } from '@antirio/kernel';
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
  counting,
  createTestLedger,
  makeTerms,
  ready,
  register,
  ringRootOf,
  start,
  statement,
  take,
  readyLedger as readyLedgerOf,
  returnedLedger as returnedLedgerOf,
  validation,
  type TestLedger,
} from './machine.fixture.ts';
import { keys } from './records.ts';
import { CANCEL_CONSENT_KIND, TX_KIND, signTx, type SignedTx } from './transaction.ts';
import { SILENCE_MS } from './settlement.ts';

const terms = makeTerms(1);
const { contractId } = terms;

const readyLedger = (): TestLedger => readyLedgerOf(terms);
/** B took over and gave back. */
const returnedLedger = (): TestLedger => returnedLedgerOf(terms);

describe('transactions', () => {
  test('one that comes again changes nothing and gets its first receipt', () => {
    const ledger = createTestLedger();
    register(ledger, ada, ben);
    const tx = signTx(ada, counting, 100, { type: 'account/transfer', to: ben.edgeId, amount: 10 });
    const first = ledger.sendTx(tx);
    const again = ledger.sendTx(tx);
    expect(again.receipt).toEqual(first.receipt);
    expect(again.writes).toEqual([]);
    expect(balances(ledger)).toEqual([990, 1010]);
  });

  test('one that was changed after signing, has expired or is of a stranger leaves no trace', () => {
    const ledger = createTestLedger();
    register(ledger, ada);
    const tx = signTx(ada, counting, 100, { type: 'account/transfer', to: ben.edgeId, amount: 10 });
    const forged = { ...tx, body: { ...tx.body, expiryHeight: 99 } };
    const expired = signTx(ada, counting, 0, { type: 'account/transfer', to: ben.edgeId, amount: 10 });
    const stranger = signTx(ben, counting, 100, { type: 'account/transfer', to: ada.edgeId, amount: 10 });
    for (const bad of [forged, expired, stranger]) {
      const { receipt, writes } = ledger.sendTx(bad);
      expect(receipt.ok).toBe(false);
      expect(writes).toEqual([]);
    }
  });

  test('a refusal moves nothing but is remembered', () => {
    const ledger = createTestLedger();
    register(ledger, ada, ben);
    const receipt = ledger.send(ada, { type: 'account/transfer', to: ben.edgeId, amount: 5000 });
    expect(receipt).toMatchObject({ ok: false, code: 'conflict' });
    expect(balances(ledger)).toEqual([1000, 1000]);
    expect(ledger.state.get(keys.transaction(receipt.txId))).toMatchObject({ receipt });
  });

  test('a seal key that another edge signed is refused', () => {
    const ledger = createTestLedger();
    const addresses = { url: 'http://h:1', udp: { host: 'h', port: 1 } };
    const sealKey = { ...ben.sealKey, edgeId: ada.edgeId };
    expect(ledger.send(ada, { type: 'identity/register', name: 'a', sealKey, addresses })).toMatchObject({
      code: 'forbidden',
    });
  });
});

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
