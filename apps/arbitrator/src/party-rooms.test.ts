import { expect, test } from '@jest/globals';
import type { HttpCall, HttpPeer } from '@antirio/host';
import type { ContractTerms } from '@antirio/service-contract';
import { partyRooms } from './party-rooms.ts';

type Answers = (call: HttpCall) => { readonly status: number; readonly json: unknown };

function room(calls: HttpCall[], answer: Answers): HttpPeer {
  return {
    call: (call: HttpCall) => {
      calls.push(call);
      const { status, json } = answer(call);
      const body = Buffer.from(JSON.stringify(json));
      return Promise.resolve({
        status,
        headers: {},
        body,
        json: () => json,
        text: () => JSON.stringify(json),
      });
    },
  } as unknown as HttpPeer;
}

const TERMS = { contractId: 'C', standby: 'hot', image: { imageCid: 'one' } } as unknown as ContractTerms;
const GIVEN = { service: { serviceName: 'lora' } } as never;

function rooms(service: Answers, fetched: unknown, mac?: string) {
  const calls: HttpCall[] = [];
  const peers = {
    gatewayBridge: room([], () => ({ status: 404, json: {} })),
    orchestrator: room(calls, service),
    migration: room([], () => ({ status: 200, json: fetched })),
  };
  const puts = () => calls.filter(({ method }) => method === 'PUT').map(({ json }) => json);
  return {
    rooms: partyRooms(
      peers,
      () => 0,
      () => [],
      () => mac,
    ),
    puts,
  };
}

test.each(['FETCHING', 'FAILED'])(
  'a version that is %s keeps nothing from the one that acts',
  async (state) => {
    const current = { role: 'current', observed: 'standby', archive: '/images/two.tar' };
    const edge = rooms(() => ({ status: 200, json: current }), { state });
    expect(await edge.rooms.service(TERMS, GIVEN, 'active')).toBe('standby');
    expect(edge.puts()).toEqual([
      expect.objectContaining({
        desired: 'active',
        archive: '/images/two.tar',
        service: { serviceName: 'lora' },
      }),
    ]);
  },
);

test('what was fetched is run where there is no service yet', async () => {
  const fetched = { state: 'DOWNLOADED', archive: '/images/one.tar', configuration: { netId: '000013' } };
  const edge = rooms(({ method }) => ({ status: method === 'PUT' ? 202 : 404, json: {} }), fetched);
  await edge.rooms.service(TERMS, GIVEN, 'standby');
  expect(edge.puts()).toEqual([
    expect.objectContaining({
      archive: '/images/one.tar',
      service: { serviceName: 'lora', configuration: { netId: '000013' } },
    }),
  ]);
});

test('with its keys a service is told how the devices listen, where a room takes as much', async () => {
  const current = { role: 'current', observed: 'needsSecrets', archive: '/images/two.tar' };
  const keys = { keyVersion: 1, sessions: [], forwarding: { key: '00'.repeat(32) } };
  const given = async (mac: string): Promise<unknown> => {
    const edge = rooms(() => ({ status: 200, json: current }), {}, mac);
    await edge.rooms.service(TERMS, GIVEN, 'active', keys);
    return (edge.puts()[0] as { secrets: unknown }).secrets;
  };
  expect(await given('packed')).toEqual({ keyVersion: 1, sessions: [], mac: 'packed' });
  expect(await given('x'.repeat(1 << 20))).toEqual({ keyVersion: 1, sessions: [] });
});

test('a ring tells its owner of the joins that were answered, and the owner’s reads no frame before it knows them', async () => {
  const set = { setId: 'S', devices: [{ devEui: 'aa', devAddr: '01000001' }] };
  const about = {
    provider: 'ben',
    customer: 'ada',
    set,
    devAddrRange: { first: '02000000', last: '020000ff' },
  };
  const terms = { ...TERMS, ...about, rootKeys: true } as unknown as ContractTerms;
  const calls: HttpCall[] = [];
  const status = {
    edgeId: 'ben',
    ringId: 'C',
    pulledThrough: 0,
    remoteNext: 1,
    remoteJoins: 3,
    next: 1,
    acknowledged: 0,
  };
  const bridge = room(calls, () => ({ status: 200, json: status }));
  const nowhere = room([], () => ({ status: 404, json: {} }));
  const told: number[] = [];
  let known = 1;
  const joins = {
    answered: () => 2,
    known: () => known,
    told: (_: unknown, count: number) => void told.push(count),
  };
  const joined = [{ devEui: 'aa', devAddr: '02000001' }];
  const peers = { gatewayBridge: bridge, orchestrator: nowhere, migration: nowhere };
  const edge = partyRooms(
    peers,
    () => 0,
    () => joined,
    () => undefined,
    joins,
  );
  const puts = () => calls.splice(0).flatMap(({ method, json }) => (method === 'PUT' ? [json] : []));
  await edge.cover(terms);
  expect(puts()).toEqual([expect.objectContaining({ devAddrs: ['01000001', '02000001'], joins: 2 })]);
  await edge.fillFrom(terms);
  expect(puts()).toEqual([{ edgeId: 'ben', ringId: 'C', joins: 1 }]);
  known = 3;
  await edge.fillFrom(terms);
  await edge.fillFrom(terms);
  expect([puts(), told]).toEqual([[{ edgeId: 'ben', ringId: 'C', joins: 3 }], [3, 3, 3]]);
  // without root keys nobody waits for any
  await edge.fillFrom({ ...terms, rootKeys: undefined });
  expect([puts(), told.length]).toEqual([[{ edgeId: 'ben', ringId: 'C' }], 3]);
});
