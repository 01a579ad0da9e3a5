import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { systemRandom } from '@antirio/host';
import { utf8, uuidV4 } from '@antirio/kernel';
import { parseEnvelope } from '@antirio/edgex-contracts';
import { base, openSurroundings, type Surroundings } from './surroundings.fixture.ts';

let around: Surroundings;

beforeAll(async () => {
  around = await openSurroundings();
  await around.reset({ maxBodyBytes: 300_000, maxBusCommands: 64 });
  around.answer = { status: 200, type: 'application/json', body: JSON.stringify(base) };
});
afterAll(async () => {
  await around.end();
  await around.close();
});
beforeEach(() => {
  around.seen = [];
});

const deep = (levels: number): string => `{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`;
const put = async (body: string | Uint8Array, path = '/device/name/d/temperature'): Promise<number> => {
  const answer = await around.peer.call({ method: 'PUT', path, body: Buffer.from(body) });
  expect(answer.json()).toMatchObject({ apiVersion: 'v3', statusCode: answer.status });
  return answer.status;
};

describe('settings', () => {
  test.each([
    ...['', '{', 'NaN', '5', '"x"', 'true', 'null', '[]', '{"a":1e}', "{'a':1}"],
    Buffer.from([0x7b, 0xff, 0x7d]),
  ])('that are none are refused: %p', async (body) => {
    expect(await put(body)).toBe(400);
    expect(around.seen).toEqual([]);
  });

  test('go on as they are, however odd', async () => {
    const odd = '{"a":1.0,"a":12345678901234567890,"b":"\\u0000","__proto__":{"c":1}}';
    expect(await put(odd)).toBe(200);
    expect(around.seen).toMatchObject([{ body: odd }]);
    expect([200, 400]).toContain(await put(deep(50_000)));
  });

  test('over the limit are refused with 413', async () => {
    expect(await put(JSON.stringify({ a: 'x'.repeat(400_000) }))).toBe(413);
    expect(around.seen).toEqual([]);
  });
});

test.each([
  ['/device/name/%E0%A4%A/x', 400],
  ['/device/name/%FF/x', 400],
  ['/device/name/%20/x', 400],
  ['/device/name/d/%20', 400],
  [`/device/name/d/${'x'.repeat(2000)}`, 400],
  ['/device/name/d/a/b', 404],
  ['/device/all?offset=-1', 400],
  ['/device/all?offset=99999999999999999999', 400],
  ['/device/all?limit=-2', 400],
  ['/device/all?limit=1e1', 400],
  ['/device/name/d/both?ds-returnevent=1', 400],
])('GET %.60s is refused with %d', async (path, status) => {
  const answer = await around.peer.call({ path });
  expect([answer.status, answer.json()]).toMatchObject([status, { statusCode: status }]);
});

describe('on the bus', () => {
  /** Publishes the bytes and then asks for something: what came before has not harmed. */
  async function stillAnswers(topic: string, bytes: Uint8Array): Promise<void> {
    await around.bus.publish(topic, bytes);
    const requestID = uuidV4(systemRandom);
    const answered = Promise.withResolvers<unknown>();
    const subscription = await around.bus.subscribe(
      `edgex/response/core-command/${requestID}`,
      (_, payload) => answered.resolve(parseEnvelope(payload).payload),
    );
    await around.bus.publish(
      'edgex/core/commandquery/request/d',
      JSON.stringify({ requestID, apiVersion: 'v3' }),
    );
    expect(await answered.promise).toMatchObject({ deviceCoreCommand: { deviceName: 'd' } });
    await subscription.close();
  }

  test('what is no envelope harms nobody', async () => {
    for (const text of ['', '{', 'null', '5', '[]', '{"requestID":5}', '{"payload":"%%"}', deep(50_000)])
      for (const topic of ['edgex/core/command/request/d/both/get', 'edgex/core/commandquery/request/all'])
        await stillAnswers(topic, utf8(text));
  });

  test('nor do any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), (bytes) =>
        stillAnswers('edgex/core/commandquery/request/d', bytes),
      ),
      { numRuns: 50 },
    );
  });
});
