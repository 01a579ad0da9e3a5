import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Edge, Json } from './test-neighbourhood.ts';
import { build, get, post, Scene, stored } from './test-scene.ts';

type Type = 'string' | 'integer' | 'any' | readonly string[];

interface Row {
  readonly table: string;
  readonly resource: string;
  readonly method: 'GET' | 'POST';
  /** Keys of the body with their types; a list is all values that there may be. */
  readonly takes?: Readonly<Record<string, Type>>;
  /** The example that the thesis prints. */
  readonly example?: Readonly<Record<string, unknown>>;
  readonly gives: Readonly<Record<string, Type>>;
}

/** The tables 4.6 to 4.9, as they are printed. */
const ROWS: readonly Row[] = [
  {
    table: '4.6',
    resource: 'backend/image',
    method: 'POST',
    takes: {
      imageid: 'string',
      imageHash: 'string',
      status: ['STORED', 'COMMITTED', 'READY2DOWNLOAD'],
    },
    example: {
      imageid: '16935cab-2de3-4014-b0f7-3f15eca09bdc16935cab-2de3-4014-b0f7-3',
      imageHash: '7kg8sdf03jdfh9hfsf49h0sdf',
      status: 'STORED',
    },
    gives: { imageId: 'string', imageHash: 'string', status: 'string' },
  },
  {
    table: '4.7',
    resource: 'orchestrator/image',
    method: 'POST',
    takes: { imageName: 'string', storageDuration: 'integer', fileName: 'string' },
    example: {
      imageName: 'LoRa-device-service',
      storageDuration: 7,
      fileName: 'LoRa-device-service.tar',
    },
    gives: { imageName: 'string', storageDuration: 'integer', fileName: 'string' },
  },
  {
    table: '4.7',
    resource: 'orchestrator/image',
    method: 'GET',
    gives: { imageName: 'string', imageHash: 'string', minerAddress: 'string' },
  },
  {
    table: '4.8',
    resource: 'backend/error',
    method: 'POST',
    takes: { errorObject: 'any', code: 'integer', message: 'string' },
    example: {
      errorObject: 'error.json',
      code: 404,
      message: 'can\'t find miner with minerId "Qj3249fj...',
    },
    gives: { errorObject: 'any', code: 'integer', message: 'string' },
  },
  { table: '4.9', resource: 'health', method: 'GET', gives: { 'Status Message': 'string' } },
];

/**
 * Where ours is not as it is printed; docs/storage.md says why. A resource that has no GET there has one here, so that what was told can be
 * looked at.
 */
const ALSO: Readonly<Record<string, readonly string[]>> = {
  'backend/image': ['GET'],
  'backend/error': ['GET'],
};
/** The key that the thesis writes in two ways; answers have ours. */
const CANONICAL: Readonly<Record<string, string>> = { imageid: 'imageId' };
const OTHERS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const;

let scene: Scene;
let a: Edge;

beforeAll(async () => {
  scene = new Scene();
  a = await scene.start('A');
  await build(a, 'LoRa-device-service.tar');
});
afterAll(() => scene.close());

const posts = ROWS.flatMap(({ takes, example, ...row }) =>
  takes === undefined || example === undefined ? [] : [{ ...row, takes, example }],
);

const isOf = (value: unknown, type: Type): boolean => {
  if (type === 'any') return value !== undefined;
  if (type === 'integer') return Number.isInteger(value);
  return type === 'string' ? typeof value === 'string' : type.includes(String(value));
};
const wrongOf = (type: Type): unknown[] => {
  if (type === 'any') return [];
  return type === 'integer' ? ['7', 1.5, -1, null, [1]] : ['', 5, null, {}, 'x'.repeat(5000)];
};

function expectKeys(answer: unknown, gives: Row['gives']): void {
  for (const [key, type] of Object.entries(gives))
    expect([key, isOf((answer as Json)[key], type)]).toEqual([key, true]);
}

describe.each(posts)('table $table, POST $resource', ({ resource, takes, example, gives }) => {
  test('the example of the thesis is taken with 202, and answered with its own keys and values', async () => {
    const answer = await post(a, resource, example);
    expect(answer.status).toBe(202);
    const record = answer.json() as Json;
    expectKeys(record, gives);
    for (const [key, value] of Object.entries(example)) {
      const ours = CANONICAL[key] ?? key;
      if (ours !== 'status') expect([ours, record[ours]]).toEqual([ours, value]);
    }
  });

  test('under the other spelling of a key it is the same', async () => {
    for (const [theirs, ours] of Object.entries(CANONICAL)) {
      if (!(theirs in example)) continue;
      const { [theirs]: value, ...rest } = example;
      const answer = await post(a, resource, { ...rest, [ours]: value });
      expect([answer.status, (answer.json() as Json)[ours]]).toEqual([202, value]);
    }
  });

  test('each value of a key that has only some is taken', async () => {
    for (const [key, type] of Object.entries(takes))
      for (const value of Array.isArray(type) ? (type as string[]) : []) {
        const answer = await post(a, resource, { ...example, [key]: value });
        expect([value, answer.status, (answer.json() as Json)[key]]).toEqual([value, 202, value]);
      }
  });

  test('without one of its keys, with a wrong value, or with a key too many it is refused with 400', async () => {
    const bodies: object[] = [{ ...example, colour: 'red' }];
    for (const [key, type] of Object.entries(takes)) {
      const { [key]: _, ...rest } = example;
      bodies.push(rest);
      bodies.push(...wrongOf(type).map((value) => ({ ...example, [key]: value })));
    }
    for (const body of bodies) {
      const { status } = await post(a, resource, body);
      expect([JSON.stringify(body).slice(0, 200), status]).toEqual([JSON.stringify(body).slice(0, 200), 400]);
    }
  });
});

test('table 4.7, GET: one image by its name, all of them in a list', async () => {
  const { gives } = ROWS.find(({ table, method }) => table === '4.7' && method === 'GET') as Row;
  const image = await stored(a, 'LoRa-device-service');
  expectKeys(image, gives);
  expect(image).toMatchObject({ imageName: 'LoRa-device-service', minerAddress: 'A' });
  const all = (await get(a, 'orchestrator/image')) as unknown[];
  for (const one of all) expectKeys(one, { ...gives, imageHash: 'any' });
  expect(all).toContainEqual(image);
});

test('table 4.9: the status message', async () => {
  expect(await get(a, 'health')).toEqual({
    'Status Message': expect.stringMatching(/^filecoin interface v\.\d+\.\d+\.\d+$/),
  });
});

test('an image goes through the states of the thesis, and through no others where nothing fails', async () => {
  const image = await stored(a, 'LoRa-device-service');
  expect(image['status']).toBe('STORED');
  const told = { imageid: image['imageId'], imageHash: image['imageHash'] };
  await post(a, 'backend/image', { ...told, status: 'COMMITTED' });
  expect((await stored(a, 'LoRa-device-service'))['status']).toBe('COMMITTED');
  await post(a, 'backend/image', { ...told, status: 'READY2DOWNLOAD' });
  const history = (await get(a, 'backend/image')) as Json[];
  const own = history.filter(({ imageId }) => imageId === image['imageId']);
  expect(own.map(({ status }) => status)).toEqual(['COMMITTED', 'READY2DOWNLOAD']);
});

test('the resources have the methods of the tables, those that are ours besides, and no others', async () => {
  for (const resource of new Set(ROWS.map((row) => row.resource))) {
    const methods = ROWS.filter((row) => row.resource === resource).map(({ method }) => method as string);
    const has = [...methods, ...(ALSO[resource] ?? [])];
    for (const method of OTHERS) {
      const call = {
        method,
        path: `/filecoin_interface/${resource}`,
        ...(method === 'GET' ? {} : { json: {} }),
      };
      const { status } = await a.http.call(call);
      expect([resource, method, status === 405]).toEqual([resource, method, !has.includes(method)]);
    }
  }
});
