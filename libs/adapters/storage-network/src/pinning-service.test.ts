import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { AntirioError } from '@antirio/kernel';
import { pinningService, type PinningService } from './pinning-service.ts';
import { TestPinningService } from './test-pinning-service.ts';

const CID = 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e';
const OTHER = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku';

let folder: string;
let tokenFile: string;
let server: TestPinningService;
let service: PinningService;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-pinning-'));
  tokenFile = join(folder, 'token');
  server = await new TestPinningService().open();
  writeFileSync(tokenFile, `${server.token}\n`);
  service = pinningService({ endpoint: `${server.url}/`, tokenFile, timeoutMs: 1000 });
});
afterEach(async () => {
  service.close();
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const code = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: unknown) => (error instanceof AntirioError ? error.code : String(error)),
  );
const request = { cid: CID, name: 'edge-a/image/1', origins: ['/ip4/192.0.2.1/tcp/4001/p2p/Qm'] };

test('a request is queued, told of in whatever state, and taken back once', async () => {
  const pin = await service.add(request);
  expect(pin).toMatchObject({ status: 'queued', pin: { cid: CID, name: request.name } });
  expect(server.pins[0]?.pin).toEqual(request);
  for (const status of ['pinning', 'pinned', 'failed'] as const) {
    server.pins[0]!.status = status;
    expect((await service.get(pin.requestid)).status).toBe(status);
    expect((await service.list(CID)).map((each) => each.status)).toEqual([status]);
  }
  expect(await service.list(OTHER)).toEqual([]);
  expect(await service.remove(pin.requestid)).toBe(true);
  expect(await service.remove(pin.requestid)).toBe(false);
  expect(await code(service.get(pin.requestid))).toBe('notFound');
});

test('all pages of a long list are read', async () => {
  for (let i = 0; i < 230; i++) await service.add({ ...request, name: `n-${i}` });
  const all = await service.list(CID);
  expect(new Set(all.map((pin) => pin.pin.name)).size).toBe(230);
  expect(server.asked.filter((asked) => asked.startsWith('GET'))).toHaveLength(3);
});

test('a list that does not come to its end is given up', async () => {
  const page = { count: 1e9, results: [] as unknown[] };
  page.results = [
    { requestid: 'x', status: 'queued', created: new Date().toISOString(), pin: { cid: CID }, delegates: [] },
  ];
  server.instead = { status: 200, body: page };
  expect(await code(service.list(CID))).toBe('tooLarge');
});

test('more origins and longer names than the API allows are cut', async () => {
  const origins = Array.from({ length: 30 }, (_, i) => `/ip4/192.0.2.${i}/tcp/4001`);
  await service.add({ cid: CID, name: 'n'.repeat(400), origins });
  expect(server.pins[0]?.pin.origins).toHaveLength(20);
  expect(server.pins[0]?.pin.name).toHaveLength(255);
});

test('what the service refuses is told apart', async () => {
  expect(await code(service.add({ ...request, cid: 'x' }))).toBe('invalidInput');
  server.room = 0;
  const full = await service.add(request).catch((error: unknown) => error);
  expect(full).toMatchObject({
    code: 'storageFull',
    message: expect.stringContaining('INSUFFICIENT_FUNDS') as unknown,
  });
  writeFileSync(tokenFile, 'wrong');
  expect(await code(service.list(CID))).toBe('unauthenticated');
  expect(await code(service.requireWell())).toBe('unauthenticated');
  rmSync(tokenFile);
  expect(await code(service.list(CID))).toBe('badConfig');
});

test.each([
  [{ status: 500, body: { error: { reason: 'INTERNAL_SERVER_ERROR' } } }, 'unavailable'],
  [{ status: 503, body: 'not now' }, 'unavailable'],
  [{ status: 429, body: {} }, 'busy'],
  [{ status: 302, body: {} }, 'forbidden'],
  [{ status: 200, body: { count: 1 } }, 'unavailable'],
  [{ status: 200, body: { count: 1, results: [{ requestid: 'x', status: 'lost' }] } }, 'unavailable'],
  [{ status: 200, body: 'x'.repeat(5 << 20) }, 'tooLarge'],
])('an answer that is none of the API: %#', async (instead, expected) => {
  server.instead = instead;
  expect(await code(service.list(CID))).toBe(expected);
});

test.each(['not a url', 'ftp://x', 'http://user:word@host', 'http://host/?key=1'])(
  '%s is no endpoint',
  (endpoint) => {
    expect(() => pinningService({ endpoint, tokenFile })).toThrow('not the endpoint');
  },
);
