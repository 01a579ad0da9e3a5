import type { Command, RedisStore } from '@antirio/store-redis';
import type { TimeRange } from '../ordered-rows.ts';
import { boundsOf, memberIn, placeBytes, text, type Member } from './layout.ts';
import { readRecord, type EventRecord } from './event-record.ts';

/** Bytes of records that are fetched in one step. */
const BYTES_AT_ONCE = 8 << 20;
const MEMBERS_AT_ONCE = 500;
const RECORDS_AT_ONCE = 250;

/**
 * A page of one index, newest first: how many come after the range, then so many from there on, as far as the range goes. In one step, so
 * that what comes meanwhile shifts nothing.
 */
const PAGE = `
local above = ARGV[2] == '+' and 0 or redis.call('ZLEXCOUNT', KEYS[1], '(' .. string.sub(ARGV[2], 2), '+')
local within = redis.call('ZLEXCOUNT', KEYS[1], ARGV[1], ARGV[2])
local offset, limit = tonumber(ARGV[3]), tonumber(ARGV[4])
if limit > within - offset then limit = within - offset end
if limit <= 0 then return {} end
return redis.call('ZREVRANGE', KEYS[1], above + offset, above + offset + limit - 1)`;

/** Records by their places, as many as there is room for: at least one. */
const FETCH = `
local found, sum = {}, 0
for i = 2, #ARGV do
  local record = redis.call('HGET', KEYS[1], ARGV[i])
  found[#found + 1] = record
  if record then sum = sum + #record end
  if sum >= tonumber(ARGV[1]) then break end
end
return found`;

/** The sorted sets, of which several together may be what is asked for. */
export interface IndexReader {
  count(keys: readonly string[], range?: TimeRange): Promise<number>;
  /** Newest first. */
  page(
    keys: readonly string[],
    range: TimeRange | undefined,
    page: { readonly offset: number; readonly limit: number },
  ): Promise<readonly Member[]>;
  /** Oldest first, a step at a time. */
  steps(key: string, range: TimeRange | undefined): AsyncGenerator<readonly Member[]>;
  /** Of events at these places, in steps of bounded size; undefined of those that are gone. */
  records(
    places: readonly number[],
  ): AsyncGenerator<readonly [place: number, record: EventRecord | undefined]>;
  strings(command: Command): Promise<string[]>;
}

const isNewer = (a: Buffer, b: Buffer): boolean => Buffer.compare(a, b) > 0;

/** One index, newest first, read a step at a time. */
interface Cursor {
  readonly key: string;
  waiting: Buffer[];
  isDone: boolean;
  to: Buffer | string;
}

function newestOf(cursors: readonly Cursor[]): Cursor | undefined {
  let newest: Cursor | undefined;
  for (const cursor of cursors) {
    const [first] = cursor.waiting;
    const [best] = newest?.waiting ?? [];
    if (first !== undefined && (best === undefined || isNewer(first, best))) newest = cursor;
  }
  return newest;
}

export function createIndexReader(store: RedisStore): IndexReader {
  const buffers = async (command: Command): Promise<Buffer[]> => (await store.read(command)) as Buffer[];

  const count = async (keys: readonly string[], range?: TimeRange): Promise<number> => {
    const bounds = boundsOf(range);
    const counts = keys.map((key) => store.read(['ZLEXCOUNT', key, ...bounds]));
    return (await Promise.all(counts)).reduce((sum: number, one) => sum + Number(one), 0);
  };
  const fill = async (cursor: Cursor, from: Buffer | string): Promise<void> => {
    const { key, to } = cursor;
    cursor.waiting = await buffers(['ZREVRANGEBYLEX', key, to, from, 'LIMIT', 0, MEMBERS_AT_ONCE]);
    cursor.isDone = cursor.waiting.length < MEMBERS_AT_ONCE;
    const last = cursor.waiting.at(-1);
    if (last !== undefined) cursor.to = Buffer.concat([Buffer.from('('), last]);
  };
  const merged = async (
    keys: readonly string[],
    range: TimeRange | undefined,
    { offset, limit }: { readonly offset: number; readonly limit: number },
  ): Promise<Buffer[]> => {
    const [from, to] = boundsOf(range);
    const cursors = keys.map((key): Cursor => ({ key, waiting: [], isDone: false, to }));
    const found: Buffer[] = [];
    for (let passed = 0; found.length < limit; passed++) {
      const empty = cursors.filter(({ waiting, isDone }) => waiting.length === 0 && !isDone);
      if (empty.length > 0) await Promise.all(empty.map((one) => fill(one, from)));
      const next = newestOf(cursors)?.waiting.shift();
      if (next === undefined) break;
      if (passed >= offset) found.push(next);
    }
    return found;
  };

  return {
    count,
    async page(keys, range, page) {
      const [only] = keys;
      if (only === undefined) return [];
      const found =
        keys.length > 1
          ? await merged(keys, range, page)
          : await buffers(['EVAL', PAGE, 1, only, ...boundsOf(range), page.offset, page.limit]);
      return found.map(memberIn);
    },
    async *steps(key, range) {
      const [start, to] = boundsOf(range);
      for (let from = start; ;) {
        const found = await buffers(['ZRANGEBYLEX', key, from, to, 'LIMIT', 0, MEMBERS_AT_ONCE]);
        if (found.length > 0) yield found.map(memberIn);
        const last = found.at(-1);
        if (last === undefined || found.length < MEMBERS_AT_ONCE) return;
        from = Buffer.concat([Buffer.from('('), last]);
      }
    },
    async *records(places) {
      for (let next = 0; next < places.length;) {
        const asked = places.slice(next, next + RECORDS_AT_ONCE);
        const found = (await store.read([
          'EVAL',
          FETCH,
          1,
          store.key('event'),
          BYTES_AT_ONCE,
          ...asked.map(placeBytes),
        ])) as (Buffer | null)[];
        for (const [index, bytes] of found.entries())
          yield [asked[index] ?? 0, bytes === null ? undefined : readRecord(bytes)];
        next += found.length;
      }
    },
    strings: async (command) => (await buffers(command)).map(text),
  };
}
