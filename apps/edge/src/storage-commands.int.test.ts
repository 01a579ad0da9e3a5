import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { buildImage } from '@antirio/content-store';
import { createFilecoinInterface, filecoinInterfaceOptions } from '@antirio/filecoin-interface';
import { httpPeer, silentLog, systemClock, systemRandom } from '@antirio/host';
import { antirio, type Ended } from './edges.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'antirio-storage-'));
const dataDir = join(folder, 'data');
const images = join(dataDir, 'images');
const closers: (() => unknown)[] = [];
let env: Record<string, string>;
let url: string;

const storage = (...args: readonly string[]): Promise<Ended> => antirio(['storage', ...args], env);
const json = async (...args: readonly string[]): Promise<Record<string, unknown>> =>
  JSON.parse((await storage(...args, '--json')).out) as Record<string, unknown>;
/** The parts of progress that a run without terminal showed. */
const percents = ({ err }: Ended, what: string): string[] =>
  [...err.matchAll(new RegExp(String.raw`^${what} +(\d+) %`, 'gm'))].map(([, percent = '']) => percent);

beforeAll(async () => {
  const price = { numerator: 1, denominator: 1_000_000, currency: 'FIL' };
  const options = filecoinInterfaceOptions.parse({ port: 0, dataDir, edgeId: 'A', price });
  const nobody = httpPeer({ url: 'http://127.0.0.1:9' });
  const ports = { clock: systemClock, random: systemRandom, log: silentLog, peers: { orchestrator: nobody } };
  const room = createFilecoinInterface(options, ports);
  await room.start();
  closers.push(async () => {
    await room.stop();
    nobody.close();
  });
  url = `http://127.0.0.1:${String(room.port)}`;
  env = { ANTIRIO_DATA_DIR: dataDir, ANTIRIO_SERVICES__FILECOIN_INTERFACE__URL: url };
});
afterAll(async () => {
  for (const close of closers.reverse()) await close();
  rmSync(folder, { recursive: true });
});

test('a file goes in and comes out the same, with its progress on the way, and is let go', async () => {
  const bytes = randomBytes(10_000_000);
  const file = join(folder, 'a file');
  writeFileSync(file, bytes);
  const stored = await storage('put', file);
  expect(stored).toMatchObject({ code: 0 });
  const cid = stored.out.split(' ')[0] ?? '';
  expect(cid).toMatch(/^bafybei/);
  expect(percents(stored, 'upload')).toEqual(['41', '83', '100']);
  expect(readdirSync(images)).toEqual([]);

  expect((await storage('ls')).out).toContain(cid);
  expect((await storage('status', cid)).out).toMatch(/9\.5 MiB +STORED/);
  expect((await storage('verify', cid)).out).toMatch(/whole: 11 blocks, 9\.5 MiB/);
  const out = join(folder, 'out');
  const got = await storage('get', cid, out);
  expect(readFileSync(out).equals(bytes)).toBe(true);
  expect(percents(got, 'download').at(-1)).toBe('100');
  expect(readdirSync(images)).toEqual([]);

  expect((await storage('rm', cid)).out).toContain('kept no longer');
  const gone = await storage('rm', cid);
  expect([gone.code, gone.err]).toEqual([1, expect.stringContaining(`no object ${cid}`)]);
});

test('an image is stored for its days at a price, and shown', async () => {
  const file = join(folder, 'service.tar');
  await buildImage(file, {
    files: [{ path: 'app', content: randomBytes(3_000_000) }],
    entrypoint: ['app'],
    repoTags: ['service:1'],
  });
  const stored = await storage('put', file, '--image', '--days', '30');
  expect(stored).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^bafybei.* is STORED until .*for \d+ FIL/),
  });
  const [imageId = ''] = /[0-9a-f-]{36}/.exec(stored.out) ?? [];
  expect(await json('status', imageId)).toMatchObject({
    imageName: 'service',
    storageDuration: 30,
    status: 'STORED',
  });
  expect(await json('ls')).toMatchObject({ objects: [], images: [{ imageId }] });
  expect((await storage('ls')).out).toMatch(/image service .*STORED .* FIL/);
});

test('where things are brought to is shown, and what former networks keep can be forgotten', async () => {
  expect((await storage('network')).out).toMatch(/^embedded +well/);
  expect(await json('network')).toMatchObject({ kind: 'embedded', waiting: 0, failed: 0, former: [] });
  const unknown = await storage('network', '--forget', 'abc');
  expect([unknown.code, unknown.err]).toEqual([1, expect.stringContaining('former network abc')]);
});

test('an upload that broke off is gone on with', async () => {
  const bytes = randomBytes(9_000_000);
  const file = join(folder, 'half');
  writeFileSync(file, bytes);
  // what a run that was killed after its first piece leaves
  const name = `put-${createHash('sha256').update(bytes).digest('hex')}`;
  const peer = httpPeer({ url });
  const first = bytes.subarray(0, 4 << 20);
  const answer = await peer.call({
    method: 'PUT',
    path: `/api/v3/storage/file/${name}`,
    body: first,
    headers: { 'content-range': `bytes 0-${first.length - 1}/${bytes.length}` },
  });
  peer.close();
  expect(answer.status).toBe(202);
  const again = await storage('put', file);
  expect(again.out).toMatch(/^bafybei.* 8\.6 MiB/);
  expect(percents(again, 'upload')).toEqual(['93', '100']);
});

test('prices are quoted; what cannot be is told', async () => {
  expect((await storage('price', '--bytes', '1000000', '--days', '7')).out).toMatch(
    /^20160 FIL for 976\.6 KiB/,
  );
  const absent = await storage('put', join(folder, 'absent'));
  expect([absent.code, absent.err]).toEqual([1, expect.stringContaining('cannot read')]);
  writeFileSync(join(folder, 'no.tar'), 'no tar'.repeat(200));
  const refused = await storage('put', join(folder, 'no.tar'), '--image');
  expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('tar')]);
  expect((await storage('get', 'x', join(folder, 'x'))).err).toContain('not a CID');
  expect(existsSync(join(folder, 'x'))).toBe(false);
});
