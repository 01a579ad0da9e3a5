import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { httpPeer, openDatabase, silentLog, systemClock, systemRandom } from '@antirio/host';
import { deviceRequest, profileRequest, serviceRequest, type Items, type Json } from './fixture.ts';
import { coreMetadataOptions, createCoreMetadata } from './index.ts';
import { MIGRATIONS } from './schema.ts';

const MAIN = new URL('./main.ts', import.meta.url).pathname;
const AT_A_TIME = 20;

let dataDir: string;
let child: ChildProcess | undefined;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-metadata-kill-'));
});
afterEach(() => {
  child?.kill('SIGKILL');
  rmSync(dataDir, { recursive: true });
});

/** Starts the room in a process of its own; resolves with its port. */
async function startChild(): Promise<number> {
  const own = { DATA_DIR: dataDir, PORT: '0', BROKER: 'none' };
  const settings = Object.entries(own).map(([key, value]) => [`CORE_METADATA_${key}`, value] as const);
  const env = { ...process.env, NODE_OPTIONS: '', ...Object.fromEntries<string>(settings) };
  const started = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  child = started;
  for await (const line of createInterface({ input: started.stderr })) {
    const port = /"port":(\d+)/.exec(line)?.[1];
    if (port === undefined) continue;
    started.stderr.resume();
    return Number(port);
  }
  throw new TypeError('the child said no port');
}

/** Posts devices from four sides, twenty a request, until the process is gone; kills it while a request is under way. */
async function burst(port: number, round: number, killAfter: number): Promise<string[]> {
  const peer = httpPeer({ url: `http://127.0.0.1:${port}/api/v3` });
  for (const [path, json] of [
    ['/deviceservice', [serviceRequest()]],
    ['/deviceprofile', [profileRequest()]],
  ] as const)
    await peer.call({ method: 'POST', path, json });
  const acknowledged: string[] = [];
  let request = 0;
  const poster = async (): Promise<void> => {
    for (;;) {
      const names = Array.from({ length: AT_A_TIME }, (_, n) => `d-${round}-${request}-${n}`);
      request += 1;
      if (request === killAfter) setTimeout(() => child?.kill('SIGKILL'), 2);
      const json = names.map((name) => deviceRequest(name, { labels: [name, `round-${round}`] }));
      const answer = await peer.call({ method: 'POST', path: '/device', json }).catch(() => undefined);
      if (answer === undefined) return;
      const items = answer.json() as Items;
      acknowledged.push(...names.filter((_, n) => items?.[n]?.statusCode === 201));
    }
  };
  await Promise.all(Array.from({ length: 4 }, poster));
  peer.close();
  return acknowledged;
}

test('after a SIGKILL in the middle of requests of many items nothing acknowledged is missing and all indexes agree', async () => {
  const acknowledged: string[] = [];
  for (const [round, killAfter] of [5, 12].entries())
    acknowledged.push(...(await burst(await startChild(), round, killAfter)));
  expect(acknowledged.length).toBeGreaterThan(AT_A_TIME);

  const ports = { clock: systemClock, random: systemRandom, log: silentLog };
  const room = createCoreMetadata(
    coreMetadataOptions.parse({ dataDir, port: 0, maxResultCount: 100_000 }),
    ports,
  );
  await room.start();
  const peer = httpPeer({ url: `http://127.0.0.1:${room.port}/api/v3` });
  const all = (await peer.call({ path: '/device/service/name/svc?limit=-1' })).json() as { devices: Json[] };
  const there = new Map(all.devices.map((device) => [device['name'], device]));
  expect(acknowledged.filter((name) => !there.has(name))).toEqual([]);
  for (const round of [0, 1]) {
    const path = `/device/all?labels=round-${round}&limit=1`;
    const labelled = [...there.keys()].filter((name) => String(name).startsWith(`d-${round}-`)).length;
    expect((await peer.call({ path })).json()).toMatchObject({ totalCount: labelled });
  }
  peer.close();
  await room.stop();

  const db = openDatabase(join(dataDir, 'core-metadata', 'metadata.db'), MIGRATIONS);
  expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  const stray = db.prepare(
    'SELECT count(*) AS n FROM entity_label WHERE seq NOT IN (SELECT seq FROM entity)',
  );
  expect(stray.get()).toEqual({ n: 0 });
  db.close();
});
