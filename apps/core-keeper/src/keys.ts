import { AntirioError } from '@antirio/kernel';
import { checkDepth, stringifyJson } from '@antirio/edgex-contracts';

const KEY = /^[a-zA-Z0-9\-_~;=./ ]+$/;
const KEY_LIMIT = 1024;
const DEPTH_LIMIT = 32;

/** A key without slashes at its ends. @throws AntirioError invalidInput */
export function checkKey(given: string): string {
  const key = given.replace(/^\/+|\/+$/g, '');
  if (!KEY.test(key) || key.length > KEY_LIMIT)
    throw new AntirioError(
      'invalidInput',
      `key only allows characters between a to z, A to Z, 0 to 9, or one of -_ ~;=./, and ${KEY_LIMIT} of them`,
    );
  return key;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : stringifyJson(value);
}

/** One key with its value as text. */
export type Pair = readonly [key: string, value: string];

/**
 * The keys of a tree: `{a: {b: 1}, c: [2, 3]}` at `k` is `k/a/b`, `k/c/0`, `k/c/1`.
 * @throws AntirioError invalidInput for a key with other characters, or too deep a tree.
 */
function flatten(key: string, value: unknown, depth: number): Pair[] {
  if (depth > DEPTH_LIMIT) throw new AntirioError('invalidInput', `more than ${DEPTH_LIMIT} levels`);
  if (value === null || value === undefined) return [];
  if (typeof value !== 'object') return [[checkKey(key), textOf(value)]];
  return Object.entries(value).flatMap(([below, item]) => flatten(`${key}/${below}`, item, depth + 1));
}

/** What a PUT of the value at the key stores. @throws AntirioError invalidInput, also where it is nested too deeply */
export function pairsOf(key: string, value: unknown, flat: boolean): readonly Pair[] {
  if (value === null || value === undefined)
    throw new AntirioError('invalidInput', 'value field is required');
  if (!flat) return [[key, textOf(checkDepth(value))]];
  const pairs = flatten(key, value, 0);
  if (pairs.length === 0) throw new AntirioError('invalidInput', 'value field has no keys');
  return pairs;
}
