import { expect, test } from '@jest/globals';
import { called, driveProvider, terms, tick } from './contract.fixture.ts';
import { createProvider, type ProviderState } from './provider-state.ts';

test('a provider is READY only when it knows how the devices listen, or waits for that no longer', () => {
  const there = { service: 'standby', keysHeld: true, ring: { from: 1, next: 1 } } as const;
  const asked = (state: ProviderState, awaitsListening: boolean | undefined): string[] => {
    const observed = { ...there, ...(awaitsListening === undefined ? {} : { awaitsListening }) };
    const seen = driveProvider(state, { type: 'observed', observed }, 1).state;
    return called(driveProvider(seen, tick, 2).effects);
  };
  const preparing = createProvider(terms, { at: 'preparing' }, 'boot', 0);
  expect(asked(preparing, true)).not.toContain('ready');
  expect(asked(preparing, false)).toContain('ready');
  // the room says nothing of it where there is nothing to be known
  expect(asked(preparing, undefined)).toContain('ready');
});
