import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createHttpRim, httpPeer, silentLog, systemClock, waitFor, type HttpPeer } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { addImageRoute } from './image-export.ts';

let close: () => Promise<void>;
let http: HttpPeer;
let engine: (image: string) => AsyncIterable<Uint8Array>;

beforeEach(async () => {
  const rim = createHttpRim({
    serviceKey: 'orchestrator',
    version: '0',
    config: () => ({}),
    health: () => ({}),
    log: silentLog,
    clock: systemClock,
  });
  addImageRoute(rim, { export: async (image) => engine(image) });
  http = httpPeer({ url: `http://127.0.0.1:${await rim.listen(0, '127.0.0.1')}` });
  close = () => rim.close();
});
afterEach(async () => {
  http.close();
  await close();
});

const open = (name: string) => {
  if (http.open === undefined) throw new AntirioError('internal', 'no streams');
  return http.open(`/orchestrator/v1/image?name=${encodeURIComponent(name)}`, { idleMs: 5000 });
};

test('an image comes in pieces, and the engine is asked for the next when there is room for it', async () => {
  const pieces = 2000;
  let asked = 0;
  engine = async function* (image) {
    expect(image).toBe('registry:5000/a/b:1.2');
    for (; asked < pieces; asked++) yield new Uint8Array(64 << 10).fill(asked % 251);
  };
  const answer = await open('registry:5000/a/b:1.2');
  expect(answer.status).toBe(200);
  const waits = await waitFor(systemClock, 5000, () => (asked > 3 ? asked : undefined));
  // What sockets hold of it: far from the 125 MiB that there are
  expect(waits).toBeLessThan(pieces / 2);
  let size = 0;
  for await (const bytes of answer.body) size += bytes.length;
  expect(size).toBe(pieces << 16);
});

test('an engine that fails on the way breaks the answer off', async () => {
  engine = async function* () {
    yield new Uint8Array(1 << 20);
    throw new AntirioError('unavailable', 'the engine is gone');
  };
  const answer = await open('x:1');
  const reading = (async () => {
    for await (const _ of answer.body);
  })();
  await expect(reading).rejects.toMatchObject({ code: 'unavailable' });
});

test('two at once, and whoever leaves makes room', async () => {
  let ended = 0;
  engine = async function* () {
    try {
      for (;;) yield new Uint8Array(1 << 20);
    } finally {
      ended++;
    }
  };
  const two = [await open('x:1'), await open('x:1')];
  expect((await open('x:1')).status).toBe(429);
  for (const { close: leave } of two) leave();
  await waitFor(systemClock, 5000, () => (ended === 2 ? true : undefined));
  const third = await open('x:1');
  expect(third.status).toBe(200);
  third.close();
});

test.each(['', '../containers', '-x', 'a/../../b', 'x?y=1', 'x y'])('no image: %s', async (name) => {
  const { status } = await http.call({ path: `/orchestrator/v1/image?name=${encodeURIComponent(name)}` });
  expect(status).toBe(400);
});
