import { expect, test } from '@jest/globals';
import { deviceLoraOptions } from '../options.ts';
import { createTestMote } from '../test-mote.ts';
import type { JoinHeard } from '../uplink/event-up.ts';
import { createUnservedJoins } from './unserved.ts';

test('a JoinRequest that nobody here can answer is counted once, whichever gateways heard it', () => {
  const [one, two, stranger] = [createTestMote(0xa1), createTestMote(0xa2), createTestMote(0xa3)];
  const { devices } = deviceLoraOptions.parse({
    dataDir: '/nowhere',
    devices: [one, two].map(({ devEui }, i) => ({ devEui, name: `m${String(i)}`, activation: 'otaa' })),
  });
  let now = 0;
  const unserved = createUnservedJoins(devices, { now: () => now, monotonic: () => now });
  const hear = (phyPayload: Uint8Array): void => unserved.heard({ phyPayload } as JoinHeard);
  hear(one.joinRequest(1));
  hear(one.joinRequest(1));
  hear(one.joinRequest(2));
  hear(stranger.joinRequest(1));
  hear(Uint8Array.of(0, 1, 2));
  expect(unserved.counts()).toEqual({ requests: 2, devices: 1 });
  now += 11_000;
  hear(two.joinRequest(1));
  expect(unserved.counts()).toEqual({ requests: 3, devices: 2 });
});
