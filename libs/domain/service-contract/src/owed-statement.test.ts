import { expect, test } from '@jest/globals';
import type { CustomerPhase } from './customer-state.ts';
import type { ContractRecord } from './messages.ts';
import { mayOweStatement, owesStatement } from './owed-statement.ts';
import type { ProviderPhase } from './provider-state.ts';

type Heard = Pick<ContractRecord, 'state' | 'dispute'> | undefined;

const stated: ProviderPhase = { at: 'stated', from: 1, epoch: 2 };
const before: readonly (CustomerPhase | ProviderPhase)[] = [
  { at: 'preparing' },
  { at: 'ready' },
  { at: 'guarded', epoch: 1 },
  { at: 'ended' },
];
const from: readonly (CustomerPhase | ProviderPhase)[] = [
  { at: 'reading', from: 1 },
  { at: 'active', from: 1, epoch: 2 },
  { at: 'recovering', epoch: 2 },
  { at: 'retaken', epoch: 3, providerEpoch: 2 },
];

test('nothing is stated before somebody takes over, nor after the end', () => {
  for (const phase of before)
    expect([mayOweStatement(phase), owesStatement(phase, { state: 'ACTIVE' })]).toEqual([false, false]);
});

test('from the first sign of a takeover a statement is owed, whatever the ledger says', () => {
  for (const phase of from)
    for (const record of [undefined, { state: 'READY' }] as const)
      expect([mayOweStatement(phase), owesStatement(phase, record)]).toEqual([true, true]);
});

test('what was stated is owed until the ledger has both, and again while the two differ', () => {
  expect(mayOweStatement(stated)).toBe(true);
  const owed: Heard[] = [undefined, { state: 'RETURNING' }, { state: 'HANDED_BACK', dispute: ['other'] }];
  for (const record of owed) expect(owesStatement(stated, record)).toBe(true);
  for (const record of [{ state: 'HANDED_BACK' }, { state: 'READY_EXPOSED' }] as const)
    expect(owesStatement(stated, record)).toBe(false);
});
