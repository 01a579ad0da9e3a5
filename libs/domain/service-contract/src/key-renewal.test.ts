import { expect, test } from '@jest/globals';
import { terms } from './contract.fixture.ts';
import { createCustomer, type CustomerState } from './customer-state.ts';
import { keysDelivered, onDelivered, renewKeys } from './key-renewal.ts';
import type { ContractRecord } from './messages.ts';

const guarded: CustomerState = {
  ...createCustomer(terms, { at: 'guarded', epoch: 1 }, 'boot', 0),
  record: { state: 'READY', epoch: 1, holder: terms.customer, keyVersion: 1 } as ContractRecord,
};
const withVersion = (state: CustomerState, keyVersion: number): CustomerState => ({
  ...state,
  observed: { keyVersion },
});
/** Delivers what is asked for, as often as anything is, at times when every call may be made again. */
function deliverAll(begun: CustomerState, keyVersion: number): { state: CustomerState; methods: string[] } {
  let state = withVersion(begun, keyVersion);
  const methods: string[] = [];
  for (let now = 1; now < 4; now++) {
    const [next, effects] = renewKeys(state, now * 1_000_000);
    state = { ...next, calls: {} };
    for (const effect of effects)
      if (effect.type === 'call') {
        methods.push(effect.method);
        const holder = 'holder' in effect.args ? effect.args.holder : undefined;
        state = onDelivered(state, holder, { keyVersion });
      }
  }
  return { state, methods };
}

test('a version that comes while the one before waits to be announced is delivered, too', () => {
  const second = deliverAll(guarded, 2);
  expect(second.methods).toEqual(['keyShare', 'keys']);
  expect(keysDelivered(second.state)).toBe(2);
  // the provider has not told the ledger yet
  const third = deliverAll(second.state, 3);
  expect(third.methods).toEqual(['keyShare', 'keys']);
  expect(keysDelivered(third.state)).toBe(3);
});

test('until the provider has them, newer keys are not delivered', () => {
  const [state] = renewKeys(withVersion(guarded, 2), 1);
  expect(keysDelivered(state)).toBe(1);
  expect(keysDelivered({ ...guarded, record: undefined })).toBeUndefined();
});
