import { z } from 'zod';
import { AntirioError, isAntirioError } from '@antirio/kernel';
import { callJson, type HttpPeer } from '@antirio/host';
import { API_VERSION } from '@antirio/edgex-contracts';

/** Configuration as a tree of texts. */
export interface ConfigTree {
  [name: string]: string | ConfigTree;
}

const found = z.object({ response: z.array(z.object({ key: z.string(), value: z.coerce.string() })) });

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

/** Everything below a key; empty where there is no such key. @throws AntirioError unavailable | timeout */
export async function readTree(keeper: HttpPeer, key: string, timeoutMs: number): Promise<ConfigTree> {
  const path = `/api/v3/kvs/key/${encodeKey(key)}?plaintext=true`;
  let answer: unknown;
  try {
    answer = await callJson(keeper, { path, timeoutMs });
  } catch (error) {
    if (isAntirioError(error, 'notFound')) return {};
    throw error;
  }
  const parsed = found.safeParse(answer);
  if (!parsed.success)
    throw new AntirioError('unavailable', 'core-keeper answered nonsense', {}, parsed.error);
  const tree: ConfigTree = {};
  for (const { key: at, value } of parsed.data.response)
    if (at.startsWith(`${key}/`)) place(tree, at.slice(key.length + 1).split('/'), value);
  return tree;
}

export interface Registered {
  readonly serviceId: string;
  readonly host: string;
  readonly port: number;
  readonly intervalMs: number;
}

/**
 * Registers the service, or says anew what is registered of it. A service that answers is up: EdgeX's clients ask nothing of one whose health is
 * not known yet.
 * @throws AntirioError unavailable | timeout | ...
 */
export async function register(keeper: HttpPeer, service: Registered, status: 'UP' | 'HALT'): Promise<void> {
  const { serviceId, host, port, intervalMs } = service;
  const healthCheck = { interval: `${intervalMs}ms`, path: '/api/v3/ping', type: 'http' };
  const registration = { serviceId, status, host, port, healthCheck };
  const call = { path: '/api/v3/registry', json: { apiVersion: API_VERSION, registration }, timeoutMs: 2000 };
  try {
    await callJson(keeper, { ...call, method: 'POST' });
  } catch (error) {
    if (!isAntirioError(error, 'conflict')) throw error;
    await callJson(keeper, { ...call, method: 'PUT' });
  }
}
