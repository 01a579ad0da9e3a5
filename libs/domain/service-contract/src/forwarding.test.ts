import { describe, expect, test } from '@jest/globals';
import type { EdgeId } from '@antirio/kernel';
import {
  contractCredential,
  contractForwardingKey,
  mayForward,
  type ContractCredential,
} from './forwarding.ts';

const CONTRACT = '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f';
const A = '12D3KooWcustomer' as EdgeId;
const B = '12D3KooWprovider' as EdgeId;
const key = contractForwardingKey('ab'.repeat(32), CONTRACT);
const contract = { contractId: CONTRACT, provider: B };
const at = (epoch: number): ContractCredential => contractCredential(key, CONTRACT, epoch);

describe('a login at the customer’s cloud', () => {
  test('is taken while the ledger names its epoch and the provider as the holder', () => {
    expect(mayForward(key, at(5), contract, { epoch: 5, holder: B })).toBe(true);
    expect(mayForward(key, at(5), contract, { epoch: 5, holder: A })).toBe(false);
    expect(mayForward(key, at(5), contract, undefined)).toBe(false);
  });

  test('is not taken of an epoch that has passed, or that is yet to come', () => {
    const named = { epoch: 6, holder: A };
    for (const epoch of [5, 6, 7, 56]) expect(mayForward(key, at(epoch), contract, named)).toBe(false);
    // it is the holder once more: still of no other epoch
    for (const epoch of [5, 6, 8, 57])
      expect(mayForward(key, at(epoch), contract, { epoch: 7, holder: B })).toBe(false);
  });

  test('is not taken with a password of another epoch or contract', () => {
    const named = { epoch: 5, holder: B };
    const { username } = at(5);
    const other = contractForwardingKey('ab'.repeat(32), CONTRACT.replace('6', '7'));
    for (const { password } of [at(4), at(6), contractCredential(other, CONTRACT, 5), { password: '' }])
      expect(mayForward(key, { username, password }, contract, named)).toBe(false);
  });
});
