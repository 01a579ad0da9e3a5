// The same requests to a gateway of Kubo and to ours. Where there is no Kubo these tests are not there. Where the two answer
// differently both answers are written down; docs/storage.md says why ours is as it is.
import { mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { CarReader } from '@ipld/car';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sha256Hex } from '@antirio/kernel';
import { findKubo } from '@antirio/testing';
import { decodeCid } from './block.ts';
import { importCar } from './car.ts';
import { CAR_TYPE } from './gateway-ask.ts';
import { gatewayAsks, type Asked, type Seen } from './gateway-asks.ts';
import { pieces } from './test-blocks.ts';
import { content, TestGateway } from './test-gateway.ts';
import { TestKubo } from './test-kubo.ts';

const program = findKubo();

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

const get = (url: string, { method = 'GET', headers = {} }: Asked, path: string): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const asked = request({ hostname, port, path, method, headers, agent: false }, (incoming) => {
      const parts: Buffer[] = [];
      incoming.on('data', (part: Buffer) => parts.push(part));
      incoming.on('error', reject);
      incoming.on('end', () => {
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(parts) });
      });
    });
    asked.on('error', reject);
    asked.setTimeout(10_000, () => asked.destroy(new TypeError('no answer')));
    asked.end();
  });

const defined = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as T;

/** A CAR's tag is each implementation's own, but weak. */
const etagOf = (etag: string | undefined, isCar: boolean): string | undefined =>
  isCar && etag?.startsWith('W/"') === true ? 'weak' : etag;

/** Which further parameters a `Content-Location` has, and in which order, is free. */
function locationOf(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const { pathname, searchParams } = new URL(text, 'http://x');
  return `${pathname}?format=${searchParams.get('format') ?? ''}`;
}

/** Of errors the status alone: their words are free, and what else they have says nothing of content. */
async function seenOf({ status, headers, body }: Answer, method: string): Promise<Seen> {
  if (status >= 300 && status !== 304) return { status };
  const header = (name: string): string | undefined => {
    const value = headers[name];
    return Array.isArray(value) ? value.join() : value;
  };
  if (status === 304) return defined({ status, cache: header('cache-control'), body: body.toString() });
  const type = header('content-type');
  const isCar = type?.startsWith(CAR_TYPE) === true;
  const given = defined({
    status,
    type,
    disposition: header('content-disposition')?.replace(/; filename\*=.*/, ''),
    etag: etagOf(header('etag'), isCar),
    cache: header('cache-control'),
    ranges: header('accept-ranges'),
    range: header('content-range'),
    length: isCar ? undefined : header('content-length'),
    location: locationOf(header('content-location')),
    path: header('x-ipfs-path'),
    roots: header('x-ipfs-roots'),
    sniffing: header('x-content-type-options'),
  });
  if (!isCar || method === 'HEAD') return { ...given, body: sha256Hex(body) };
  const blocks: string[] = [];
  for await (const { cid } of (await CarReader.fromBytes(body)).blocks()) blocks.push(cid.toString());
  return { ...given, blocks };
}

const titleOf = ({ method = 'GET', path, headers = {} }: Asked): string =>
  [method, path, ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`)].join(' ');

test('each request is asked once', () => {
  const titles = Object.values(gatewayAsks).flatMap((group) => group.map(([asked]) => titleOf(asked)));
  expect(titles).toEqual([...new Set(titles)]);
});

if (program !== undefined)
  describe('beside Kubo', () => {
    let gateway: TestGateway;
    let kubo: TestKubo;
    let theirUrl: string;
    const cids: Record<string, string> = {};

    beforeAll(async () => {
      gateway = await TestGateway.open();
      kubo = new TestKubo(program);
      kubo.run('config', '--json', 'Gateway.DeserializedResponses', 'false');
      kubo.run('config', 'Import.UnixFSHAMTDirectorySizeThreshold', '1KiB');
      const [tree, many] = [join(kubo.folder, 'tree'), join(kubo.folder, 'many')];
      mkdirSync(join(tree, 'sub'), { recursive: true });
      mkdirSync(many);
      const short = content(31);
      for (const name of ['short.txt', 'copy.txt']) writeFileSync(join(tree, 'sub', name), short);
      writeFileSync(join(tree, 'sub', 'long.txt'), content(1026));
      for (let i = 0; i < 300; i++) writeFileSync(join(many, `${i}.txt`), `${i} `.repeat(200));
      const add = (version: number, path: string, ...more: string[]): string =>
        kubo.run('add', '-Q', '-r', `--cid-version=${version}`, '--chunker=size-256', ...more, path);
      Object.assign(cids, { root: add(1, tree), sharded: add(1, many), v0: add(0, tree) });
      for (const cid of Object.values(cids))
        await importCar(gateway.theirs, pieces(kubo.bytes('dag', 'export', cid), 65_536), decodeCid(cid));
      for (const [name, path] of [
        ['sub', 'sub'],
        ['long', 'sub/long.txt'],
        ['short', 'sub/short.txt'],
      ] as const)
        cids[name] = kubo.run('resolve', `/ipfs/${cids['root'] ?? ''}/${path}`).replace('/ipfs/', '');
      theirUrl = await kubo.gateway();
    });
    afterAll(async () => {
      await kubo.close();
      await gateway.close();
    });

    const filled = <T>(value: T): T =>
      JSON.parse(
        JSON.stringify(value, (_key, each: unknown) =>
          typeof each === 'string'
            ? each.replace(/\{(\w+)\}/g, (all, name: string) => cids[name] ?? all)
            : each,
        ),
      ) as T;

    describe.each(Object.entries(gatewayAsks))('%s', (_group, cases) => {
      test.each(cases.map((each) => [titleOf(each[0]), ...each] as const))(
        '%s',
        async (_title, template, otherwise = {}) => {
          const asked = filled(template);
          const answers = await Promise.all(
            [gateway.url, theirUrl].map((url) => get(url, asked, asked.path)),
          );
          if (otherwise.status !== undefined) {
            const [ours, theirs] = answers.map(({ status }) => status);
            expect(theirs).toBe(otherwise.status);
            expect(ours).not.toBe(theirs);
            return;
          }
          const [ours, theirs] = await Promise.all(
            answers.map((answer) => seenOf(answer, asked.method ?? 'GET')),
          );
          if (ours === undefined || theirs === undefined) throw new TypeError('two answers');
          const { blocks, ...rest } = theirs;
          if (otherwise.blocks === 'more') {
            expect(blocks).toEqual(expect.arrayContaining([...(ours.blocks ?? [])]));
            expect(defined({ ...ours, blocks: undefined })).toEqual(rest);
          } else expect(theirs).toEqual(defined({ ...ours, ...otherwise, ...filled(otherwise) }));
        },
      );
    });
  });
