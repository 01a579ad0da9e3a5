import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { importFile, openBlockStore, type CID } from '@antirio/content-store';
import { systemClock } from '@antirio/host';
import { localStorage } from './storage.ts';
import type { Edge } from './test-neighbourhood.ts';
import { content, put, Scene, until, v3 } from './test-scene.ts';

let scene: Scene;
beforeEach(() => {
  scene = new Scene();
});
afterEach(() => scene.close());

const longWork = { imports: 2, exports: 1, verifications: 1, samples: 1 };
const post = (edge: Edge, path: string, json: unknown, signal?: AbortSignal): Promise<Response> =>
  fetch(`http://127.0.0.1:${edge.room.port}/api/v3/storage/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(json),
    signal: signal ?? null,
  });

test('so much long work goes on at once and no more; it ends with the client that waits for it', async () => {
  const a = await scene.start('A', { longWork });
  let open = 0;
  scene.around.engine = (response) => {
    open++;
    response.on('close', () => open--);
    response.writeHead(200).write(content(100));
  };
  const image = { engineImage: 'service:1' };
  const clients = [new AbortController(), new AbortController()];
  const waiting = clients.map(({ signal }) => post(a, 'object', image, signal).catch(() => 'gone'));
  await until(() => (open === 2 ? true : undefined));
  const refused = await post(a, 'object', image);
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '5']);
  expect(((await refused.json()) as { message: string }).message).toMatch(/2 of import are under way/);
  const { cid } = await put(a, { json: { small: true } });
  expect((await post(a, `object/${cid}/mend`, image)).status).toBe(429);
  expect((await post(a, `object/${cid}/verify`, {})).status).toBe(200);
  const metrics = await (await fetch(`http://127.0.0.1:${a.room.port}/api/v3/metrics`)).text();
  expect(metrics).toContain('antirio_storage_work_refused{work="import"} 2');
  clients[0]?.abort();
  await until(() => (open === 1 ? true : undefined));
  const again = post(a, 'object', image, clients[1]?.signal).catch(() => 'gone');
  await until(() => (open === 2 ? true : undefined));
  clients[1]?.abort();
  expect(await Promise.all([...waiting, again])).toEqual(['gone', 'gone', 'gone']);
  await until(() => (open === 0 ? true : undefined));
  expect((await v3(a, 'GET', 'object')).json()).toMatchObject({ totalCount: 1 });
});

test('what reads an object stops when nobody waits for it, and leaves no file', async () => {
  const store = await openBlockStore({ folder: join(scene.folder, 'store'), clock: systemClock });
  try {
    const limits = { maxImageBytes: 1e9, maxBlocks: 1e6, blocksAtOnce: 8, blockTimeoutMs: 1000 };
    const storage = localStorage(store, limits);
    const bytes = randomBytes(4_000_000);
    const { cid } = await importFile(store, one(bytes));
    const broken = { code: 'timeout' };
    await expect(storage.verify(cid, stopAt(2_000_000))).rejects.toMatchObject(broken);
    const file = join(scene.folder, 'out');
    await expect(storage.export(cid, file, stopAt(2_000_000))).rejects.toMatchObject(broken);
    expect([existsSync(file), readdirSync(scene.folder)]).toEqual([false, ['store']]);
    const named = (made: CID): string => `object/${made.toString()}`;
    const gone = stopAt(2_000_000);
    const coming = async function* (): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < 8_000_000; at += 100_000) {
        gone.onSeen({ bytes: at });
        yield randomBytes(100_000);
      }
    };
    await expect(storage.putFile(named, coming, gone.signal)).rejects.toMatchObject(broken);
    expect(store.pins()).toEqual([]);
    expect((await storage.verify(cid)).bytes).toBeGreaterThan(4_000_000);
  } finally {
    await store.close();
  }
});

function stopAt(bytes: number): { signal: AbortSignal; onSeen: (seen: { bytes: number }) => void } {
  const stop = new AbortController();
  return {
    signal: stop.signal,
    onSeen: (seen) => {
      if (seen.bytes >= bytes) stop.abort();
    },
  };
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
