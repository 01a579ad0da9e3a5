import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  createHttpRim,
  httpPeer,
  type HttpAnswer,
  type HttpCall,
  type HttpPeer,
  type HttpRim,
  silentLog,
} from '@antirio/host';
import { AntirioError, fromUtf8, utf8 } from '@antirio/kernel';
import { parseJsonBytes } from '@antirio/edgex-contracts';
import type { OrchestratorStore } from '../store.ts';
import { bringHome } from './bring-home.ts';
import { addGuestEventsRoute, GUEST_PAGE } from './guest-events.ts';

const CONTRACT = '4e6a1f0c-7d63-4c1a-9a07-0d2f5f6f2b11';
const CUSTOMER = 'the-customer';
const ORIGIN = '1700000000123456789';

const answer = (status: number, text: string): HttpAnswer => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: utf8(text),
  json: () => JSON.parse(text) as unknown,
});

/** What the provider's core-data was asked to hold no more. */
const released: string[] = [];

/** The provider's core-data: events of one device, in its own names, the newest first. */
function providersCoreData(count: number, bytes = 0): HttpPeer {
  const picture = '.'.repeat(bytes);
  return {
    call({ method, path, maxAnswerBytes = Infinity }) {
      if (method === 'DELETE') return Promise.resolve(answer(released.push(path) > 1 ? 404 : 204, '{}'));
      const url = new URL(path, 'http://core-data');
      expect(decodeURIComponent(url.pathname)).toBe(`/api/v3/event/device/name/${CONTRACT}.drone-1`);
      const [offset, limit] = ['offset', 'limit'].map((name) => Number(url.searchParams.get(name)));
      const all = Array.from({ length: count }, (_, i) => i).slice(offset, (offset ?? 0) + (limit ?? 0));
      const events = all.map(
        (i) =>
          `{"apiVersion":"v3","id":"event-${i}","deviceName":"${CONTRACT}.drone-1","profileName":"${CONTRACT}.camera","sourceName":"frame","origin":${ORIGIN},"readings":[{"deviceName":"${CONTRACT}.drone-1","profileName":"${CONTRACT}.camera","value":"${i}${picture}"}]}`,
      );
      if (events.join().length > maxAnswerBytes)
        return Promise.reject(new AntirioError('tooLarge', 'over it'));
      return Promise.resolve(
        answer(200, `{"apiVersion":"v3","statusCode":200,"totalCount":${count},"events":[${events.join()}]}`),
      );
    },
    close: () => undefined,
  };
}

describe('what a customer’s service stored at its provider', () => {
  let rim: HttpRim;
  let orchestrator: HttpPeer;
  let asker = CUSTOMER;
  let coreDataOfProvider = providersCoreData(0);
  const kept = new Map<string, string>();
  let full = false;
  const home = {
    arbitrator: {
      call: () => Promise.resolve(answer(200, '{"terms":{"provider":"prov"}}')),
      close: () => undefined,
    },
    edge2edge: {
      call: ({ path, ...call }: HttpCall) => {
        const prefix = '/edge2edge/peer/prov/orchestrator';
        expect(path.startsWith(prefix)).toBe(true);
        const headers = { 'x-antirio-peer': asker };
        return orchestrator.call({ ...call, path: path.slice(prefix.length), headers });
      },
      close: () => undefined,
    },
    coreData: {
      call: ({ body, path }: HttpCall) => {
        expect(path).toBe('/api/v3/event/pre/camera/drone-1/frame');
        const text = fromUtf8(body ?? new Uint8Array());
        const { event } = parseJsonBytes(utf8(text)) as { event: { id: string } };
        if (full) return Promise.resolve(answer(507, '{}'));
        const isThere = kept.has(event.id);
        if (!isThere) kept.set(event.id, text);
        return Promise.resolve(answer(isThere ? 409 : 201, '{}'));
      },
      close: () => undefined,
    },
  };
  const bring = () => bringHome({ contractId: CONTRACT, devices: ['drone-1'], service: 'pre' }, home);

  beforeAll(async () => {
    rim = createHttpRim({
      ...{ serviceKey: 'orchestrator', version: '0', config: () => ({}), health: () => ({}) },
      ...{ log: silentLog, clock: { now: () => 0 } },
    });
    const store = { providers: { get: () => ({ edgeId: CUSTOMER }) } } as unknown as OrchestratorStore;
    const coreData: HttpPeer = { call: (call) => coreDataOfProvider.call(call), close: () => undefined };
    addGuestEventsRoute(rim, { store, coreData });
    orchestrator = httpPeer({ url: `http://127.0.0.1:${await rim.listen(0, '127.0.0.1')}` });
  });
  beforeEach(() => {
    kept.clear();
    released.length = 0;
    full = false;
    asker = CUSTOMER;
  });
  afterAll(async () => {
    orchestrator.close();
    await rim.close();
  });

  test('comes home whole, page by page, under its own names, with all digits, and once', async () => {
    const count = 2 * GUEST_PAGE + 7;
    coreDataOfProvider = providersCoreData(count);
    await expect(bring()).resolves.toEqual({ events: count, hereBefore: 0 });
    expect(kept.size).toBe(count);
    expect(kept.get('event-3')).toContain(`"origin":${ORIGIN}`);
    expect([...kept.values()].join()).not.toContain(CONTRACT);
    expect(released).toEqual([`/api/v3/hold/${CONTRACT}`]);
    await expect(bring()).resolves.toEqual({ events: count, hereBefore: count });
    expect(kept.size).toBe(count);
  });

  test('events of which a page is too large for an answer come home in smaller pages', async () => {
    coreDataOfProvider = providersCoreData(10, 1 << 20);
    await expect(bring()).resolves.toEqual({ events: 10, hereBefore: 0 });
    expect(kept.size).toBe(10);
  });

  test('of a service that stored nothing there is nothing', async () => {
    coreDataOfProvider = providersCoreData(0);
    await expect(bring()).resolves.toEqual({ events: 0, hereBefore: 0 });
  });

  test('is not home before it is on the disk here', async () => {
    coreDataOfProvider = providersCoreData(3);
    full = true;
    await expect(bring()).rejects.toMatchObject({ code: 'unavailable' });
    expect([kept.size, released]).toEqual([0, []]);
  });

  test('is held until its customer says that it is home, which no other edge may', async () => {
    const path = `/orchestrator/v1/guest/${CONTRACT}/home`;
    const tell = async (peer: string): Promise<number> =>
      (await orchestrator.call({ method: 'POST', path, json: {}, headers: { 'x-antirio-peer': peer } }))
        .status;
    expect(await tell('another-edge')).toBe(403);
    expect(released).toEqual([]);
    expect(await tell(CUSTOMER)).toBe(200);
    expect(await tell(CUSTOMER)).toBe(200);
    expect(released).toHaveLength(2);
  });

  test('is told to its customer alone', async () => {
    coreDataOfProvider = providersCoreData(3);
    asker = 'another-edge';
    await expect(bring()).rejects.toMatchObject({ code: 'unavailable' });
    expect(kept.size).toBe(0);
  });

  describe('from a provider that lies', () => {
    const forged = { id: 'event-0', deviceName: 'mote-1', profileName: 'camera', sourceName: 'frame' };
    let pages = 0;
    const bringFrom = (page: (index: number) => unknown) => {
      pages = 0;
      const call = ({ method }: HttpCall) =>
        Promise.resolve(answer(200, method === 'POST' ? '{}' : JSON.stringify(page(pages++))));
      const edge2edge = { call, close: () => undefined };
      const what = { contractId: CONTRACT, devices: ['drone-1'], service: 'pre' };
      return bringHome(what, { ...home, edge2edge });
    };

    test.each([
      ['an event', { ...forged, readings: [{ deviceName: 'mote-1' }] }],
      ['a reading', { ...forged, deviceName: 'drone-1', readings: [{ deviceName: 'mote-1' }] }],
      ['a reading without a device', { ...forged, deviceName: 'drone-1', readings: [{}] }],
    ])('%s of another device is not stored', async (_, event) => {
      const bringing = bringFrom(() => ({ totalCount: 1, events: [event] }));
      await expect(bringing).rejects.toMatchObject({ code: 'unavailable' });
      expect(kept.size).toBe(0);
    });

    test('pages without events are the end', async () => {
      const lies = bringFrom((index) => {
        if (index > 5) throw new Error('asked again and again');
        return { totalCount: 1000, events: [] };
      });
      await expect(lies).resolves.toEqual({ events: 0, hereBefore: 0 });
      expect(pages).toBe(1);
    });

    test('a count that grows with what is read does not put the end off', async () => {
      const readings = [{ deviceName: 'drone-1' }];
      const lies = bringFrom((index) => {
        if (index > 5) throw new Error('asked again and again');
        return {
          totalCount: index + 2,
          events: [{ ...forged, id: `event-${index}`, deviceName: 'drone-1', readings }],
        };
      });
      await expect(lies).resolves.toEqual({ events: 2, hereBefore: 0 });
    });

    test('a count that no device has is refused before anything is stored', async () => {
      const lies = bringFrom((index) => {
        if (index > 5) throw new Error('asked again and again');
        return { totalCount: Number.MAX_SAFE_INTEGER, events: [] };
      });
      await expect(lies).rejects.toMatchObject({ code: 'unavailable' });
    });
  });
});
