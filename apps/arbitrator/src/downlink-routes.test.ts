import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { silentLog, systemRandom, type Bus, type BusHandler, type HttpRim } from '@antirio/host';
import { customer, provider, terms, witness } from './escrow.fixture.ts';
import { addDownlinkRoutes } from './downlink-routes.ts';

type Handler = (given: { params: object; body?: unknown; query?: unknown; request: unknown }) => unknown;
const { contractId, set } = terms;
const [{ devEui } = { devEui: '' }] = set.devices;

let handlers: Map<string, Handler>;
let asked: { topic: string; body: Record<string, unknown> }[];
/** What the contract's service says; it is silent without. */
let says: object | undefined;
let role: 'customer' | 'provider';
let phase: string;
let appointed: { speaker: string; until: number } | undefined;
let routes: { close(): Promise<void> };

beforeEach(() => {
  handlers = new Map();
  [asked, says, role, phase] = [[], undefined, 'provider', 'active'];
  appointed = { speaker: witness.edgeId, until: 1000 };
  const told: BusHandler[] = [];
  const bus = {
    subscribe: (_topic: string, handler: BusHandler) => {
      told.push(handler);
      return Promise.resolve({ close: () => Promise.resolve() });
    },
    publish: (topic: string, text: string) => {
      const body = JSON.parse(text) as Record<string, unknown>;
      asked.push({ topic, body });
      const { requestId } = body;
      const answer = Buffer.from(JSON.stringify({ requestId, ...says }));
      // of another guest it counts for nothing
      const others = Buffer.from(JSON.stringify({ requestId, counter: 'forged' }));
      for (const handler of told) {
        void handler('contract/other/antirio/downlink/told', others);
        if (says !== undefined) void handler(`contract/${contractId}/antirio/downlink/told`, answer);
      }
      return Promise.resolve();
    },
  } as unknown as Bus;
  const rim = {
    route: (method: string, path: string, _about: object, handler: Handler) =>
      void handlers.set(`${method} ${path.replace('/arbitrator/v1/', '').replace('/:id', '')}`, handler),
  } as unknown as HttpRim;
  routes = addDownlinkRoutes(rim, {
    ...{ bus, random: systemRandom, log: silentLog },
    store: { get: (id) => (id === contractId ? { terms, role, signatures: {} } : undefined) },
    ledger: { fetch: <T>() => Promise.resolve(appointed as T | undefined), time: () => Promise.resolve(900) },
    phaseOf: () => ({ at: phase }),
  });
});
afterEach(() => routes.close());

const ask = async (what: string, given: object, by: string = customer.edgeId): Promise<unknown> => {
  const whole = { devEui, requestId: 'r', ...given };
  const request = { get: () => (by === '' ? undefined : by) };
  return handlers.get(what)?.({ params: { id: contractId }, body: whole, query: whole, request });
};
const COUNTER = 'post contract/downlink/counter';
const BY_SPEAKER = 'post speaker/downlink/counter';

test('the service of the contract is asked, for its customer and for who speaks for that', async () => {
  says = { counter: { fCntDown: 16 } };
  expect(await ask(COUNTER, {})).toEqual(says);
  expect(await ask(BY_SPEAKER, {}, witness.edgeId)).toEqual(says);
  expect(asked[0]).toMatchObject({
    topic: `contract/${contractId}/antirio/downlink/asked`,
    body: { want: 'counter', devEui, key: 'r' },
  });
  says = { downlink: { state: 'queued' } };
  const downlink = { session: '00'.repeat(8), fCntDown: 16, payload: '0a', fPort: 5, confirmed: true };
  expect(await ask('post contract/downlink', downlink)).toEqual(says);
  expect(asked[2]?.body).toMatchObject({ want: 'queue', devEui, downlink });
  expect(await ask('get contract/downlink', { session: downlink.session, fCntDown: 16 })).toEqual(says);
  expect(asked[3]?.body).toMatchObject({ want: 'state', devEui, session: downlink.session, fCntDown: 16 });
});

test('nobody else asks it', async () => {
  says = { counter: {} };
  const forbidden = { code: 'forbidden' };
  for (const by of [provider.edgeId, witness.edgeId, ''])
    await expect(ask(COUNTER, {}, by)).rejects.toMatchObject(forbidden);
  for (const by of [provider.edgeId, customer.edgeId, ''])
    await expect(ask(BY_SPEAKER, {}, by)).rejects.toMatchObject(forbidden);
  appointed = { speaker: witness.edgeId, until: 900 };
  await expect(ask(BY_SPEAKER, {}, witness.edgeId)).rejects.toMatchObject(forbidden);
  appointed = undefined;
  await expect(ask(BY_SPEAKER, {}, witness.edgeId)).rejects.toMatchObject(forbidden);
  role = 'customer';
  await expect(ask(COUNTER, {})).rejects.toMatchObject(forbidden);
  expect(asked).toEqual([]);
});

test('who does not act for the device says so, and what the service refuses is refused', async () => {
  says = { counter: {} };
  await expect(ask(COUNTER, { devEui: 'ff'.repeat(8) })).rejects.toMatchObject({ code: 'invalidInput' });
  phase = 'ready';
  await expect(ask(COUNTER, {})).rejects.toMatchObject({ code: 'conflict' });
  expect(asked).toEqual([]);
  // what became of one is told when it serves no more, too
  says = {};
  expect(await ask('get contract/downlink', { session: '00'.repeat(8), fCntDown: 1 })).toEqual({});
  phase = 'active';
  says = { error: { code: 'gone', message: 'encrypt it again' } };
  await expect(ask(COUNTER, {})).rejects.toMatchObject({ code: 'gone', message: 'encrypt it again' });
  says = { error: { code: 'nonsense', message: 'x' } };
  await expect(ask(COUNTER, {})).rejects.toMatchObject({ code: 'unavailable' });
});
