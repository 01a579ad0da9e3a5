import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { listen, type Listening } from './test-events.ts';
import type { Edge, Json } from './test-neighbourhood.ts';
import { build, inState, order, put, Scene, until, v3 } from './test-scene.ts';

let scene: Scene;
let a: Edge;
let b: Edge;

beforeEach(async () => {
  scene = new Scene();
  a = await scene.start('A', { events: { maxListeners: 2 } });
  b = await scene.start('B');
});
afterEach(() => scene.close());

const works = ({ events }: Listening): Json[] =>
  events.filter(({ event }) => event === 'progress').map(({ data }) => data);
const ended = (listening: Listening, kind: string): Promise<Json> =>
  until(() => works(listening).find((work) => work['kind'] === kind && work['state'] !== 'running'));

test('an image: from its order on, with the bytes of the archive, until it is stored; then the stream ends', async () => {
  const { size } = await build(a, order.fileName, 3_000_000);
  await v3(a, 'POST', 'image', { ...order, imageId: 'i' });
  const listening = await listen(a, 'image/i/events');
  expect(listening.status).toBe(200);
  await listening.over;
  const [first] = listening.events;
  expect(first).toMatchObject({ event: 'snapshot', data: { image: { imageId: 'i' } } });
  const last = listening.events.at(-1);
  expect(last).toMatchObject({ event: 'end', data: { image: { imageId: 'i', status: 'STORED' } } });
  const done = works(listening).at(-1) ?? (first?.data['works'] as Json[])[0];
  const { imageHash } = (last?.data as { image: Json }).image;
  const about = { kind: 'import', imageId: 'i', fileName: order.fileName, totalBytes: size };
  expect(done).toMatchObject({ ...about, state: 'done', bytes: size, cid: imageHash });

  const again = await listen(a, 'image/i/events', last?.id);
  expect(again.status).toBe(204);
  const late = await listen(a, 'image/i/events');
  await late.over;
  expect(late.events.map(({ event }) => event)).toEqual(['snapshot', 'end']);
});

test('a failed image ends with the reason; what is not there has no events', async () => {
  writeFileSync(join(a.dataDir, 'images', order.fileName), 'no tar'.repeat(300));
  const all = await listen(a, 'events?imageId=i');
  await v3(a, 'POST', 'image', { ...order, imageId: 'i' });
  const listening = await listen(a, 'image/i/events');
  await listening.over;
  expect(listening.events.at(-1)).toMatchObject({ event: 'end', data: { image: { status: 'FAILED' } } });
  expect(await ended(all, 'import')).toMatchObject({
    state: 'failed',
    error: expect.stringContaining('tar') as unknown,
  });
  all.close();
  expect((await listen(a, 'image/absent/events')).status).toBe(404);
  expect((await listen(a, 'object/x/events')).status).toBe(400);
  expect((await listen(a, 'events?cid=x')).status).toBe(400);
});

test('fetch, verification and export tell bytes, blocks and totals', async () => {
  writeFileSync(join(a.dataDir, 'images', 'plain'), randomBytes(2_500_000));
  const { cid } = await put(a, { fileName: 'plain' });
  const all = await listen(b, `events?cid=${cid}`);
  await v3(b, 'POST', 'fetch', { cid, providers: ['/p2p/A'] });
  const own = await listen(b, `object/${cid}/events`);
  await own.over;
  expect(own.events.at(-1)).toMatchObject({ event: 'end', data: { object: { cid, state: 'STORED' } } });
  const fetched = await ended(all, 'fetch');
  expect(fetched).toMatchObject({ state: 'done', blocks: 4, bytesPerS: expect.any(Number) as unknown });
  expect(fetched['bytes']).toBeGreaterThan(2_500_000);
  await v3(b, 'POST', `object/${cid}/verify`, {});
  const verified = await ended(all, 'verify');
  expect(verified).toMatchObject({ state: 'done', blocks: 4, bytes: fetched['bytes'] });
  expect(verified['totalBytes']).toBe(verified['bytes']);
  await v3(b, 'POST', `object/${cid}/export`, { fileName: 'out' });
  expect(await ended(all, 'export')).toMatchObject({ state: 'done', fileName: 'out', totalBytes: 2_500_000 });
  all.close();
});

test('who listens to a fetch that waits for its provider is told of each attempt, and of the end after a restart', async () => {
  const { cid } = await put(a, { json: 'x'.repeat(1000) });
  await scene.stop(a);
  scene.around.edges.delete('A');
  await v3(b, 'POST', 'fetch', { cid, providers: ['/p2p/A'] });
  const first = await listen(b, `object/${cid}/events`);
  await until(() => (works(first).length > 2 ? true : undefined));
  expect(works(first).every((work) => work['state'] !== 'done')).toBe(true);
  await scene.stop(b);
  await first.over;
  expect(first.events.some(({ event }) => event === 'end')).toBe(false);

  a = await scene.start('A');
  b = await scene.start('B');
  const again = await listen(b, `object/${cid}/events`, first.events.at(-1)?.id);
  await again.over;
  expect(again.events.at(0)?.event).toBe('snapshot');
  expect(again.events.at(-1)).toMatchObject({ event: 'end', data: { object: { state: 'STORED' } } });
  await inState(b, cid, 'STORED');
});

test('an object that is let go meanwhile ends its streams; there are only so many', async () => {
  const { cid } = await put(b, { json: 'something' });
  await v3(a, 'POST', 'fetch', { cid, providers: ['/p2p/nobody'] });
  const one = await listen(a, `object/${cid}/events`);
  const all = await listen(a, 'events');
  expect((await listen(a, 'events')).status).toBe(429);
  await v3(a, 'DELETE', `object/${cid}`);
  await one.over;
  expect(one.events.at(-1)).toMatchObject({ event: 'end', data: { object: null } });
  const next = await listen(a, 'events');
  expect(next.status).toBe(200);
  for (const listening of [all, next]) listening.close();
});
