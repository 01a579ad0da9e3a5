import { createSocket } from 'node:dgram';
import { request as startRequest } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { httpPeer, type HttpAnswer } from '@antirio/host';
import {
  fromUtf8,
  generateIdentity,
  openIdentity,
  utf8,
  uuidV4,
  verifyDocument,
  type Identity,
} from '@antirio/kernel';
import { systemRandom } from '@antirio/host';
import { encodeDatagram } from './datagram-codec.ts';
import { introduce, startEdge, until, type TestEdge } from './edges.fixture.ts';
import { HEADERS, signRequest } from './request-signature.ts';

const contractId = uuidV4(systemRandom);
let a: TestEdge;
let b: TestEdge;
let stranger: TestEdge;

beforeAll(async () => {
  [a, b, stranger] = await Promise.all([startEdge(), startEdge(), startEdge()]);
  await Promise.all([introduce(a, b), introduce(b, a), introduce(stranger, b)]);
});
afterAll(async () => {
  await Promise.all([a, b, stranger].map((edge) => edge.close()));
});

const terms = (): object => ({ terms: { customer: a.identity.edgeId, provider: b.identity.edgeId } });
const textOf = (answer: HttpAnswer): string => fromUtf8(answer.body);

beforeEach(() => {
  for (const edge of [a, b])
    edge.rooms.arbitrator.answer = ({ url }) =>
      url.endsWith(contractId) ? { status: 200, body: terms() } : { status: 404, body: {} };
  for (const room of Object.values(b.rooms)) room.asked.length = 0;
  b.rooms.gatewayBridge.answer = () => ({ status: 200, body: { ok: true } });
});

const toB = (path: string): string => `/edge2edge/peer/${b.identity.edgeId}${path}`;
const offers = `/gateway-bridge/api/v3/ring/${contractId}/offers?after=3&limit=10`;

describe('a room of another edge', () => {
  test('is asked with the name of who asks, and its answer comes back as it is', async () => {
    b.rooms.gatewayBridge.answer = () => ({ status: 418, body: { offers: ['ü'] } });
    const answer = await a.local.call({ path: toB(offers), headers: { 'x-antirio-peer': 'me' } });
    expect(answer.status).toBe(418);
    expect(answer.json()).toEqual({ offers: ['ü'] });
    expect(b.rooms.gatewayBridge.asked).toEqual([
      {
        method: 'GET',
        url: `/api/v3/ring/${contractId}/offers?after=3&limit=10`,
        peer: a.identity.edgeId,
        body: '',
      },
    ]);
  });

  test('or of the own one hears no other name than the edge’s, whatever the caller says', async () => {
    const path = `/edge2edge/peer/${b.identity.edgeId}${offers}`;
    for (const name of ['x-antirio-peer', 'X-Antirio-Peer'])
      expect((await b.local.call({ path, headers: { [name]: a.identity.edgeId } })).status).toBe(200);
    expect(b.rooms.gatewayBridge.asked.map(({ peer }) => peer)).toEqual([undefined, undefined]);
  });

  test('gets bodies byte by byte', async () => {
    const body = utf8('{ "seqs" : [1,2,  3] }');
    const path = toB(`/gateway-bridge/api/v3/ring/${contractId}/frames`);
    await a.local.call({ method: 'POST', path, body, headers: { 'content-type': 'application/json' } });
    expect(b.rooms.gatewayBridge.asked[0]?.body).toBe('{ "seqs" : [1,2,  3] }');
  });

  test('is not reached by those who are no party to the contract, nor for contracts that are not there', async () => {
    const foreign = await stranger.local.call({ path: toB(offers) });
    expect([foreign.status, textOf(foreign)]).toEqual([403, expect.stringContaining('only for the parties')]);
    const unknown = await a.local.call({
      path: toB(`/gateway-bridge/api/v3/ring/${uuidV4(systemRandom)}/offers`),
    });
    expect(unknown.status).toBe(403);
    expect(b.rooms.gatewayBridge.asked).toEqual([]);
  });

  test('is reached only where the table says so', async () => {
    const closed = [
      ['PUT', `/gateway-bridge/api/v3/ring/${contractId}`],
      ['DELETE', `/gateway-bridge/api/v3/ring/${contractId}`],
      ['GET', '/gateway-bridge/api/v3/ring'],
      ['PUT', '/gateway-bridge/api/v3/fence/s'],
      ['GET', '/core-data/api/v3/event/all'],
      ['POST', '/arbitrator/v1/contract'],
      ['POST', '/arbitrator/arbitrator/v1/contract'],
      ['POST', '/arbitrator/arbitrator/v1/central/take'],
      ['POST', '/ledger/ledger/v1/tx'],
      ['GET', `/edge2edge/edge2edge/peer/${a.identity.edgeId}/dmu/x`],
      ['GET', `/gateway-bridge/api/v3/ring/${contractId}/offers/../../../fence`],
      ['GET', `/gateway-bridge/api/v3/ring/${contractId}%2f..%2f..%2ffence/offers`],
      ['GET', '/filecoin-interface/ipfs/../api/v3/storage/object'],
      ['GET', '/filecoin-interface/ipfs/%2e%2e/filecoin_interface'],
    ] as const;
    for (const [method, path] of closed) {
      const answer = await a.local.call({ method, path: toB(path) });
      // Refused before the request is looked at: no signed answer, so no word that a room could rest on.
      expect([path, answer.status]).toEqual([path, 503]);
    }
    expect(Object.values(b.rooms).flatMap((room) => room.asked)).toEqual([]);
  });

  test('answers strangers only what is open to everybody', async () => {
    expect((await stranger.local.call({ path: toB('/edge2edge/api/v3/ping') })).status).toBe(200);
    const cid = await stranger.local.call({ path: toB('/filecoin-interface/ipfs/bafy?format=raw') });
    expect([cid.status, textOf(cid)]).toEqual([403, expect.stringContaining('not known here')]);
    expect((await a.local.call({ path: toB('/filecoin-interface/ipfs/bafy?format=raw') })).status).toBe(200);
    expect(b.rooms.filecoinInterface.asked.map(({ url }) => url)).toEqual(['/ipfs/bafy?format=raw']);
  });

  test('is asked neither twice nor too often', async () => {
    let busy = 0;
    for (let i = 0; i < 15; i++)
      if ((await stranger.local.call({ path: toB('/edge2edge/api/v3/version') })).status === 429) busy += 1;
    expect(busy).toBeGreaterThan(0);
    expect((await a.local.call({ path: toB('/edge2edge/api/v3/version') })).status).toBe(200);
  });

  test('fails clearly when it is unknown, gone, or answers too much', async () => {
    const nobody = openIdentity(generateIdentity()).edgeId;
    const cases = [
      [`/edge2edge/peer/${nobody}/dmu/x`, 404],
      ['/edge2edge/peer/12D3KooWnonsense/dmu/x', 400],
      ['/edge2edge/peer/central/ledger/ledger/v1/head', 404],
    ] as const;
    for (const [path, status] of cases)
      expect([path, (await a.local.call({ path })).status]).toEqual([path, status]);
    const large = { method: 'POST', path: toB(offers), body: Buffer.alloc((1 << 20) + 1) } as const;
    expect((await a.local.call(large)).status).toBe(413);
    b.rooms.gatewayBridge.answer = () => ({ status: 200, body: 'x'.repeat(5 << 20) });
    expect((await a.local.call({ path: toB(offers) })).status).toBe(413);
  });

  test('answers again after it was started anew, whatever challenge was in force before', async () => {
    expect((await a.local.call({ path: toB(offers) })).status).toBe(200);
    await b.restart({ peerPort: b.edge.peerPort, udpPort: b.edge.udpPort });
    await Promise.all(
      [1, 2, 3, 4].map(async () => expect((await a.local.call({ path: toB(offers) })).status).toBe(200)),
    );
  });
});

describe('a request from outside', () => {
  const path = (): string => `/gateway-bridge/api/v3/ring/${contractId}/offers`;
  const empty = new Uint8Array(0);

  /** A nonce that the edge takes now. */
  const nonceFor = async (edge: TestEdge): Promise<string> => {
    const peer = httpPeer({ url: edge.url });
    const answer = await peer.call({ path: '/' });
    peer.close();
    return `${String(answer.headers[HEADERS.challenge])}.${systemRandom.bytes(8).join('-')}`;
  };
  const ask = async (headers: Record<string, string>, more: object = {}): Promise<HttpAnswer> => {
    const peer = httpPeer({ url: b.url });
    try {
      return await peer.call({ path: path(), headers, ...more });
    } finally {
      peer.close();
    }
  };
  const signed = async (identity: Identity, more: object = {}): Promise<Record<string, string>> => {
    const nonce = await nonceFor(b);
    return signRequest(identity, {
      method: 'GET',
      path: path(),
      body: empty,
      to: b.identity.edgeId,
      nonce,
      ...more,
    });
  };

  test('counts only with a signature over exactly this request, to us, with a fresh nonce', async () => {
    const good = await signed(a.identity);
    const answer = await ask(good);
    expect(answer.status).toBe(200);
    expect(answer.headers[HEADERS.answer]).toMatch(/=$/);

    const wrong: [string, Record<string, string>, object?][] = [
      ['no headers', {}],
      ['a replay', good],
      ['another name', { ...(await signed(a.identity)), [HEADERS.edge]: stranger.identity.edgeId }],
      ['no edge id', { ...(await signed(a.identity)), [HEADERS.edge]: 'x' }],
      ['another receiver', await signed(a.identity, { to: stranger.identity.edgeId })],
      [
        'another receiver named',
        { ...(await signed(a.identity, { to: stranger.identity.edgeId })), [HEADERS.to]: b.identity.edgeId },
      ],
      ['another method', await signed(a.identity, { method: 'POST' })],
      ['another path', await signed(a.identity, { path: `${path()}?after=0` })],
      ['another body', await signed(a.identity), { method: 'GET', body: utf8('x') }],
      ['an old nonce', await signed(a.identity, { nonce: `${'0'.repeat(32)}.1` })],
      ['a nonce without a challenge', await signed(a.identity, { nonce: 'abc' })],
      ['another nonce', { ...(await signed(a.identity)), [HEADERS.nonce]: await nonceFor(b) }],
      ['a signature of garbage', { ...(await signed(a.identity)), [HEADERS.signature]: '!!' }],
    ];
    const before = b.rooms.gatewayBridge.asked.length;
    for (const [what, headers, more] of wrong) {
      const refused = await ask(headers, more);
      expect([what, refused.status, refused.headers[HEADERS.answer]]).toEqual([what, 401, undefined]);
      expect(refused.json()).toMatchObject({ apiVersion: 'v3', statusCode: 401 });
    }
    expect(b.rooms.gatewayBridge.asked.length).toBe(before);
  });

  test('cannot name the edge itself to the room', async () => {
    await ask({ ...(await signed(a.identity)), [HEADERS.peer]: 'someone' });
    expect(b.rooms.gatewayBridge.asked.at(-1)?.peer).toBe(a.identity.edgeId);
  });

  test('is refused with a body over the limit, announced or not', async () => {
    const body = Buffer.alloc((1 << 20) + 1);
    const post = `/gateway-bridge/api/v3/ring/${contractId}/frames`;
    const headers = await signed(a.identity, { method: 'POST', path: post, body });
    expect((await ask(headers, { method: 'POST', path: post, body })).status).toBe(413);
    const chunked = await new Promise((resolve) => {
      const request = startRequest(`${b.url}${post}`, { method: 'POST', headers }, (response) =>
        resolve(response.statusCode),
      );
      request.on('error', () => resolve('cut off'));
      for (let sent = 0; sent <= 1 << 20; sent += 1 << 16) request.write(Buffer.alloc(1 << 16));
    });
    expect([413, 'cut off']).toContain(chunked);
  });

  test('is not believed to be answered by the edge when someone else answers', async () => {
    // The stranger listens where the book says that an edge is.
    const missing = openIdentity(generateIdentity()).edgeId;
    await a.local.call({ method: 'PUT', path: `/api/v3/peer/${missing}`, json: { url: stranger.url } });
    const answer = await a.local.call({ path: `/edge2edge/peer/${missing}/edge2edge/api/v3/ping` });
    expect([answer.status, textOf(answer)]).toEqual([503, expect.stringContaining('no signed answer')]);
  });
});

describe('datagrams', () => {
  interface Heard {
    readonly from: string;
    readonly kind: string;
    readonly body: unknown;
    readonly receivedAt: number;
    readonly proof: { readonly signature: string };
  }
  let heard: Heard[];
  const raw = createSocket('udp4');

  beforeAll(async () => {
    await b.bus.subscribe(
      'antirio/datagram/in/+',
      (_, payload) => void heard.push(JSON.parse(fromUtf8(payload)) as Heard),
    );
  });
  beforeEach(() => {
    heard = [];
  });
  afterAll(() => void raw.close());

  const counters = async (edge: TestEdge): Promise<Record<string, number>> =>
    (await edge.local.call({ path: '/api/v3/counters' })).json() as Record<string, number>;
  const put = (bytes: Uint8Array): Promise<void> =>
    new Promise((resolve) => raw.send(bytes, b.edge.udpPort, '127.0.0.1', () => resolve()));

  test('go from bus to bus, with their sender and the time of their receipt', async () => {
    const body = { contractId, sequence: 7, nested: { deep: ['ü', 1.5, null] } };
    const before = Number(process.hrtime.bigint()) / 1e6;
    await a.bus.publish(
      'antirio/datagram/out',
      JSON.stringify({ to: b.identity.edgeId, kind: 'beat', body }),
    );
    await until(() => heard.length === 1);
    const [first] = heard;
    expect(first).toMatchObject({ from: a.identity.edgeId, kind: 'beat', body });
    expect(first?.receivedAt).toBeGreaterThanOrEqual(before);
    // what the room shows others is what the sender signed
    const { signature = '', ...envelope } = first?.proof ?? {};
    expect(envelope).toEqual({
      ...{ to: b.identity.edgeId, boot: expect.any(String), seq: expect.any(Number) },
    });
    const kind = 'antirio/datagram/beat';
    const signed = { kind, by: a.identity.edgeId, body: { ...envelope, body }, signature };
    expect(verifyDocument(signed, kind)).toBe(true);
  });

  test('are dropped and counted when they are wrong, and the rest goes on', async () => {
    const before = await counters(b);
    const datagram = { to: b.identity.edgeId, boot: '00'.repeat(8), seq: 1, kind: 'beat', body: { n: 1 } };
    const good = encodeDatagram(a.identity, datagram);
    const parsed = JSON.parse(fromUtf8(good)) as { body: object };
    await put(good);
    await put(good);
    await put(Buffer.alloc(1300, 0x20));
    for (const bytes of [
      '',
      '{}',
      '[]',
      'null',
      '\xff\xfe',
      '{"kind":"antirio/datagram/beat"}',
      fromUtf8(good).slice(0, -9),
    ])
      await put(Buffer.from(bytes, 'latin1'));
    await put(utf8(JSON.stringify({ ...parsed, body: { ...parsed.body, seq: 2 } })));
    await put(utf8(JSON.stringify({ ...parsed, kind: 'antirio/datagram/probe' })));
    await put(encodeDatagram(a.identity, { ...datagram, to: stranger.identity.edgeId }));
    await put(encodeDatagram(stranger.identity, datagram));
    await put(encodeDatagram(a.identity, { ...datagram, seq: 3 }));
    await until(() => heard.length === 2);
    await until(
      async () => (await counters(b))['datagrams_received'] === (before['datagrams_received'] ?? 0) + 2,
    );
    const now = await counters(b);
    const more = Object.fromEntries(Object.entries(now).map(([name, n]) => [name, n - (before[name] ?? 0)]));
    expect(more).toMatchObject({
      datagrams_replayed: 1,
      datagrams_oversized: 1,
      datagrams_garbage: 7,
      datagrams_forged: 2,
      datagrams_misdirected: 1,
      datagrams_unknown: 1,
      datagrams_received: 2,
    });
  });

  test('that cannot be sent are counted', async () => {
    const before = (await counters(a))['datagrams_unsent'] ?? 0;
    const nobody = openIdentity(generateIdentity()).edgeId;
    const bad = [
      'nonsense',
      JSON.stringify({ to: b.identity.edgeId, kind: 'a/b', body: {} }),
      JSON.stringify({ to: nobody, kind: 'beat', body: {} }),
      JSON.stringify({ to: b.identity.edgeId, kind: 'beat', body: { long: 'x'.repeat(1200) } }),
    ];
    for (const payload of bad) await a.bus.publish('antirio/datagram/out', payload);
    await until(async () => (await counters(a))['datagrams_unsent'] === before + bad.length);
    expect(heard).toEqual([]);
  });

  test('of one edge are limited, so that a flood drowns nobody else', async () => {
    const limited = await startEdge({ datagramsPerSecond: 10 });
    await introduce(limited, a);
    await introduce(a, limited);
    let count = 0;
    await limited.bus.subscribe('antirio/datagram/in/flood', () => {
      count += 1;
    });
    for (let i = 0; i < 200; i++)
      await a.bus.publish(
        'antirio/datagram/out',
        JSON.stringify({ to: limited.identity.edgeId, kind: 'flood', body: { i } }),
      );
    await until(async () => {
      const { datagrams_received: received = 0, datagrams_tooMany: dropped = 0 } = await counters(limited);
      return received + dropped === 200;
    });
    expect(count).toBeLessThan(60);
    await limited.close();
  });
});
