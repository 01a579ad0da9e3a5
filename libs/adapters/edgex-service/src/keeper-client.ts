import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { AntirioError, isAntirioError } from '@antirio/kernel';
import { callJson, type HttpPeer } from '@antirio/host';
import { API_VERSION } from '@antirio/edgex-contracts';

/** Configuration as a tree of texts. */
export interface ConfigTree {
  [name: string]: string | ConfigTree;
}

const found = z.object({ response: z.array(z.object({ key: z.string(), value: z.coerce.string() })) });

/** Every request of EdgeX's has an id of its own. */
const ask = (keeper: HttpPeer, call: Parameters<typeof callJson>[1]): Promise<unknown> =>
  callJson(keeper, { ...call, headers: { 'x-correlation-id': randomUUID(), ...call.headers } });

/** Keys come percent-encoded, with `-` and `/` too, as EdgeX's client sends them. */
function encodeKey(key: string): string {
  return encodeURIComponent(key).replaceAll('-', '%2D');
}

function place(tree: ConfigTree, [head, ...rest]: readonly string[], value: string): void {
  if (head === undefined || head === '__proto__') return;
  if (rest.length === 0) {
    tree[head] = value;
    return;
  }
  const known = tree[head];
  const branch = typeof known === 'object' ? known : {};
  tree[head] = branch;
  place(branch, rest, value);
}

type Pairs = z.output<typeof found>['response'];

async function readPairs(keeper: HttpPeer, key: string, timeoutMs: number): Promise<Pairs> {
  const path = `/api/v3/kvs/key/${encodeKey(key)}?plaintext=true`;
  let answer: unknown;
  try {
    answer = await ask(keeper, { path, timeoutMs });
  } catch (error) {
    if (isAntirioError(error, 'notFound')) return [];
    throw error;
  }
  const parsed = found.safeParse(answer);
  if (!parsed.success)
    throw new AntirioError('unavailable', 'core-keeper answered nonsense', {}, parsed.error);
  return parsed.data.response;
}

/** Everything below a key; empty where there is no such key. @throws AntirioError unavailable | timeout */
export async function readTree(keeper: HttpPeer, key: string, timeoutMs: number): Promise<ConfigTree> {
  const tree: ConfigTree = {};
  for (const { key: at, value } of await readPairs(keeper, key, timeoutMs))
    if (at.startsWith(`${key}/`)) place(tree, at.slice(key.length + 1).split('/'), value);
  return tree;
}

/** The value of a key; undefined where there is none. @throws AntirioError unavailable | timeout */
export async function readValue(
  keeper: HttpPeer,
  key: string,
  timeoutMs: number,
): Promise<string | undefined> {
  return (await readPairs(keeper, key, timeoutMs)).find((pair) => pair.key === key)?.value;
}

/** Puts a tree of values below a key, all at once. @throws AntirioError unavailable | timeout | invalidInput */
export async function putTree(
  keeper: HttpPeer,
  key: string,
  value: object,
  timeoutMs: number,
): Promise<void> {
  const path = `/api/v3/kvs/key/${encodeKey(key)}?flatten=true`;
  await ask(keeper, { method: 'PUT', path, json: { value }, timeoutMs });
}

export interface Registered {
  readonly serviceId: string;
  readonly host: string;
  readonly port: number;
  readonly scheme: 'http' | 'https';
  readonly intervalMs: number;
}

/**
 * Registers the service, or says anew what is registered of it. A service that answers is up: EdgeX's clients ask nothing of one whose health is
 * not known yet.
 * @throws AntirioError unavailable | timeout | ...
 */
export async function register(keeper: HttpPeer, service: Registered, status: 'UP' | 'HALT'): Promise<void> {
  const { serviceId, host, port, scheme, intervalMs } = service;
  const healthCheck = { interval: `${intervalMs}ms`, path: '/api/v3/ping', type: scheme };
  const registration = { serviceId, status, host, port, healthCheck };
  const call = { path: '/api/v3/registry', json: { apiVersion: API_VERSION, registration }, timeoutMs: 2000 };
  try {
    await ask(keeper, { ...call, method: 'POST' });
  } catch (error) {
    if (!isAntirioError(error, 'conflict')) throw error;
    await ask(keeper, { ...call, method: 'PUT' });
  }
}
