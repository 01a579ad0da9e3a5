import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { systemRandom, withCorrelation } from '@antirio/host';
import { uuidV4 } from '@antirio/kernel';
import { introduce, startEdge, type TestEdge } from './edges.fixture.ts';

const contractId = uuidV4(systemRandom);
let a: TestEdge;
let b: TestEdge;
const heard: unknown[] = [];

beforeAll(async () => {
  [a, b] = await Promise.all([startEdge(), startEdge()]);
  await Promise.all([introduce(a, b), introduce(b, a)]);
  const terms = { customer: a.identity.edgeId, provider: b.identity.edgeId };
  for (const edge of [a, b]) edge.rooms.arbitrator.answer = () => ({ status: 200, body: { terms } });
  b.rooms.gatewayBridge.raw = (request, response) => {
    heard.push(request.headers['x-correlation-id']);
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  };
});
afterAll(async () => {
  await Promise.all([a, b].map((edge) => edge.close()));
});

test('what a room does for a request has its id at the neighbour’s room, too', async () => {
  const path = `/edge2edge/peer/${b.identity.edgeId}/gateway-bridge/api/v3/ring/${contractId}/offers`;
  // as a room whose rim was asked under this id
  await withCorrelation('night-watch-7', () => a.local.call({ path }));
  await a.local.call({ path, headers: { 'x-correlation-id': 'by-hand' } });
  await a.local.call({ path });
  expect(heard).toEqual(['night-watch-7', 'by-hand', expect.stringMatching(/^[0-9a-f-]{36}$/)]);
});
