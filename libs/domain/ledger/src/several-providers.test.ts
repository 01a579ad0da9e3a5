import { describe, expect, test } from '@jest/globals';
import {
  ada,
  ben,
  central,
  cleo,
  contractOf,
  createTestLedger,
  makeTerms,
  ready,
  register,
  statement,
  take,
  validation,
  type TestLedger,
} from './machine.fixture.ts';

const terms = makeTerms(1);

const second = makeTerms(2, { set: terms.set, provider: cleo.edgeId, slots: { customer: 0, provider: 2 } });

function firstReady(): TestLedger {
  const ledger = createTestLedger();
  register(ledger, ada, ben, cleo);
  ledger.send(central, validation(terms, ada, ben));
  ledger.send(ben, ready(terms));
  return ledger;
}

function bothReady(): TestLedger {
  const ledger = firstReady();
  ledger.send(central, validation(second, ada, cleo));
  ledger.send(cleo, ready(second));
  ledger.now += 60_000;
  return ledger;
}

describe('a set with two providers', () => {
  test('has one lease for all of its contracts', () => {
    const ledger = firstReady();
    const other = { ...second, leaseMs: 5000 };
    expect(ledger.send(central, validation(other, ada, cleo))).toMatchObject({
      code: 'conflict',
      message: "the set's live contracts have leases of 3000 ms",
    });
    expect(ledger.send(central, validation(second, ada, cleo)).ok).toBe(true);
  });

  test('gives no slot twice, whichever contract asks for it', () => {
    const ledger = firstReady();
    const same = { ...second, slots: { customer: 0, provider: 1 } };
    expect(ledger.send(central, validation(same, ada, cleo))).toMatchObject({
      message: "slot 1 is another party's",
    });
    const moved = { ...second, slots: { customer: 3, provider: 2 } };
    expect(ledger.send(central, validation(moved, ada, cleo))).toMatchObject({
      message: "a party's slot is fixed: 0",
    });
  });

  test('goes from a provider that died to the next one, which is owed as the first is; each states its own epoch', () => {
    const ledger = bothReady();
    ledger.send(central, take(ben, terms, 1, { customer: ledger.now }));
    ledger.now += 5000;
    expect(ledger.send(central, take(cleo, second, 2)).ok).toBe(false);
    expect(ledger.send(central, take(cleo, second, 2, { holder: ledger.now })).ok).toBe(true);
    expect(contractOf(ledger, terms.contractId).life).toMatchObject({ state: 'RETURNING', epoch: 2 });
    expect(contractOf(ledger, second.contractId)).toMatchObject({
      life: { state: 'ACTIVE', epoch: 3 },
      activation: { epoch: 3, owed: true },
    });
    // the customer takes it back under the contract of the one that holds it
    ledger.send(cleo, { type: 'epoch/release', setId: 'set-1', epoch: 3, counters: {} });
    expect(ledger.send(central, take(ada, second, 3)).ok).toBe(true);
    for (const [contract, provider, epoch] of [
      [terms, ben, 2],
      [second, cleo, 3],
    ] as const) {
      ledger.send(provider, statement(contract, epoch, 9));
      ledger.send(ada, statement(contract, epoch, 9));
      expect(contractOf(ledger, contract.contractId).life).toMatchObject({
        state: 'SETTLED',
        row: 'honoured',
      });
    }
  });

  test('lets the other contract go on as it was when one was activated and settled', () => {
    const ledger = bothReady();
    ledger.send(central, take(ben, terms, 1, { customer: ledger.now }));
    ledger.send(ben, { type: 'epoch/release', setId: 'set-1', epoch: 2, counters: {} });
    ledger.send(central, take(ada, terms, 2));
    ledger.send(ben, statement(terms, 2, 9));
    ledger.send(ada, statement(terms, 2, 9));
    expect(contractOf(ledger, terms.contractId).life.state).toBe('SETTLED');
    expect(contractOf(ledger, second.contractId).life.state).toBe('READY');
    ledger.now += 5000;
    expect(ledger.send(central, take(cleo, second, 3, { customer: ledger.now })).ok).toBe(true);
  });
});
