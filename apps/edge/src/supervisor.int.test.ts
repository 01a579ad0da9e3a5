import { closeSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from '@jest/globals';
import { callJson, httpPeer, isHealthy, systemClock, waitFor, type HttpPeer } from '@antirio/host';
import { claimOffsets, testWhen, type ClaimedOffsets } from '@antirio/testing';
import { readConfig } from './config.ts';
import { createEdgeHost, type EdgeHost } from './edge-host.ts';
import { roomNamed } from './loaders.ts';

let dataDir: string;
let claimed: ClaimedOffsets;
let host: EdgeHost;
let keeper: HttpPeer;

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'antirio-'));
  claimed = await claimOffsets(1);
  const rooms = ['broker', 'core-keeper'].flatMap((name) => roomNamed(name) ?? []);
  const config = readConfig({ dataDir, portOffset: claimed.offsets[0], logLevel: 'silent' }, {});
  host = await createEdgeHost(config, rooms);
  await host.start();
  keeper = httpPeer({ url: host.urls['core-keeper'] ?? '' });
});
afterEach(async () => {
  keeper.close();
  await host.stop();
  claimed.release();
  rmSync(dataDir, { recursive: true });
});

const write = (key: string): Promise<unknown> =>
  callJson(keeper, { method: 'PUT', path: `/api/v3/kvs/key/${key}`, json: { value: key } });
const read = (key: string): Promise<unknown> =>
  callJson(keeper, { path: `/api/v3/kvs/key/${key}?plaintext=true` });

/** Makes the next fdatasync of the store fail, as a dying disk does: its descriptor leads to a device that syncs nothing. */
function breakSync(log: string): void {
  const mine = readdirSync('/proc/self/fd')
    .filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).endsWith(log);
      } catch {
        return false;
      }
    })
    .map(Number);
  const last = Math.max(...mine);
  closeSync(last);
  const others: number[] = [];
  for (;;) {
    const fd = openSync('/dev/null', 'r');
    if (fd === last) break;
    others.push(fd);
  }
  for (const fd of others) closeSync(fd);
}

testWhen(process.platform === 'linux', 'descriptors are found in /proc')(
  'a room whose disk failed a sync refuses what it cannot keep, and is up again with what it had',
  async () => {
    await write('before');
    breakSync('keeper.db-wal');
    await expect(write('during')).rejects.toMatchObject({ code: 'internal' });
    await waitFor(systemClock, 60_000, () =>
      write('after').then(
        () => true,
        () => undefined,
      ),
    );
    expect(await read('before')).toMatchObject({ response: [{ key: 'before', value: 'before' }] });
    expect(isHealthy(await host.health())).toBe(true);
  },
);
