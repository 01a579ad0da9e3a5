import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { httpPeer, openDatabase, silentLog, systemClock, systemRandom } from '@antirio/host';
import { uuidV4 } from '@antirio/kernel';
import { coreDataOptions, createCoreData } from './index.ts';
import { MIGRATIONS } from './schema.ts';

const MAIN = new URL('./main.ts', import.meta.url).pathname;

let dataDir: string;
let child: ChildProcess | undefined;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-kill-'));
});
afterEach(() => {
  child?.kill('SIGKILL');
  rmSync(dataDir, { recursive: true });
});

/** Starts the room in a process of its own; resolves with its port. */
function startChild(): Promise<number> {
  const env = {
    ...process.env,
    NODE_OPTIONS: '',
    CORE_DATA_DATA_DIR: dataDir,
    CORE_DATA_PORT: '0',
    CORE_DATA_BROKER: 'none',
  };
  const started = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  child = started;
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: started.stderr });
    lines.on('line', (line) => {
      const port = /"port":(\d+)/.exec(line)?.[1];
      if (port !== undefined) resolve(Number(port));
    });
    started.once('exit', (code) => reject(new TypeError(`the child ended with ${code}`)));
  });
}

const request = (id: string, n: number): unknown => ({
  apiVersion: 'v3',
  event: {
    apiVersion: 'v3',
    id,
    deviceName: `d${n % 7}`,
    profileName: 'p',
    sourceName: 's',
    origin: 1 + n,
    readings: [
      {
        origin: 1 + n,
        deviceName: `d${n % 7}`,
        resourceName: 'r',
        profileName: 'p',
        valueType: 'Int32',
        value: `${n}`,
      },
    ],
  },
});

/** Posts from eight sides until the process is gone; kills it after so many acknowledgements. Returns what was acknowledged. */
async function burst(port: number, killAfter: number): Promise<string[]> {
  const peer = httpPeer({ url: `http://127.0.0.1:${port}` });
  const acknowledged: string[] = [];
  let n = 0;
  const poster = async (): Promise<void> => {
    while (acknowledged.length < killAfter) {
      const id = uuidV4(systemRandom);
      const at = n++;
      const path = `/api/v3/event/svc/p/d${at % 7}/s`;
      const answer = await peer.call({ method: 'POST', path, json: request(id, at) }).catch(() => undefined);
      if (answer === undefined) return;
      if (answer.status === 201) acknowledged.push(id);
      if (acknowledged.length === killAfter) child?.kill('SIGKILL');
    }
  };
  await Promise.all(Array.from({ length: 8 }, poster));
  peer.close();
  return acknowledged;
}

test('after a SIGKILL in a burst of posts nothing acknowledged is missing and the store is whole', async () => {
  const acknowledged: string[] = [];
  for (const killAfter of [40, 333, 700]) acknowledged.push(...(await burst(await startChild(), killAfter)));

  const walBytes = statSync(join(dataDir, 'core-data', 'events.db-wal')).size;
  expect(walBytes).toBeLessThan(32 << 20);
  const room = createCoreData(coreDataOptions.parse({ dataDir, port: 0 }), {
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
  await room.start();
  const peer = httpPeer({ url: `http://127.0.0.1:${room.port}/api/v3` });
  const missing: string[] = [];
  for (const id of acknowledged)
    if ((await peer.call({ path: `/event/id/${id}` })).status !== 200) missing.push(id);
  expect(missing).toEqual([]);
  peer.close();
  await room.stop();

  const db = openDatabase(join(dataDir, 'core-data', 'events.db'), MIGRATIONS);
  expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' });
  const counts = db.prepare(
    'SELECT (SELECT count(*) FROM single) AS events, (SELECT sum(events) FROM source) AS counted',
  );
  const { events, counted } = counts.get() ?? {};
  expect(counted).toBe(events);
  expect(Number(events)).toBeGreaterThanOrEqual(acknowledged.length);
  db.close();
});
