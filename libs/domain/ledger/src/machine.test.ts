import { describe, expect, test } from '@jest/globals';
import { ada, balances, ben, counting, createTestLedger, register } from './machine.fixture.ts';
import { keys } from './records.ts';
import { signTx } from './transaction.ts';

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
