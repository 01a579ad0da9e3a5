import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  createHttpRim,
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  type HttpPeer,
  type HttpRim,
} from '@antirio/host';
import { AntirioError, uuidV4 } from '@antirio/kernel';
import { baseResponse, pageOf } from '@antirio/edgex-contracts';
import { coreDataOptions, createCoreData, type CoreData } from './index.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const clock = { ...systemClock, now: () => NOW };
const minutesAgo = (minutes: number): bigint => BigInt(NOW - minutes * 60_000) * 1_000_000n;

let dataDir: string;
let metadata: HttpRim;
let devices: unknown[];
let asked = 0;
let failing = false;
let room: CoreData | undefined;
let peer: HttpPeer;
let metadataPeer: HttpPeer;

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-retention-'));
  devices = [];
  failing = false;
  metadata = createHttpRim({
    serviceKey: 'core-metadata',
    version: '1',
    config: () => ({}),
    health: () => ({}),
    log: silentLog,
    clock,
  });
  // pages as core-metadata's rim has them: a limit beyond its maximum is refused
  metadata.route('get', '/api/v3/device/all', { summary: 'devices' }, ({ query }) => {
    asked += 1;
    if (failing) throw new AntirioError('unavailable', 'no devices today');
    const { offset, limit } = pageOf(query as Record<string, unknown>, { maxResultCount: 2 });
    const page = devices.slice(offset, offset + limit);
    return { ...baseResponse(200), totalCount: devices.length, devices: page };
  });
  const port = await metadata.listen(0, '127.0.0.1');
  metadataPeer = httpPeer({ url: `http://127.0.0.1:${port}` });
});
afterEach(async () => {
  peer.close();
  metadataPeer.close();
  await room?.stop();
  await metadata.close();
  rmSync(dataDir, { recursive: true });
});

async function start(retention: Record<string, unknown> = {}): Promise<void> {
  const options = { dataDir, port: 0, retention: { interval: '20ms', ...retention } };
  const peers = { 'core-metadata': metadataPeer };
  room = createCoreData(coreDataOptions.parse(options), {
    clock,
    random: systemRandom,
    log: silentLog,
    peers,
  });
  await room.start();
  peer = httpPeer({ url: `http://127.0.0.1:${room.port}/api/v3` });
}

const device = (name: string, retention?: Record<string, unknown>): unknown => ({
  name,
  adminState: 'UNLOCKED',
  autoEvents: [{ interval: '1s', sourceName: 's', ...(retention === undefined ? {} : { retention }) }],
});

/** Events of so many minutes ago, each with one reading, or two. */
async function fill(name: string, ages: readonly number[], readings = 1): Promise<void> {
  for (const age of ages) {
    const origin = minutesAgo(age);
    const reading = {
      origin: 0,
      deviceName: name,
      resourceName: 'r',
      profileName: 'p',
      valueType: 'Int16',
      value: '1',
    };
    const event = {
      apiVersion: 'v3',
      id: uuidV4(systemRandom),
      deviceName: name,
      profileName: 'p',
      sourceName: 's',
      origin: 0,
    };
    const text = JSON.stringify({
      apiVersion: 'v3',
      event: { ...event, readings: Array(readings).fill(reading) },
    });
    const body = new TextEncoder().encode(text.replaceAll('"origin":0', `"origin":${origin}`));
    const answer = await peer.call({ method: 'POST', path: `/event/svc/p/${name}/s`, body });
    expect(answer.status).toBe(201);
  }
}

/** How many minutes old the events of a device are. */
async function agesOf(name: string): Promise<number[]> {
  const answer = await peer.call({ path: `/event/device/name/${name}?limit=-1` });
  const text = new TextDecoder().decode(answer.body);
  const { events } = JSON.parse(text.replace(/"origin":(\d+)\d{6}(?=\D)/g, '"origin":$1')) as {
    events: { origin: number }[];
  };
  return events.map(({ origin }) => Math.round((NOW - origin) / 60_000));
}

async function untilAges(name: string, wanted: readonly number[]): Promise<void> {
  let ages = await agesOf(name);
  for (let i = 0; i < 400 && JSON.stringify(ages) !== JSON.stringify(wanted); i++) {
    await delay(10);
    ages = await agesOf(name);
  }
  expect(ages).toEqual(wanted);
}

test('of each auto event stays what its policy says, and of others all', async () => {
  await start({ defaultMaxCap: -1, defaultMinCap: 1, defaultDuration: '100m' });
  const ages = [500, 400, 300, 200, 50, 10];
  const names = [
    'defaults',
    'byAge',
    'byAgeKeepingOld',
    'byCount',
    'below',
    'everything',
    'pairs',
    'unknown',
  ];
  for (const name of names) await fill(name, ages, name === 'pairs' ? 2 : 1);
  devices = [
    device('defaults'),
    device('byAge', { maxCap: -1, minCap: -1, duration: '4h' }),
    device('byAgeKeepingOld', { maxCap: -1, minCap: 2, duration: '150m' }),
    device('byCount', { maxCap: 6, minCap: 3, duration: '0s' }),
    device('below', { maxCap: 7, minCap: 3, duration: '0s' }),
    device('everything', { maxCap: 2, minCap: -1, duration: '0s' }),
    device('pairs', { maxCap: 0, minCap: 0, duration: '' }),
    { name: 'no auto events' },
  ];
  await untilAges('defaults', [10, 50, 200]);
  await untilAges('byAge', [10, 50, 200]);
  await untilAges('byAgeKeepingOld', [10, 50, 200, 300]);
  await untilAges('byCount', [10, 50, 200]);
  await untilAges('everything', []);
  await untilAges('pairs', [10, 50, 200]);
  expect(await agesOf('below')).toEqual(ages.toReversed());
  expect(await agesOf('unknown')).toEqual(ages.toReversed());
  const counted = await peer.call({ path: '/reading/count' });
  expect(counted.json()).toMatchObject({ count: 3 + 3 + 4 + 3 + 6 + 0 + 6 + 6 });
});

test('where it applies to everything, sources of no auto event keep to the defaults', async () => {
  await start({ appliesTo: 'everything', defaultMinCap: -1, defaultDuration: '1h' });
  await fill('unknown', [500, 50]);
  await untilAges('unknown', [50]);
});

test('a round that fails is told with the health until one succeeds', async () => {
  failing = true;
  await start();
  const told = async (): Promise<string> => {
    const checks = await room?.health();
    expect(checks?.['retention']?.ok).toBe(true);
    return checks?.['retention']?.detail ?? '';
  };
  const untilTold = async (text: string): Promise<void> => {
    for (let i = 0; i < 400 && (await told()) !== text; i++) await delay(10);
    expect(await told()).toBe(text);
  };
  const call = 'GET /api/v3/device/all?offset=0&limit=-1';
  await untilTold(`the last round failed: ${call}: no devices today`);
  failing = false;
  await untilTold('');
});

test('an interval of 0s is none', async () => {
  await start({ interval: '0s', appliesTo: 'everything', defaultMinCap: -1 });
  asked = 0;
  await fill('unknown', [50_000]);
  await delay(100);
  expect([asked, await agesOf('unknown')]).toEqual([0, [50_000]]);
});
