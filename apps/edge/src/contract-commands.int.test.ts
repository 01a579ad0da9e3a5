import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { antirio } from './edges.fixture.ts';

const dataDir = mkdtempSync(join(tmpdir(), 'antirio-'));
const asked: string[] = [];
const contract = {
  contractId: '11111111-2222-4333-8444-555555555555',
  role: 'customer',
  state: 'guarded',
  terms: {
    customer: 'edge-a',
    provider: 'edge-b',
    standby: 'hot',
    expiresAt: Date.UTC(2030, 0, 2),
    set: { service: 'device-lora', devices: [{}, {}] },
  },
};
let rooms: Server;
let env: Record<string, string>;

/** Arbitrator and orchestrator as they answer. */
function answerOf(method: string, url: string, body: string): [number, unknown] {
  if (url === '/arbitrator/v1/contract') return [200, [contract]];
  if (url === `/arbitrator/v1/contract/${contract.contractId}`) return [200, contract];
  if (url.endsWith('/timeline')) return [200, { notes: [{ at: 1, what: 'signed' }] }];
  if (method === 'GET' && url.endsWith('/contract/testing'))
    return [
      200,
      [
        {
          id: 'r1',
          imageName: 'LoRa',
          state: 'DEMANDED',
          progress: { migration: 'STORED', demand: 'TRIAL' },
        },
        { id: 'r2', imageName: 'old', state: 'DONE', contractId: contract.contractId },
      ],
    ];
  if (url === `/migration/v1/contracts/${contract.contractId}`)
    return [
      200,
      {
        ...{ contractId: contract.contractId, imageCid: 'bafy-two', state: 'SENT' },
        atProvider: { state: 'GIVEN_UP', reason: 'not ready after 300 s', checkedAt: 1 },
        heldByProvider: { ok: false, checkedAt: 1, error: 'GIVEN_UP' },
        previous: { imageCid: 'bafy-one', configCid: 'c' },
        previousHeld: { ok: true, checkedAt: 1 },
      },
    ];
  if (url === '/orchestrator/v1/service/provided')
    return [
      200,
      {
        ...{ contractId: 'provided', imageCid: 'bafy-one', observed: 'active', detail: 'as wanted' },
        serviceStatus: { state: 'reading', waiting: { downlinks: 2, parked: 1 } },
        next: { imageCid: 'bafy-two', observed: 'loading', detail: 'next: start', keepsData: false },
        lastSwitch: { from: 'bafy-one', to: 'bafy-two', outcome: 'failed', reason: 'ended by itself', at: 1 },
      },
    ];
  if (url === '/arbitrator/v1/contract/provided')
    return [200, { ...contract, contractId: 'provided', role: 'provider' }];
  if (method === 'POST') return [202, { id: 'x', state: 'ACCEPTED', ...(JSON.parse(body) as object) }];
  return [404, { apiVersion: 'v3', message: 'no such contract', statusCode: 404 }];
}

beforeAll(async () => {
  rooms = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const { method = '', url = '' } = request;
      asked.push(`${method} ${url} ${body}`);
      const [status, answer] = answerOf(method, url, body);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => rooms.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(rooms.address() as AddressInfo).port}`;
  env = {
    ANTIRIO_DATA_DIR: dataDir,
    ANTIRIO_SERVICES__ARBITRATOR__URL: url,
    ANTIRIO_SERVICES__ORCHESTRATOR__URL: url,
    ANTIRIO_SERVICES__MIGRATION__URL: url,
  };
});
afterAll(() => {
  rooms.close();
  rmSync(dataDir, { recursive: true });
});

test('contract list shows who the other edge is and how things stand', async () => {
  const { code, out } = await antirio(['contract', 'list'], env);
  expect(code).toBe(0);
  expect(out.split('\n')[1]).toMatch(/^11111111\S+ +customer +guarded +edge-b +2 +hot +2030-01-02T/);
  const json = await antirio(['contract', 'list', '--json'], env);
  expect(JSON.parse(json.out)).toEqual([contract]);
  expect(out).toMatch(/r1\s+LoRa\s+DEMANDED\s+migration: STORED, demand: TRIAL/);
  expect(out).not.toContain('old');
});

test('contract show tells the terms and what happened', async () => {
  const { code, out } = await antirio(['contract', 'show', contract.contractId], env);
  expect(code).toBe(0);
  expect(out).toContain('"service": "device-lora"');
  expect(out).toContain('{"at":1,"what":"signed"}');
  const unknown = await antirio(['contract', 'show', 'other'], env);
  expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('no such contract')]);
});

test('contract show tells how the versions of the image are, to either party', async () => {
  const customer = await antirio(['contract', 'show', contract.contractId], env);
  expect(customer.out).toContain(
    'image: bafy-two SENT, there GIVEN_UP (not ready after 300 s), not held (GIVEN_UP)\nversion before: bafy-one held\n',
  );
  const provider = await antirio(['contract', 'show', 'provided'], env);
  expect(provider.out).toContain(
    'image: bafy-one active, as wanted\nnext version: bafy-two loading, next: start; begins with nothing: 2 downlinks and 1 events are lost\n',
  );
  expect(provider.out).toContain('last change of versions: to bafy-two failed (ended by itself)');
});

test('contract request is the POST of the thesis', async () => {
  const args = ['contract', 'request', '--image', 'LoRa', '--file', 'LoRa.tar', '--days', '3'];
  const { code, out } = await antirio(args, env);
  expect([code, JSON.parse(out)]).toMatchObject([0, { state: 'ACCEPTED' }]);
  expect(asked.at(-1)).toBe(
    'POST /orchestrator/service_customer/contract/testing {"imageName":"LoRa","fileName":"LoRa.tar","duration":3}',
  );
  expect((await antirio([...args, '--i-trust-the-provider-with-my-keys'], env)).code).toBe(0);
  expect(asked.at(-1)).toContain('"iTrustTheProviderWithMyKeys":true');
  expect((await antirio(['contract', 'request', '--image', 'LoRa'], env)).code).toBe(1);
});
