import { expect, test } from '@jest/globals';
import type { HttpCall, HttpPeer } from '@antirio/host';
import type { Observed } from '@antirio/service-contract';
import { createCustomerSight } from './customer-sight.ts';
import { terms } from './escrow.fixture.ts';
import { senseEdge } from './room-senses.ts';

type Answer = { readonly status: number; readonly json: unknown } | undefined;

function room(answer: (call: HttpCall) => Answer, calls: HttpCall[] = []): HttpPeer {
  return {
    async call(call: HttpCall) {
      calls.push(call);
      const told = answer(call);
      if (told === undefined) throw new Error('no answer');
      const { status, json } = told;
      return { status, headers: {}, body: Buffer.from(JSON.stringify(json)), json: () => json };
    },
  } as unknown as HttpPeer;
}

const ready = (checks: object, status = 200): Answer => ({ status, json: { checks } });
const good = room(() => ready({ store: { ok: true } }));
const bridge = room(({ path }) => {
  if (path === '/api/v3/ready') return ready({ store: { ok: true } });
  if (path === '/api/v3/ring/own') return { status: 200, json: { next: 9, acknowledged: 6 } };
  return { status: 200, json: { gateways: [{ gatewayId: 'aa', heardAgoMs: 3, pulledAgoMs: 1 }] } };
});
const dead = room(() => undefined);
const measured = () => ({ cpuPermille: 10 });

test('what the rooms say of themselves: well, without a word, or unable to store', async () => {
  const all = { gatewayBridge: bridge, deviceLora: good, coreData: good };
  expect(await senseEdge(all, bridge, measured)).toEqual({
    storeOk: true,
    gateways: [{ id: 'aa', heardMsAgo: 1, uplinkMsAgo: 3 }],
    rooms: { gatewayBridge: 'well', deviceLora: 'well', coreData: 'well' },
    load: { cpuPermille: 10, queue: 2 },
  });
  const full = room(() => ready({ store: { ok: false } }, 503));
  const starting = room(() => ready({ service: { ok: false } }, 503));
  const ill = { gatewayBridge: bridge, deviceLora: starting, coreData: full };
  expect((await senseEdge(ill, bridge, measured)).rooms).toEqual({
    gatewayBridge: 'well',
    deviceLora: 'silent',
    coreData: 'refusing',
  });
  const broken = room(() => ({ status: 500, json: {} }));
  expect((await senseEdge({ ...all, coreData: broken }, bridge, measured)).rooms).toMatchObject({
    coreData: 'silent',
  });
});

test('a bridge without a word is asked once, with a limit, and nothing else is said of it', async () => {
  const calls: HttpCall[] = [];
  const silent = room(() => undefined, calls);
  const sensed = await senseEdge({ gatewayBridge: silent, coreData: good }, silent, measured);
  expect(sensed).toEqual({
    storeOk: true,
    rooms: { gatewayBridge: 'silent', coreData: 'well' },
    load: { cpuPermille: 10 },
  });
  expect(calls.map(({ path, timeoutMs }) => [path, timeoutMs])).toEqual([['/api/v3/ready', 2000]]);
});

test('a customer sees that its own bridge is dead, and that it fills nothing', async () => {
  let source: Observed['source'] = { pulledThrough: 7, caughtUp: true };
  const sight = createCustomerSight({
    terms,
    rooms: {
      senses: () => senseEdge({ gatewayBridge: source === undefined ? dead : bridge }, bridge, measured),
      fillFrom: () =>
        source === undefined ? Promise.reject(new Error('no answer')) : Promise.resolve(source),
    },
    store: { writes: { ok: () => true, failed: () => undefined } },
    log: { warn: () => undefined, info: () => undefined } as never,
  });
  expect(await sight(true)).toMatchObject({ source, rooms: { gatewayBridge: 'well' } });
  source = undefined;
  expect(await sight(true)).toMatchObject({
    source: { pulledThrough: 7, caughtUp: false },
    rooms: { gatewayBridge: 'silent' },
    storeOk: true,
  });
  expect((await sight(false)).source).toBeUndefined();
});

test('a bridge that stays dead is told of once for each thing that is wrong, and once when it fills again', async () => {
  const told: string[] = [];
  let wrong: string | undefined = 'refused';
  const sight = createCustomerSight({
    terms,
    rooms: {
      senses: () => Promise.resolve({}),
      fillFrom: () =>
        wrong === undefined
          ? Promise.resolve({ pulledThrough: 1, caughtUp: true })
          : Promise.reject(new Error(wrong)),
    },
    store: { writes: { ok: () => true, failed: () => undefined } },
    log: { warn: () => told.push(`warn ${wrong}`), info: () => told.push('info') } as never,
  });
  for (const next of ['refused', 'silent', undefined, 'refused']) {
    wrong = next;
    for (let look = 0; look < 20; look++) await sight(true);
  }
  expect(told).toEqual(['warn refused', 'warn silent', 'info', 'warn refused']);
});
