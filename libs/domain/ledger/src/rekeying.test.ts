import { describe, expect, test } from '@jest/globals';
import { invariantProblems } from './invariants.ts';
import {
  ada,
  balances,
  ben,
  central,
  cleo,
  contractOf,
  makeTerms,
  returnedLedger,
  ringRootOf,
  statement,
  type TestLedger,
} from './machine.fixture.ts';
import { keys } from './records.ts';
import { SILENCE_MS } from './settlement.ts';

const terms = makeTerms(1, { rekey: { waitS: 60 } });
const { contractId } = terms;

/** Both agree on what was handed back. */
function agreedLedger(): TestLedger {
  const ledger = returnedLedger(terms);
  ledger.send(ben, statement(terms, 2, 50));
  expect(ledger.send(ada, statement(terms, 2, 50))).toMatchObject({
    ok: true,
    result: { agreed: true, settlesBy: ledger.now + 60_000 },
  });
  return ledger;
}
const close = { type: 'contract/close', contractId } as const;
const counted = (rekeyed: number, waiting: number, disclosed = 0) =>
  ({ type: 'contract/rekeyed', contractId, rekeyed, waiting, disclosed }) as const;

describe('a settlement that waits for new keys', () => {
  test('comes with the last device that has them, and says how many have', () => {
    const ledger = agreedLedger();
    expect(contractOf(ledger, contractId)).toMatchObject({ life: { state: 'HANDED_BACK' } });
    expect(ledger.send(ada, counted(0, 1))).toMatchObject({ ok: true, result: { waiting: 1 } });
    expect(balances(ledger)).toEqual([900, 900]);
    expect(ledger.send(ada, counted(1, 0))).toMatchObject({ ok: true, result: { row: 'honoured' } });
    expect(balances(ledger)).toEqual([900, 1100]);
    expect(contractOf(ledger, contractId)).toMatchObject({
      life: { state: 'SETTLED', row: 'honoured' },
      rekeying: { counted: { rekeyed: 1, waiting: 0, disclosed: 0 } },
    });
    expect(ledger.send(ada, counted(1, 0))).toMatchObject({ code: 'gone' });
    expect(invariantProblems(ledger.state)).toEqual([]);
  });

  test('waits for no device whose keys are fixed', () => {
    expect(agreedLedger().send(ada, counted(0, 0, 1))).toMatchObject({ result: { row: 'honoured' } });
  });

  test('does not wait beyond its bound, whatever the customer says or leaves unsaid', () => {
    const silent = agreedLedger();
    silent.now += 59_999;
    expect(silent.send(ben, close)).toMatchObject({ code: 'conflict' });
    silent.now += 1;
    expect(silent.send(cleo, close)).toMatchObject({ code: 'forbidden' });
    expect(silent.send(ben, close)).toMatchObject({ ok: true, result: { row: 'honoured' } });
    expect(balances(silent)).toEqual([900, 1100]);
    const late = agreedLedger();
    late.now += 60_000;
    expect(late.send(ada, counted(0, 1))).toMatchObject({ result: { row: 'honoured' } });
    expect(contractOf(late, contractId).rekeying?.counted).toMatchObject({ waiting: 1 });
  });

  test('takes the customer’s word only, about its own devices', () => {
    const ledger = agreedLedger();
    expect(ledger.send(ben, counted(1, 0))).toMatchObject({ code: 'forbidden' });
    expect(ledger.send(ada, counted(2, 0))).toMatchObject({ code: 'invalidInput' });
    const open = returnedLedger(terms);
    expect(open.send(ada, counted(1, 0))).toMatchObject({ code: 'conflict' });
    expect(open.send(ben, close)).toMatchObject({ code: 'conflict' });
  });

  test('takes back nothing that was agreed: no other statement, no ruling without evidence, no newer keys', () => {
    const ledger = agreedLedger();
    expect(ledger.send(ada, statement(terms, 2, 50, 2))).toMatchObject({ code: 'gone' });
    const ruling = { row: 'undecided', reason: 'no evidence' } as const;
    expect(ledger.send(central, { type: 'contract/rule', contractId, ruling })).toMatchObject({
      code: 'conflict',
    });
    // evidence of a breach is evidence still
    const roots = [ringRootOf(ben, contractId, 40), ringRootOf(ben, contractId, 40, 39)] as const;
    const evidence = { kind: 'contradictingRoots' as const, roots: [...roots] as never };
    expect(
      ledger.send(central, {
        type: 'contract/rule',
        contractId,
        ruling: { row: 'providerBreach', evidence },
      }),
    ).toMatchObject({ ok: true });
    expect(balances(ledger)).toEqual([1100, 900]);
  });

  test('is no matter of a customer that has kept silent for seven days', () => {
    const ledger = returnedLedger(terms);
    ledger.send(ben, statement(terms, 2, 50));
    ledger.now += SILENCE_MS;
    expect(ledger.send(ben, close)).toMatchObject({ result: { row: 'honoured' } });
  });

  test('is not asked for by older terms, nor where there are no keys', () => {
    for (const plain of [makeTerms(1), makeTerms(1, { rekey: { waitS: 60 }, confidentiality: 'relay' })]) {
      const ledger = returnedLedger(plain);
      ledger.send(ben, statement(plain, 2, 50));
      expect(ledger.send(ada, statement(plain, 2, 50))).toMatchObject({ result: { row: 'honoured' } });
      expect(ledger.state.get(keys.contract(contractId))).not.toHaveProperty('rekeying');
    }
  });
});
