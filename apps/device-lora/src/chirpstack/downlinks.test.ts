import { afterEach, describe, expect, test } from '@jest/globals';
import { parseDevEui } from '@antirio/lorawan';
import { silentLog, systemClock, waitFor } from '@antirio/host';
import { openStore } from '../database.ts';
import { createDownlinkStore, type Downlink } from '../downlink/store.ts';
import { deviceLoraOptions } from '../options.ts';
import { createChirpStackDownlinks, itemIdOf } from './downlinks.ts';
import type { DownlinkEvent } from './event.ts';

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

const devEui = parseDevEui('0102030405b74b92');
const [device] = deviceLoraOptions.parse({
  ...{ dataDir: '/d', chirpStack: {} },
  devices: [{ devEui, name: 'mote', activation: 'otaa', network: 'chirpStack' }],
}).devices;
if (device === undefined) throw new TypeError('none');

function scene({ publish = () => Promise.resolve() } = {}) {
  const db = openStore(':memory:');
  endings.push(() => db.close());
  const store = createDownlinkStore(db);
  const clock = { ...systemClock, now: () => now };
  let now = 1000;
  const sent: string[] = [];
  const downlinks = createChirpStackDownlinks({
    ...{ store, clock, log: silentLog, topicPrefix: 'x/', timeoutMs: 60_000 },
    devices: new Map([[devEui, device as NonNullable<typeof device>]]),
    applicationOf: () => '7',
    async publish(topic, payload) {
      await publish();
      sent.push(`${topic} ${payload}`);
    },
  });
  endings.push(() => downlinks.close());
  const queue = (change: Partial<Downlink> = {}, replaces = false): Downlink =>
    downlinks.queue(
      { devEui, resource: 'downlink', fPort: 1, payload: Uint8Array.of(1), confirmed: true, ...change },
      { replaces },
    );
  const states = (): string[] =>
    store
      .latest(devEui, 50)
      .map(({ state }) => state)
      .reverse();
  const until = async (...wanted: string[]): Promise<void> => {
    const met = (): true | undefined => (states().join() === wanted.join() ? true : undefined);
    expect([await waitFor(systemClock, 5000, () => Promise.resolve(met()), 5), states()]).toEqual([
      true,
      wanted,
    ]);
  };
  const tell = (event: Partial<DownlinkEvent>): void => {
    const nothing = {
      itemId: undefined,
      fcnt: undefined,
      why: undefined,
      applicationId: undefined,
      at: undefined,
    };
    downlinks.told(device as NonNullable<typeof device>, {
      ...{ kind: 'ack', devEui, acknowledged: false, ...nothing, ...event },
    });
  };
  return { downlinks, queue, states, until, tell, sent, pass: (ms: number) => (now += ms), store };
}

describe('a downlink by ChirpStack', () => {
  test('is handed over with an id that is the same after a kill', async () => {
    const { queue, until, sent } = scene();
    const queued = queue();
    await until('sending');
    const id = itemIdOf(queued);
    expect(sent).toEqual([
      `x/application/7/device/${devEui}/command/down {"id":"${id}","devEui":"${devEui}","confirmed":true,"fPort":1,"data":"AQ=="}`,
    ]);
    expect(itemIdOf({ ...queued })).toBe(id);
    expect(itemIdOf({ ...queued, createdAt: 2 })).not.toBe(id);
  });

  test('of v3, which tells no id, ends in the order in which it was handed over', async () => {
    const { queue, until, tell } = scene();
    queue();
    queue({ confirmed: false });
    await until('sending', 'sending');
    tell({ kind: 'txack', fcnt: 4 });
    await until('sent', 'sending');
    tell({ kind: 'ack', fcnt: 4, acknowledged: true });
    await until('acknowledged', 'sending');
    tell({ kind: 'txack', fcnt: 5 });
    await until('acknowledged', 'sent');
    tell({ kind: 'ack', fcnt: 5, acknowledged: true });
    await until('acknowledged', 'sent');
  });

  test('fails with what ChirpStack says of it, or when it says nothing', async () => {
    const { downlinks, queue, until, tell, pass, store } = scene();
    const first = queue();
    queue();
    await until('sending', 'sending');
    tell({ kind: 'lost', itemId: itemIdOf(first), why: 'ChirpStack: EXPIRED: too late' });
    await until('failed', 'sending');
    pass(61_000);
    downlinks.poke();
    await until('failed', 'failed');
    expect(store.latest(devEui, 2).map(({ error }) => error)).toEqual([
      'ChirpStack told nothing of it for 60 s',
      'ChirpStack: EXPIRED: too late',
    ]);
    expect(downlinks.counts()).toMatchObject({ failed: 2, handedOver: 2 });
  });

  test('is replaced while it waits here, and sixteen wait at most', () => {
    const gone = scene({ publish: () => Promise.reject(new TypeError('no broker')) });
    gone.queue();
    gone.queue({}, true);
    expect(gone.states()).toEqual(['failed', 'queued']);
    for (let i = 0; i < 15; i++) gone.queue();
    expect(() => gone.queue()).toThrow('16 downlinks wait');
    expect(() => gone.queue({ payload: new Uint8Array(243) })).toThrow('242 bytes');
  });
});
