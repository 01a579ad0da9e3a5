import { AntirioError } from '@antirio/kernel';

/** Which part of a result is wanted. */
export interface Page {
  readonly offset: number;
  readonly limit: number;
  /** False with `offset=-1`: the total need not be counted. */
  readonly counted: boolean;
}

export interface PageRules {
  /** EdgeX's MaxResultCount: the largest limit, and what `limit=-1` stands for. */
  readonly maxResultCount: number;
  /** -1 where `offset=-1` is allowed (core-data). */
  readonly minOffset?: 0 | -1;
}

const DEFAULT_LIMIT = 20;
const MAX_OFFSET = 2 ** 31 - 1;

type Query = Readonly<Record<string, unknown>>;

function integerOf(query: Query, key: string, otherwise: number, min: number, max: number): number {
  const given = query[key];
  const text = Array.isArray(given) ? String(given[0]) : given;
  if (typeof text !== 'string' || text === '') return otherwise;
  if (!/^[+-]?\d{1,15}$/.test(text.trim()))
    throw new AntirioError(
      'invalidInput',
      `failed to parse querystring ${key}'s value ${text.slice(0, 64)} into integer`,
    );
  const value = Number(text);
  if (value < min || value > max)
    throw new AntirioError(
      'invalidInput',
      `querystring ${key}'s value ${value} is out of min ${min} ~ max ${max} range.`,
    );
  return value;
}

/** EdgeX's `offset` and `limit`. @throws AntirioError invalidInput */
export function pageOf(query: Query, rules: PageRules): Page {
  const { maxResultCount, minOffset = 0 } = rules;
  const offset = integerOf(query, 'offset', 0, minOffset, MAX_OFFSET);
  const limit = integerOf(query, 'limit', Math.min(DEFAULT_LIMIT, maxResultCount), -1, maxResultCount);
  return { offset: Math.max(offset, 0), limit: limit === -1 ? maxResultCount : limit, counted: offset >= 0 };
}

/**
 * Whether there is anything to fetch.
 * @throws AntirioError rangeNotSatisfiable when the offset lies beyond the end.
 */
export function hasRows(total: number, page: Page): boolean {
  if (page.limit === 0 || total === 0) return false;
  if (page.offset > total)
    throw new AntirioError(
      'rangeNotSatisfiable',
      `query objects bounds out of range. length:${total} offset:${page.offset}`,
    );
  return true;
}

/** A path parameter that is an int64 from 0 on. @throws AntirioError invalidInput */
function int64Of(text: string, key: string): bigint {
  if (!/^\+?\d{1,19}$/.test(text) || BigInt(text.replace('+', '')) >= 2n ** 63n)
    throw new AntirioError(
      'invalidInput',
      `failed to parse path param ${key}'s value ${text.slice(0, 64)} into integer`,
    );
  return BigInt(text.replace('+', ''));
}

/** Nanoseconds from `start` to `end`, both included. @throws AntirioError invalidInput */
export function timeRangeOf(start: string, end: string): { readonly start: bigint; readonly end: bigint } {
  const range = { start: int64Of(start, 'start'), end: int64Of(end, 'end') };
  if (range.end < range.start)
    throw new AntirioError(
      'invalidInput',
      `end's value ${range.end} is not allowed to be less than start's value ${range.start}`,
    );
  return range;
}
