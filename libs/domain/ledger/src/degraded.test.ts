import { describe, expect, test } from '@jest/globals';
import {
  ada,
  ben,
  central,
  contractOf,
  createTestLedger,
  makeTerms,
  ready,
  register,
  ringRootOf,
  take,
  validation,
  type TestLedger,
} from './machine.fixture.ts';
import { keys } from './records.ts';

const terms = makeTerms(1);
const { contractId, takeoverSlaMs } = terms;
const { silentMs } = terms.hearing;
const degrade = { type: 'contract/degrade', contractId, reason: 'silent' } as const;

const never = (ledger: TestLedger, customerLeaseEndedAt: number) =>
  ledger.send(central, {
    type: 'contract/rule',
    contractId,
    ruling: { row: 'providerBreach', evidence: { kind: 'neverTookOver', customerLeaseEndedAt } },
  });

/** READY for long enough to be degraded. */
function standing(): TestLedger {
  const ledger = createTestLedger();
  register(ledger, ada, ben);
  ledger.send(central, validation(terms, ada, ben));
  ledger.send(ben, ready(terms));
  ledger.now += silentMs;
  return ledger;
}

describe('a provider that is degraded', () => {
  test('is so by its own word only, and READY again by its word', () => {
    const ledger = standing();
    expect(ledger.send(ada, degrade)).toMatchObject({ code: 'forbidden' });
    expect(ledger.send(ben, degrade)).toMatchObject({ ok: true });
    expect(contractOf(ledger, contractId).life.state).toBe('DEGRADED');
    expect(ledger.send(ben, degrade)).toMatchObject({ code: 'conflict' });
    ledger.now += 1000;
    expect(ledger.send(ben, ready(terms))).toMatchObject({ ok: true });
    expect(contractOf(ledger, contractId)).toMatchObject({ life: { state: 'READY' }, readyAt: ledger.now });
    expect(contractOf(ledger, contractId).degraded).toBeUndefined();
  });

  test('is in no breach for what it said before the customer fell silent', () => {
    const ledger = standing();
    ledger.send(ben, degrade);
    const endedAt = ledger.now + 1;
    ledger.now += takeoverSlaMs + 1000;
    expect(never(ledger, endedAt)).toMatchObject({ code: 'conflict' });
  });

  test('does not get out of a breach by it, nor by going in and out', () => {
    const ledger = standing();
    const endedAt = ledger.now - 1;
    ledger.send(ben, degrade);
    ledger.now += 10;
    ledger.send(ben, ready(terms));
    expect(ledger.send(ben, degrade)).toMatchObject({ code: 'conflict' });
    ledger.now += silentMs;
    ledger.send(ben, degrade);
    ledger.now += takeoverSlaMs;
    expect(never(ledger, endedAt)).toMatchObject({ ok: true, result: { row: 'providerBreach' } });
  });

  test('has exposed keys still when it hears again, and may take over all the same', () => {
    const ledger = standing();
    const contract = contractOf(ledger, contractId);
    ledger.state.apply([[keys.contract(contractId), { ...contract, life: { state: 'READY_EXPOSED' } }]]);
    ledger.send(ben, degrade);
    ledger.send(ben, ready(terms));
    expect(contractOf(ledger, contractId).life.state).toBe('READY_EXPOSED');
    ledger.now += silentMs;
    ledger.send(ben, degrade);
    const root = ringRootOf(ben, contractId, 4);
    expect(ledger.send(central, { type: 'contract/open', contractId, root, keyVersion: 1 }).ok).toBe(true);
    expect(ledger.send(central, take(ben, terms, 1, { customer: ledger.now - 5 }))).toMatchObject({
      ok: true,
    });
    expect(contractOf(ledger, contractId).life.state).toBe('ACTIVE');
  });
});
