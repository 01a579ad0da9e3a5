import { mkdtempSync, mkdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { callJson, httpPeer, silentLog, systemClock, systemRandom, type HttpPeer } from '@antirio/host';
import { coreDataOptions, createCoreData, type CoreData } from './index.ts';
import { openHolds } from './holds.ts';

const DAY = 86_400_000;
let dataDir = '';
let room: CoreData | undefined;
let peer: HttpPeer | undefined;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-holds-'));
  mkdirSync(join(dataDir, 'core-data'));
});
afterEach(async () => {
  peer?.close();
  await room?.stop();
  [room, peer] = [undefined, undefined];
  rmSync(dataDir, { recursive: true });
});

async function start(): Promise<HttpPeer> {
  const bounds = { interval: '10ms', maxEvents: 2 };
  room = createCoreData(coreDataOptions.parse({ dataDir, port: 0, retention: { bounds } }), {
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
  await room.start();
  return (peer = httpPeer({ url: `http://127.0.0.1:${room.port}/api/v3` }));
}

/** Stored in this order: one of the guest's, one of ours, and so on. */
async function fill(to: HttpPeer, from: number, count: number): Promise<void> {
  for (let n = from; n < from + count; n++) {
    const deviceName = n % 2 === 0 ? 'c1.drone' : 'ours';
    const of = { deviceName, profileName: 'p', origin: n + 1 };
    const reading = { ...of, resourceName: 'r', valueType: 'Int16', value: '1' };
    const id = `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
    const event = { apiVersion: 'v3', id, ...of, sourceName: 's', readings: [reading] };
    const path = `/event/svc/p/${deviceName}/s`;
    await callJson(to, { method: 'POST', path, json: { apiVersion: 'v3', event } });
  }
}
async function origins(of: HttpPeer): Promise<number[]> {
  const answer = (await callJson(of, { path: '/event/all?limit=100' })) as { events: { origin: number }[] };
  return answer.events.map(({ origin }) => origin).sort((a, b) => a - b);
}
async function until(of: HttpPeer, expected: readonly number[]): Promise<void> {
  const deadline = performance.now() + 5000;
  while (performance.now() < deadline && String(await origins(of)) !== String(expected))
    await new Promise((resolve) => setTimeout(resolve, 10));
  expect(await origins(of)).toEqual(expected);
}

describe('what is owed to a customer', () => {
  test('stays over every bound of the store and over a start until it has come home, and takes no room of ours', async () => {
    let at = await start();
    const hold = { method: 'PUT', path: '/hold/c1', json: { devicePrefix: 'c1.' } } as const;
    await callJson(at, hold);
    await fill(at, 0, 8);
    await until(at, [1, 3, 5, 6, 7, 8]);
    at.close();
    await room?.stop();
    at = await start();
    await fill(at, 9, 1);
    await until(at, [1, 3, 5, 7, 8, 10]);
    expect(await callJson(at, { path: '/hold' })).toEqual({ holds: [{ id: 'c1', devicePrefix: 'c1.' }] });
    await callJson(at, { method: 'DELETE', path: '/hold/c1' });
    await until(at, [8, 10]);
    const gone = await at.call({ method: 'DELETE', path: '/hold/c1' });
    expect(gone.status).toBe(404);
  });

  test('ends some days after the contract, in time of running, however often that is said', () => {
    let monotonic = 0;
    const open = () => openHolds(dataDir, { monotonic: () => monotonic }, silentLog);
    let holds = open();
    holds.put('c1', 'c1.');
    monotonic += 100 * DAY;
    holds.endIn('c1', 7 * DAY);
    const before = holds.state();
    monotonic += 4 * DAY;
    expect([holds.isHeld('c1.a'), holds.isHeld('c2.a'), holds.state()]).toEqual([true, false, before]);
    holds.close();
    monotonic = 5;
    holds = open();
    holds.put('c1', 'c1.');
    holds.endIn('c1', 7 * DAY);
    expect(holds.all()).toEqual([{ id: 'c1', devicePrefix: 'c1.', leftS: 3 * 86_400 }]);
    const state = holds.state();
    monotonic += 3 * DAY;
    expect([holds.isHeld('c1.a'), holds.state() === state, holds.all()]).toEqual([false, false, []]);
    expect(() => holds.endIn('c1', 1)).toThrow('nothing is held');
    holds.close();
  });

  test('ends on a disk that takes nothing, too: that is written when it takes something again', () => {
    let monotonic = 0;
    const errors: unknown[] = [];
    const log = { error: (...said: unknown[]) => void errors.push(said) };
    const open = () => openHolds(dataDir, { monotonic: () => monotonic }, log);
    let holds = open();
    for (const id of ['c1', 'c2']) holds.put(id, `${id}.`);
    holds.endIn('c1', 1000);
    const disk = new DatabaseSync(join(dataDir, 'core-data', 'holds.db'));
    const full = (what: string) =>
      `CREATE TRIGGER no${what} BEFORE ${what} ON hold BEGIN SELECT RAISE(FAIL, 'full'); END`;
    for (const what of ['UPDATE', 'INSERT', 'DELETE']) disk.exec(full(what));
    monotonic += 1500;
    expect([holds.isHeld('ours'), holds.isHeld('c1.a'), holds.isHeld('c2.a')]).toEqual([false, false, true]);
    expect([holds.state(), holds.all().length, errors.length]).toEqual(['3', 1, 1]);
    expect(() => holds.remove('c2')).toThrow('full');
    expect(() => holds.put('c3', 'c3.')).toThrow('full');
    expect(holds.all().map(({ id }) => id)).toEqual(['c2']);
    for (const what of ['UPDATE', 'INSERT', 'DELETE']) disk.exec(`DROP TRIGGER no${what}`);
    monotonic += 600_000;
    expect(holds.isHeld('c2.a')).toBe(true);
    expect(
      disk
        .prepare('SELECT id FROM hold')
        .all()
        .map((row) => row['id']),
    ).toEqual(['c2']);
    disk.exec(full('UPDATE'));
    disk.close();
    holds.close();
    holds = open();
    expect(holds.isHeld('c2.a')).toBe(true);
    holds.close();
    expect(errors).toHaveLength(3);
  });
});
