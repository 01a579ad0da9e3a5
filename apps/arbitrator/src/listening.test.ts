import { expect, test } from '@jest/globals';
import type { Standing } from '@antirio/service-contract';
import { contractId, terms } from './escrow.fixture.ts';
import { listeningOf } from './listening.ts';
import { MacScene } from './mac-home.fixture.ts';

const scene = new MacScene();

test('READY waits for how the devices listen, but not for ever for a customer that never says', () => {
  const ports = {
    store: scene.store,
    clock: scene.clock,
    drivers: new Map<string, Standing>(),
    macs: { sendNow: () => Promise.resolve() },
  };
  const others = { macHome: { holdsFence: () => false }, handback: { handBack: () => Promise.resolve() } };
  const listening = listeningOf({ ...ports, ...others }, terms);
  expect(listening.isAwaited('preparing', 'loading')).toBe(false);
  expect(listening.isAwaited('preparing', 'standby')).toBe(true);
  expect(listening.isAwaited('ready', 'standby')).toBe(false);
  scene.now += 9000;
  expect(listening.isAwaited('preparing', 'standby')).toBe(true);
  scene.now += 1500;
  expect(listening.isAwaited('preparing', 'standby')).toBe(false);
  const again = listeningOf({ ...ports, ...others }, terms);
  expect(again.isAwaited('preparing', 'standby')).toBe(true);
  scene.store.putDocument(contractId, 'macToldAll', true);
  expect(again.isAwaited('preparing', 'standby')).toBe(false);
  const relay = listeningOf({ ...ports, ...others }, { ...terms, confidentiality: 'relay' });
  expect(relay.isAwaited('preparing', 'standby')).toBe(false);
});
