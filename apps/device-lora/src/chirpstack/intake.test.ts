import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { deviceProfile } from '@antirio/edgex-contracts';
import { AntirioError, utf8 } from '@antirio/kernel';
import { silentLog, systemClock, waitFor } from '@antirio/host';
import { parseDevEui } from '@antirio/lorawan';
import { createHeardLast } from '../last-heard.ts';
import { createLatest } from '../latest.ts';
import type { Posted, Poster } from '../north/poster.ts';
import { deviceLoraOptions } from '../options.ts';
import { openStore } from '../database.ts';
import { createUplinkStore } from '../store.ts';
import { createForwarder } from './forwarder.ts';
import { createIntake, isForGood, type Intake, type IntakePorts } from './intake.ts';
import { uplink, v3uplink } from './messages.fixture.ts';
import { openChirpStackStore, type ChirpStackStore } from './store.ts';

let folder = '';
let store: ChirpStackStore;
const path = (): string => join(folder, 'chirpstack.db');
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'chirpstack-'));
  store = openChirpStackStore(path());
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

const DAY_MS = 86_400_000;
const { devices } = deviceLoraOptions.parse({
  ...{ dataDir: '/d', chirpStack: {} },
  devices: [{ devEui: '0102030405b74b92', name: 'mote', activation: 'otaa', network: 'chirpStack' }],
});
function intake(change: Partial<IntakePorts> = {}): Intake {
  return createIntake({
    ...{ serviceName: 's', devices, store, maxWaitingBytes: 1 << 20, clock: systemClock, log: silentLog },
    ...{ latest: createLatest(), lastHeard: createHeardLast(), sessions: () => undefined },
    ...{ profileOf: () => undefined, onTaken() {}, onDownlink() {}, onDevice() {} },
    ...change,
  });
}
const up = (change: Record<string, unknown> = {}): Uint8Array => utf8(JSON.stringify(uplink(change)));

describe('an uplink', () => {
  test('is refused, not lost in silence, where too much waits already', async () => {
    const small = intake({ maxWaitingBytes: 1 });
    expect(await small.take('up', up())).toBe('new');
    await expect(small.take('up', up({ fCnt: 2 }))).rejects.toMatchObject({ code: 'busy' });
    expect([small.check().ok, small.counts()]).toEqual([false, expect.objectContaining({ refused_busy: 1 })]);
  });

  test('without an address is of the session that was told last, or of none', async () => {
    const v3 = utf8(JSON.stringify(v3uplink('0102030405b74b92')));
    await expect(intake().take('up', v3)).rejects.toMatchObject({
      message: expect.stringContaining('no devAddr'),
    });
    const joined = { deviceInfo: { devEui: '0102030405b74b92' }, devAddr: '017d351b' };
    expect(await intake().take('join', utf8(JSON.stringify(joined)))).toBe('noted');
    expect(await intake().take('up', v3)).toBe('new');
    expect(store.waiting(0, 1)[0]?.body).toContain('"devAddr":"017d351b"');
  });

  test('tells by which gateways ChirpStack hears, for a week and over restarts', async () => {
    await intake().take('up', up());
    await store.close();
    store = openChirpStackStore(path());
    expect(intake().gateways()).toEqual(['000000006b12933d']);
    const later = { ...systemClock, now: () => Date.now() + 8 * DAY_MS };
    expect(intake({ clock: later }).gateways()).toEqual([]);
  });
});

describe('a fault of ours', () => {
  const faulty = (change: Partial<IntakePorts> = {}): Intake =>
    intake({
      profileOf: () => {
        throw new RangeError('too deep');
      },
      ...change,
    });

  test('is refused for good once the bytes are kept, so that nothing stands behind it', async () => {
    const broken = faulty();
    const refused = await broken.take('up', up({ fCnt: 3 })).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'internal' });
    expect(isForGood(refused)).toBe(true);
    await expect(broken.take('up', up({ fCnt: 3 }))).rejects.toMatchObject({ code: 'internal' });
    const kept = store.conflicts(parseDevEui('0102030405b74b92'), 9);
    expect(kept.map(({ message }) => Buffer.from(message))).toEqual([Buffer.from(up({ fCnt: 3 }))]);
    expect([broken.counts(), broken.check().ok]).toEqual([{ refused_internal: 2 }, true]);
  });

  test('is tried again where the bytes could not be kept', async () => {
    const keep = () => Promise.reject(new AntirioError('storageFull', 'full'));
    const broken = faulty({ store: Object.assign(Object.create(store), { keep }) as ChirpStackStore });
    const refused = await broken.take('up', up()).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'storageFull' });
    expect(isForGood(refused)).toBe(false);
  });

  test('may be an object that is too deep to be written again', async () => {
    const profile = deviceProfile.parse({
      name: 'p',
      deviceResources: [{ name: 'place', properties: { valueType: 'Object', readWrite: 'R' } }],
    });
    const [mote] = devices;
    const codec = intake({
      devices: mote === undefined ? [] : [{ ...mote, codec: 'chirpStack' }],
      profileOf: () => profile,
    });
    const depth = 20_000;
    const deep = JSON.stringify(uplink({ object: { place: 0 } })).replace(
      '"place":0',
      `"place":${'[1,'.repeat(depth)}0${']'.repeat(depth)}`,
    );
    await expect(codec.take('up', utf8(deep))).rejects.toMatchObject({ code: 'internal' });
    expect(await codec.take('up', up())).toBe('new');
  });
});

test('what core-data refuses is put aside, what it cannot take waits', async () => {
  const said: Posted[] = [{ kind: 'refused', why: 'no such profile' }, { kind: 'stopped' }];
  const poster = { post: () => Promise.resolve(said.shift() ?? { kind: 'stored' }), cancel() {} };
  await intake().take('up', up({ fCnt: 1 }));
  await intake().take('up', up({ fCnt: 2 }));
  const db = openStore(':memory:');
  const parking = createUplinkStore(db);
  const forwarder = createForwarder({ store, parking, poster: poster as unknown as Poster, log: silentLog });
  const counts = (): number[] => [parking.parkedCount(), store.waitingCount];
  const until = (now: number[]): Promise<true | undefined> =>
    waitFor(systemClock, 5000, () => Promise.resolve(counts().join() === now.join() || undefined), 5);
  expect(await until([1, 1])).toBe(true);
  expect(parking.parked(10, 0)).toMatchObject([{ path: expect.stringContaining('/event/s/') }]);
  forwarder.poke();
  expect(await until([1, 0])).toBe(true);
  expect(store.waitingBytes).toBe(0);
  await forwarder.close();
  db.close();
});
