import { describe, expect, test } from '@jest/globals';
import { generateIdentity, parseEdgeId } from '@antirio/kernel';
import type { CustomerPhase } from './customer-state.ts';
import { nothingDelivered } from './key-delivery.ts';
import { fencedTerms, leads, siblingsOf, type Standing } from './one-set.ts';
import type { ProviderPhase } from './provider-state.ts';
import { contractTerms, type ContractTerms } from './terms.ts';

const edge = () => parseEdgeId(generateIdentity().edgeId);
const base = { customer: edge(), provider: edge(), central: edge() };

function termsOf(n: number, setId = 'bridge'): ContractTerms {
  return contractTerms.parse({
    ...base,
    version: 1,
    contractId: `6f1b2b52-4a3d-4c86-9f0e-${String(n).padStart(12, '0')}`,
    set: { setId, service: 'lora', devices: [{ devEui: '00000000000000aa', devAddr: '0000000a' }] },
    image: { imageName: 'lora', imageCid: 'a', configCid: 'b' },
    confidentiality: 'process',
    opening: 'witnessed',
    standby: 'hot',
    stakes: { customer: 1, provider: 1 },
    slots: { customer: 0, provider: 1 },
    expiresAt: 1,
  });
}

const customer = (n: number, phase: CustomerPhase, setId?: string): Standing => ({
  terms: termsOf(n, setId),
  role: 'customer',
  phase: () => phase,
});
const provider = (n: number, phase: ProviderPhase): Standing => ({
  terms: termsOf(n),
  role: 'provider',
  phase: () => phase,
});
const leading = (...all: readonly Standing[]): number[] =>
  all.flatMap((one, i) => (leads(one, all) ? [i] : []));

const arming: CustomerPhase = { at: 'arming', keys: nothingDelivered };

describe('of several contracts of one set', () => {
  test('an ended one keeps its say at the customer until a newer one has an epoch', () => {
    const ended = customer(1, { at: 'ended', epoch: 3 });
    expect(leading(ended)).toEqual([0]);
    expect(leading(ended, customer(2, arming))).toEqual([0]);
    expect(leading(ended, customer(2, { ...arming, epoch: 4 }))).toEqual([1]);
    expect(leading(ended, customer(2, { at: 'recovering', epoch: 5 }))).toEqual([1]);
    expect(leading(ended, customer(2, { at: 'ended', epoch: 6 }))).toEqual([1]);
  });

  test('the one that gave the epoch up has the last word on it: another one of the same epoch opens nothing', () => {
    const word = { kind: 'k', by: base.customer, body: {}, signature: '' } as never;
    const yielded = customer(1, { at: 'yielded', epoch: 3, word });
    expect(leading(yielded, customer(2, { at: 'guarded', epoch: 3 }))).toEqual([0]);
    expect(leading(yielded, customer(2, { at: 'recovering', epoch: 4 }))).toEqual([1]);
  });

  test('at the provider a live one goes before ended ones, whatever their order', () => {
    expect(leading(provider(1, { at: 'ended' }), provider(2, { at: 'preparing' }))).toEqual([1]);
    expect(leading(provider(1, { at: 'active', from: 1, epoch: 2 }), provider(2, { at: 'ended' }))).toEqual([
      0,
    ]);
    expect(leading(provider(1, { at: 'ended' }), provider(2, { at: 'ended' }))).toEqual([1]);
  });

  test('roles and sets have nothing to do with each other', () => {
    const one = customer(1, { at: 'guarded', epoch: 1 });
    expect(
      leading(one, customer(2, { at: 'guarded', epoch: 9 }, 'other'), provider(3, { at: 'ready' })),
    ).toEqual([0, 1, 2]);
  });
});

test('siblings are the other contracts of a set in the same role, over or not', () => {
  const one = provider(1, { at: 'ready' });
  const over = provider(3, { at: 'ended' });
  expect(siblingsOf(one, [one, customer(2, { at: 'guarded', epoch: 1 }), over])).toEqual([over]);
  const elsewhere = customer(4, { at: 'guarded', epoch: 1 }, 'tower');
  expect(siblingsOf(customer(1, { at: 'guarded', epoch: 1 }), [elsewhere])).toEqual([]);
});

describe('a device that its customer has moved to another set', () => {
  const over = customer(1, { at: 'ended', epoch: 3 });
  const guarded: CustomerPhase = { at: 'guarded', epoch: 4 };
  const fenced = (one: Standing, other: Standing) => fencedTerms(one, [one, other]).set.devices.length;

  test('is that set’s as soon as it has an epoch: the fence of the ended contract lets go of it', () => {
    expect(fenced(over, customer(2, arming, 'other'))).toBe(1);
    expect(fenced(over, customer(2, { at: 'ended', epoch: 4 }, 'other'))).toBe(1);
    expect(fenced(over, customer(2, guarded, 'other'))).toBe(0);
    expect(fenced(over, customer(2, guarded))).toBe(1);
  });

  test('no contract that is not over gives a device away, and none of a provider’s', () => {
    expect(fenced(customer(1, guarded), customer(2, guarded, 'other'))).toBe(1);
    expect(fenced(provider(1, { at: 'ended' }), customer(2, guarded, 'other'))).toBe(1);
  });
});
