import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Edge, Json } from './test-neighbourhood.ts';
import { build, get, order, post, put, Scene, stored, until, v3 } from './test-scene.ts';

const UNKNOWN = 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e';
/** Its codec is dag-cbor, which is not kept here. */
const DAG_CBOR = 'bafyreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e';
/** Hashed by BLAKE2b-256. */
const BLAKE2B = 'bafk2bzacea73ycjnxe2qov7cvnhx52lzfp6nf5jcblnfus6gqreh6ygganbws';
/** A hash of 20 of the 32 bytes. */
const CUT = 'bafkrefaaaebagbafaydqqcikbmga2dqpcaireeyuculbogazdi';

let scene: Scene;
let a: Edge;

beforeAll(async () => {
  scene = new Scene();
  a = await scene.start('A');
});
afterAll(() => scene.close());

describe('what is malformed or unknown is refused with an error body', () => {
  test.each([
    ['POST', 'object', {}, 400],
    ['POST', 'object', { fileName: 'absent' }, 404],
    ['POST', 'object', { fileName: '../x' }, 400],
    ['POST', 'object', { fileName: 'x', kind: 'folder' }, 400],
    ['POST', 'object', { json: 1, fileName: 'x' }, 400],
    ['POST', 'object', [], 400],
    ['POST', 'object', { json: 'x'.repeat((1 << 20) + 1) }, 413],
    ['POST', 'fetch', { cid: 'x', providers: ['/p2p/A'] }, 400],
    ['POST', 'fetch', { cid: UNKNOWN, providers: [] }, 400],
    ['POST', 'fetch', { cid: UNKNOWN, providers: ['ftp://x'] }, 400],
    ['POST', 'fetch', { cid: UNKNOWN, providers: new Array(33).fill('/p2p/B') }, 400],
    ['POST', 'fetch', { cid: DAG_CBOR, providers: ['/p2p/B'] }, 400],
    ['POST', 'fetch', { cid: BLAKE2B, providers: ['/p2p/B'] }, 400],
    ['POST', 'fetch', { cid: UNKNOWN }, 400],
    ['GET', `object/${UNKNOWN}`, undefined, 404],
    ['GET', `object/${DAG_CBOR}`, undefined, 400],
    ['GET', `object/${BLAKE2B}`, undefined, 400],
    ['GET', `object/${CUT}`, undefined, 400],
    ['GET', `object/${UNKNOWN.slice(0, -1)}`, undefined, 400],
    ['GET', `object/${UNKNOWN.toUpperCase()}`, undefined, 400],
    ['GET', 'object/%zz', undefined, 400],
    ['GET', `object/${'b'.repeat(400)}`, undefined, 400],
    ['GET', `object/${UNKNOWN}/sample`, undefined, 404],
    ['GET', `object/${UNKNOWN}/sample?count=0`, undefined, 400],
    ['GET', `object/${UNKNOWN}/sample?count=65`, undefined, 400],
    ['POST', `object/${UNKNOWN}/verify`, {}, 404],
    ['POST', `object/${UNKNOWN}/export`, { fileName: 'x' }, 404],
    ['POST', `object/${UNKNOWN}/export`, { fileName: 'a/b' }, 400],
    ['POST', `object/${UNKNOWN}/export`, { fileName: 'x', repoTags: ['a', ''] }, 400],
    ['DELETE', `object/${UNKNOWN}`, undefined, 404],
    ['DELETE', 'object/x', undefined, 400],
    ['GET', 'object?limit=0', undefined, 400],
    ['GET', 'object?offset=-1', undefined, 400],
    ['GET', 'image?limit=x', undefined, 400],
    ['GET', 'image/absent', undefined, 404],
    ['GET', 'image/a%20b', undefined, 400],
    ['DELETE', 'image/absent', undefined, 404],
    ['POST', 'image', { ...order, storageDuration: 0 }, 400],
    ['POST', 'image', { ...order, storageDuration: 1.5 }, 400],
    ['POST', 'image', { ...order, fileName: 'absent.tar' }, 404],
    ['PUT', 'object', {}, 405],
    ['GET', 'nothing', undefined, 404],
  ] as const)('%s %s %j', async (method, path, body, status) => {
    const answer = await v3(a, method, path, body);
    expect([answer.status, answer.json()]).toMatchObject([
      status,
      { apiVersion: 'v3', statusCode: status, message: expect.any(String) as unknown },
    ]);
  });

  test('nothing of it is kept', async () => {
    expect((await v3(a, 'GET', 'object')).json()).toMatchObject({ totalCount: 0, objects: [] });
    expect((await v3(a, 'GET', 'pins')).json()).toMatchObject({ totalCount: 0, pins: [] });
  });
});

test('lists come in pages, with how many there are in all', async () => {
  const cids: string[] = [];
  for (const json of ['a', 'b', 'c']) cids.push((await put(a, { json })).cid);
  const listed = (await v3(a, 'GET', 'object?offset=1&limit=1')).json();
  expect(listed).toMatchObject({ apiVersion: 'v3', statusCode: 200, totalCount: 3 });
  expect((listed as { objects: Json[] }).objects.map(({ cid }) => cid)).toEqual([cids[1]]);
  expect((await v3(a, 'GET', 'object?offset=9')).json()).toMatchObject({ totalCount: 3, objects: [] });
  const { pins } = (await v3(a, 'GET', 'pins')).json() as { pins: Json[] };
  expect(pins).toContainEqual({ name: `object/${String(cids[0])}`, cid: cids[0] });
  for (const cid of cids) await v3(a, 'DELETE', `object/${cid}`);
});

test('an image is ordered here as by the thesis’s resource: both tell the same', async () => {
  await build(a, order.fileName);
  const ordered = await v3(a, 'POST', 'image', { ...order, imageId: 'i' });
  expect([ordered.status, ordered.json()]).toMatchObject([
    202,
    { apiVersion: 'v3', statusCode: 202, image: { ...order, imageId: 'i', minerAddress: 'A' } },
  ]);
  const image = await stored(a, order.imageName);
  expect((await v3(a, 'GET', 'image/i')).json()).toMatchObject({ image });
  expect((await v3(a, 'GET', `image?imageName=${order.imageName}`)).json()).toMatchObject({
    totalCount: 1,
    images: [image],
  });
  expect((await v3(a, 'GET', 'image?imageName=other')).json()).toMatchObject({ totalCount: 0, images: [] });
  await post(a, 'backend/image', { imageId: 'i', imageHash: image['imageHash'], status: 'COMMITTED' });
  await until(async () => {
    const [first] = (await get(a, 'orchestrator/image')) as Json[];
    return first?.['status'] === 'COMMITTED' ? true : undefined;
  });
  expect((await v3(a, 'GET', 'image/i')).json()).toMatchObject({ image: { status: 'COMMITTED' } });
});

test('the network tells what it is and how full it is', async () => {
  expect((await v3(a, 'GET', 'network')).json()).toMatchObject({
    network: { kind: 'embedded', provider: '/p2p/A', store: { damaged: 0, quotaBytes: 8 * 2 ** 30 } },
  });
});

interface Answer {
  readonly content?: Record<string, { schema: Json }>;
}

interface Operation {
  readonly summary: string;
  readonly parameters: { name: string; in: string; required: boolean }[];
  readonly requestBody?: unknown;
  readonly responses: Record<string, Answer>;
}

function requireDocumented(path: string, method: string, operation: Operation): void {
  const { summary, parameters, requestBody, responses } = operation;
  const name = `${method} ${path}`;
  expect([name, summary]).not.toEqual([name, '']);
  for (const [, inPath] of path.matchAll(/\{(\w+)\}/g))
    expect(parameters).toContainEqual(expect.objectContaining({ name: inPath, in: 'path', required: true }));
  const takes = method === 'put' || (method === 'post' && !path.endsWith('/verify'));
  expect([name, requestBody !== undefined]).toEqual([name, takes]);
  const done = Object.keys(responses).find((status) => status.startsWith('2')) ?? '';
  const schemas = Object.values(responses[done]?.content ?? {}).map(({ schema }) => schema['type']);
  expect([name, schemas]).toEqual([name, [expect.any(String)]]);
  expect(responses['default']?.content?.['application/json']?.schema).toBeDefined();
}

test('the OpenAPI document tells of each resource what it takes and gives', async () => {
  const document = (await a.http.call({ path: '/api/v3/openapi.json' })).json() as {
    paths: Record<string, Record<string, Operation>>;
  };
  const own = Object.entries(document.paths).filter(([path]) => path.startsWith('/api/v3/storage/'));
  expect(own.length).toBeGreaterThan(9);
  for (const [path, operations] of own)
    for (const [method, operation] of Object.entries(operations)) requireDocumented(path, method, operation);
  const listing = document.paths['/api/v3/storage/object']?.['get']?.parameters;
  expect(listing).toEqual([
    expect.objectContaining({ name: 'offset', in: 'query', required: false }),
    expect.objectContaining({ name: 'limit', in: 'query', required: false }),
  ]);
});
