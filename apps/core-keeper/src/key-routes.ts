import { z } from 'zod';
import { AntirioError, describeError, uuidV4 } from '@antirio/kernel';
import type { HttpRim, Method } from '@antirio/host';
import {
  baseResponse,
  baseResponseSchema,
  BASE_TOPIC,
  makeEnvelope,
  topicLevel,
} from '@antirio/edgex-contracts';
import { checkKey, pairsOf } from './keys.ts';
import type { KeyValue } from './key-store.ts';
import type { Room } from './room.ts';

/** Keys come percent-encoded as one segment, or with their slashes. */
const params = z.object({
  key: z
    .union([z.string(), z.array(z.string()).transform((segments) => segments.join('/'))])
    .transform(checkKey),
});
const putBody = z.object({ value: z.unknown() });
const keyValue = z.object({ key: z.string(), value: z.string(), created: z.int(), modified: z.int() });
const answer = baseResponseSchema.extend({ response: z.array(z.union([z.string(), keyValue])) });

type Query = Readonly<Record<string, unknown>>;

/** @throws AntirioError invalidInput */
function isOn(query: unknown, key: string): boolean {
  const value = (query as Query)[key];
  if (value === undefined || value === 'false') return false;
  if (value !== 'true') throw new AntirioError('invalidInput', `${key} should be true or false`);
  return true;
}

function shown({ key, value, created, modified }: KeyValue, plain: boolean): unknown {
  return { created, modified, key, value: plain ? value : Buffer.from(value).toString('base64') };
}

/** Tells those that watch a configuration: `edgex/configs/<key>`. */
function publish(
  { ports }: Room,
  key: string,
  change: Record<string, unknown>,
  correlationID: string | undefined,
): void {
  const { bus, log, random } = ports;
  if (bus === undefined) return;
  const topic = [BASE_TOPIC, 'configs', ...key.split('/').map(topicLevel)].join('/');
  const text = makeEnvelope({ ...change, key }, { correlationID: correlationID ?? uuidV4(random) });
  bus.publish(topic, text).catch((error: unknown) => {
    log.warn({ key, error: describeError(error) }, 'a change of configuration was not published');
  });
}

type Handler = Parameters<HttpRim['route']>[3];

export function addKeyRoutes(rim: HttpRim, room: Room): void {
  const { commit, keys, ports } = room;
  const both = (method: Method, summary: string, body: z.ZodType | undefined, handler: Handler): void => {
    for (const path of ['/api/v3/kvs/key/:key', '/api/v3/kvs/key/*key'])
      rim.route(method, path, { summary, params, answer, ...(body && { body }) }, handler);
  };
  const keyOf = (given: unknown): string => (given as z.output<typeof params>).key;

  both('get', 'the key and all keys below it', undefined, ({ params: given, query }) => {
    const key = keyOf(given);
    const [keyOnly, plain] = [isOn(query, 'keyOnly'), isOn(query, 'plaintext')];
    const found = keys.at(key);
    if (found.length === 0) throw new AntirioError('notFound', `query key ${key} not found`);
    return { ...baseResponse(200), response: found.map((one) => (keyOnly ? one.key : shown(one, plain))) };
  });
  both(
    'put',
    'stores a value, or with `flatten` the tree of it',
    putBody,
    async ({ params: given, query, body, request }) => {
      const key = keyOf(given);
      const { value } = body as z.output<typeof putBody>;
      const pairs = pairsOf(key, value, isOn(query, 'flatten'));
      await commit.run(0, () => keys.put(pairs, Math.trunc(ports.clock.now())));
      // one value as it is read back: EdgeX's client takes a notice for stale where the two differ
      const told = isOn(query, 'flatten') ? value : pairs[0]?.[1];
      publish(room, key, { value: told }, request.get('x-correlation-id'));
      return { ...baseResponse(200), response: pairs.map(([stored]) => stored) };
    },
  );
  both(
    'delete',
    'deletes the key, or with `prefixMatch` all that begin with it',
    undefined,
    async ({ params: given, query, request }) => {
      const key = keyOf(given);
      const prefixMatch = isOn(query, 'prefixMatch');
      const gone = await commit.run(0, () => keys.remove(key, prefixMatch));
      publish(room, key, {}, request.get('x-correlation-id'));
      return { ...baseResponse(200), response: gone };
    },
  );
}
