import { Writable } from 'node:stream';
import { afterEach, expect, test } from '@jest/globals';
import { z } from 'zod';
import {
  callJson,
  createHttpRim,
  createLog,
  currentCorrelation,
  httpPeer,
  systemClock,
  waitFor,
  withCorrelation,
  type HttpPeer,
  type HttpRim,
} from './index.ts';

interface Line {
  readonly name: string;
  readonly msg: string;
  readonly correlationId?: string;
}

const lines: Line[] = [];
const rims: HttpRim[] = [];
const peers: HttpPeer[] = [];

const memory = new Writable({
  write(chunk: Buffer, _encoding, done) {
    lines.push(JSON.parse(chunk.toString()) as Line);
    done();
  },
});

afterEach(async () => {
  lines.length = 0;
  for (const peer of peers.splice(0)) peer.close();
  await Promise.all(rims.splice(0).map((rim) => rim.close()));
});

/** A service that logs, and asks the next one what it heard. */
async function service(name: string, next?: HttpPeer, repeatable = false): Promise<HttpPeer> {
  const log = createLog(name, 'debug', memory);
  const rim = createHttpRim({
    serviceKey: name,
    version: '1',
    config: () => ({}),
    health: () => ({}),
    log,
    clock: systemClock,
  });
  rim.route(
    'post',
    '/ask',
    { summary: 'on', body: z.object({ n: z.number() }) },
    async ({ request, body }) => {
      log.info(`at work ${body.n}`);
      const further =
        next === undefined
          ? []
          : await callJson(next, { method: 'POST', path: '/ask', json: body, repeatable });
      return [request.get('x-correlation-id'), ...(further as string[])];
    },
  );
  rim.route('post', '/fail', { summary: 'fails' }, () => {
    throw new TypeError('planted');
  });
  rims.push(rim);
  const peer = httpPeer({ url: `http://127.0.0.1:${await rim.listen(0, '127.0.0.1')}` });
  peers.push(peer);
  return peer;
}

const post = (path: string, n: number, id?: string) =>
  ({
    method: 'POST',
    path,
    json: { n },
    ...(id === undefined ? {} : { headers: { 'x-correlation-id': id } }),
  }) as const;

test('one id goes through three services, and stands in the lines of each', async () => {
  const first = await service('one', await service('two', await service('three'), true));
  const ids = ['a-1', 'b-2', 'c-3'];
  const heard = await Promise.all(ids.map((id, n) => callJson(first, post('/ask', n, id))));
  expect(heard).toEqual(ids.map((id) => [id, id, id]));
  await waitFor(
    systemClock,
    3000,
    () => lines.filter(({ msg }) => msg === 'answered').length === 9 || undefined,
  );
  for (const [n, id] of ids.entries()) {
    const about = lines.filter(({ correlationId }) => correlationId === id);
    expect(about.filter(({ msg }) => msg === `at work ${n}`).map(({ name }) => name)).toEqual([
      'one',
      'two',
      'three',
    ]);
    expect(about.filter(({ msg }) => msg === 'answered')).toHaveLength(3);
  }
});

test('a request without an id gets one for what follows; one that is none is not taken', async () => {
  const first = await service('one', await service('two'));
  const { json, headers } = await first.call(post('/ask', 1));
  const [asked, further] = json() as [string | null, string];
  expect([asked, headers['x-correlation-id']]).toEqual([null, undefined]);
  expect(further).toMatch(/^[0-9a-f-]{36}$/);
  const long = 'x'.repeat(129);
  const refused = await first.call(post('/ask', 1, long));
  expect((refused.json() as string[])[1]).not.toBe(long);
  expect(refused.headers['x-correlation-id']).toBeUndefined();
});

test('what failed is logged under its id', async () => {
  const first = await service('one');
  expect((await first.call(post('/fail', 1, 'f-1'))).status).toBe(500);
  const failed = lines.find(({ msg }) => msg === 'request failed');
  expect(failed).toMatchObject({ name: 'one', correlationId: 'f-1' });
});

test('an id is of the work that it was given for, and of no other', async () => {
  const seen = await Promise.all([
    withCorrelation('a', async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return currentCorrelation();
    }),
    withCorrelation('no id: it has blanks', () => Promise.resolve(currentCorrelation())),
    Promise.resolve(currentCorrelation()),
  ]);
  expect(seen).toEqual(['a', undefined, undefined]);
});
