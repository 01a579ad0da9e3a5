import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { buildImage } from '@antirio/content-store';
import { sleep, systemClock, waitFor, type HttpAnswer, type HttpPeer } from '@antirio/host';
import { listen } from './test-events.ts';
import type { Edge, Json } from './test-neighbourhood.ts';
import { RoomProcess } from './test-process.ts';
import { put, Scene, until } from './test-scene.ts';

let scene: Scene;
let room: RoomProcess;
let b: Edge;

beforeEach(async () => {
  scene = new Scene();
  // in this process: from it the other one fetches
  b = await scene.start('B');
  room = new RoomProcess(join(scene.folder, 'A'), scene.around.url);
});
afterEach(async () => {
  await room.kill();
  await scene.close();
});

const imagesOf = (name: string): string => join(room.dataDir, 'images', name);
const storage = (path: string, json?: unknown): Promise<HttpAnswer> =>
  room.http.call({
    path: `/api/v3/storage/${path}`,
    timeoutMs: 20_000,
    ...(json === undefined ? {} : { method: 'POST', json }),
  });

async function listImages(http: HttpPeer): Promise<Json[]> {
  return (await http.call({ path: '/filecoin_interface/orchestrator/image' })).json() as Json[];
}

test('every order that was taken is stored and reported, whenever the process is killed', async () => {
  const names = ['one', 'two', 'three', 'four'];
  for (const name of names)
    await buildImage(imagesOf(`${name}.tar`), {
      files: Array.from({ length: 12 }, (_, i) => ({ path: `f${i}`, content: randomBytes(1_500_000) })),
      entrypoint: ['x'],
      labels: { name },
    });
  for (const [i, name] of names.entries()) {
    await room.start();
    const json = { imageName: name, storageDuration: 7, fileName: `${name}.tar`, imageId: name };
    expect((await storage('image', json)).status).toBe(202);
    await sleep(i * 60);
    await room.kill();
  }
  const http = await room.start();
  const images = await waitFor(systemClock, 60_000, async () => {
    const all = await listImages(http);
    return all.every((image) => image['status'] === 'STORED') ? all : undefined;
  });
  expect(images?.map((image) => image['imageName'])).toEqual(names);
  const { around } = scene;
  await waitFor(systemClock, 60_000, () => new Set(around.reports.map((r) => r.body['imageId'])).size === 4);
  expect([...new Set(around.reports.map((report) => report.body['imageId']))].sort()).toEqual(
    [...names].sort(),
  );
  for (const image of images ?? [])
    expect((await storage(`object/${String(image['imageHash'])}/verify`, {})).status).toBe(200);
});

test('an upload goes on where it was when the process was killed', async () => {
  const bytes = randomBytes(12_000_000);
  await room.start();
  const piece = (from: number, to: number): Promise<HttpAnswer> =>
    room.http.call({
      method: 'PUT',
      path: '/api/v3/storage/file/big',
      body: bytes.subarray(from, to),
      headers: { 'content-range': `bytes ${from}-${to - 1}/${bytes.length}` },
      timeoutMs: 20_000,
    });
  expect((await piece(0, 4_000_000)).status).toBe(202);
  const broken = piece(4_000_000, 12_000_000).catch(() => undefined);
  await sleep(8);
  await room.kill();
  const whole = (await broken)?.status === 201;
  await room.start();
  if (!whole && !existsSync(imagesOf('big'))) {
    const { upload } = (await storage('file/big/upload')).json() as { upload: { bytes: number } };
    expect(upload.bytes).toBeGreaterThanOrEqual(4_000_000);
    const last = upload.bytes === bytes.length ? 0 : upload.bytes;
    expect((await piece(last, bytes.length)).status).toBe(201);
  }
  expect(readFileSync(imagesOf('big')).equals(bytes)).toBe(true);
});

test('a fetch goes on, who listens is told of its end, and an export is there whole or not at all', async () => {
  const bytes = randomBytes(24_000_000);
  writeFileSync(join(b.dataDir, 'images', 'big'), bytes);
  const { cid } = await put(b, { fileName: 'big' });
  mkdirSync(join(room.dataDir, 'images'), { recursive: true });

  await room.start();
  await storage('fetch', { cid, providers: ['/p2p/B'] });
  let lastEventId: string | undefined;
  for (const blocks of [2, 8]) {
    const listening = await listen({ room }, `object/${cid}/events`, lastEventId);
    await until(() => (scene.around.relayed >= blocks ? true : undefined));
    await room.kill();
    await listening.over;
    lastEventId = listening.events.at(-1)?.id ?? lastEventId;
    await room.start();
  }
  const listening = await listen({ room }, `object/${cid}/events`, lastEventId);
  await listening.over;
  expect(listening.events.at(-1)).toMatchObject({ event: 'end', data: { object: { cid, state: 'STORED' } } });
  expect((await storage(`object/${cid}/verify`, {})).status).toBe(200);

  const broken = storage(`object/${cid}/export`, { fileName: 'out' }).catch(() => undefined);
  await sleep(20);
  await room.kill();
  await broken;
  if (existsSync(imagesOf('out'))) expect(readFileSync(imagesOf('out')).equals(bytes)).toBe(true);
  await room.start();
  expect((await storage(`object/${cid}/export`, { fileName: 'out' })).status).toBe(200);
  expect(readFileSync(imagesOf('out')).equals(bytes)).toBe(true);
});
