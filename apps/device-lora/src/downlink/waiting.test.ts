import { expect, test } from '@jest/globals';
import { AntirioError } from '@antirio/kernel';
import { parseDevAddr, parseDevEui, parseSessionId, type DevAddr } from '@antirio/lorawan';
import { openStore } from '../database.ts';
import { deviceLoraOptions } from '../options.ts';
import type { CounterGap } from '@antirio/service-contract';
import { createDownlinkStore } from './store.ts';
import { waitsFor } from './waiting.ts';

const devEui = parseDevEui('0102030405060708');
const devAddr = parseDevAddr('01000001');
const { devices } = deviceLoraOptions.parse({ dataDir: 'x', devices: [{ devEui, name: 'mote-1', devAddr }] });

test('a downlink tells what it waits for, from the way in to the acknowledgement', () => {
  const store = createDownlinkStore(openStore(':memory:'));
  const now: {
    devAddr: DevAddr | undefined;
    since: number | undefined;
    shut: boolean;
    gap: CounterGap | undefined;
  } = {
    ...{ devAddr: undefined, since: undefined, shut: true, gap: undefined },
  };
  const ports = {
    store,
    counters: { unansweredSince: () => now.since, gap: () => now.gap },
    reach: { of: () => [] },
    prefix: 'contract/c1/',
    isRejoining: () => true,
    devAddrOf: () => now.devAddr,
    checkMaySend: () => {
      if (now.shut) throw new AntirioError('locked', 'this service sends no downlinks');
    },
  };
  const content = { devEui, resource: 'downlink', fPort: 1, payload: new Uint8Array(), confirmed: true };
  const first = store.add(content, 0);
  const second = store.add(content, 0);
  const wait = (of = first): string | undefined => {
    const [device] = devices;
    const found = store.latest(devEui, 9).find(({ id }) => id === of.id);
    return device && found && waitsFor(ports, device, found);
  };
  expect(wait()).toContain('leave to send: ');
  expect(wait()).toContain('this service sends no downlinks');
  now.shut = false;
  expect(wait()).toBe('the device to join');
  now.devAddr = devAddr;
  now.since = 1_800_000_000_000;
  expect(wait()).toBe(
    'downlink counters: no answer of the arbitrator on contract/c1/antirio/fcntdown/request since 2027-01-15T08:00:00.000Z',
  );
  now.gap = { next: 8291, proven: 99 };
  expect(wait()).toContain('downlinkExhausted');
  now.gap = { next: 8290, proven: 99 };
  expect(wait()).not.toContain('downlinkExhausted');
  expect(wait(second)).toBe(`downlink ${first.id}, which goes first`);
  now.since = undefined;
  expect(wait()).toBe('the next uplink of the device, after which it listens');
  const [device] = devices;
  expect(device && waitsFor(ports, { ...device, class: 'C' }, first)).toContain('the new session');
  const to = { id: first.id, bytes: Uint8Array.of(0xa0), session: parseSessionId('0'.repeat(16)) };
  store.assign(devAddr, 1, to, 0);
  now.since = 1;
  expect(wait()).toBe('the next uplink of the device, after which it listens');
  store.update(first.id, { state: 'sent', attempts: 1 }, 0);
  expect(wait()).toBe("the device's acknowledgement, in its next uplinks (on air 1 of 3 times)");
  store.update(first.id, { state: 'acknowledged' }, 0);
  expect(wait()).toBeUndefined();
});
