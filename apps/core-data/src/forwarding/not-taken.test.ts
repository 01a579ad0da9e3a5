import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { silentLog, systemClock, waitFor } from '@antirio/host';
import { createForwarder, type Forwarder } from './forwarder.ts';
import { isWithin, withRange, type PlaceRange } from './not-taken.ts';
import { forwardingRule, type Progress, type StoredRule } from './rules.ts';

let server: Server | undefined;
let forwarder: Forwarder | undefined;
afterEach(async () => {
  await forwarder?.stop();
  server?.closeAllConnections();
  server?.close();
  server = forwarder = undefined;
});

test('ranges have all that was put in, few ranges nothing else, and there are not more than some', () => {
  const range = fc.tuple(fc.nat(3000), fc.nat(5)).map(([from, more]): PlaceRange => [from, from + more]);
  fc.assert(
    fc.property(fc.array(range, { maxLength: 400, size: 'max' }), (given) => {
      const found = given.reduce<PlaceRange[]>(withRange, []);
      expect(found.length).toBeLessThanOrEqual(256);
      found.forEach(([from], i) => expect(from).toBeGreaterThan((found[i - 1]?.[1] ?? -2) + 1));
      for (let place = 0; place <= 3010; place++) {
        const isGiven = isWithin(given, place);
        if (isGiven || given.length <= 256) expect(isWithin(found, place)).toBe(isGiven);
      }
    }),
    { seed: 7, numRuns: 12 },
  );
});

/** Events 1 to so many, of which the receiver refuses some for good. */
async function forward(count: number, refused: ReadonlySet<string>, noted: Progress[]): Promise<StoredRule> {
  server = createServer((request, response) => {
    request.resume().on('end', () => {
      const id = String(request.headers['idempotency-key']);
      response.writeHead(refused.has(id) ? 422 : 200).end();
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const progress = { cursor: 0, sent: 0, refused: 0, dropped: 0, since: 0, notTaken: [] };
  const stored = { id: 'one', rule: forwardingRule.parse({ kind: 'http', url, from: 'stored' }), progress };
  begin(stored, () => count, noted);
  return stored;
}

function begin(stored: StoredRule, newest: () => number, noted: Progress[]): void {
  const arrivals = {
    newest,
    oldest: async () => 1,
    page: async (after: number, through: number) => ({
      arrivals: Array.from({ length: through - after }, (_, n) => ({
        ...{ id: after + 1 + n, table: 'single' as const, uuid: `u${after + 1 + n}` },
        ...{ device: 'd', source: 's', origin: 1n },
      })),
      through,
    }),
  };
  const store = {
    all: () => [],
    put: () => undefined,
    progress: (_: string, progress: Progress) => void noted.push(progress),
    remove: () => undefined,
    close: () => undefined,
  };
  const reader = { eventAt: async () => '{}' };
  // the shortest times between attempts
  const random = { bytes: (count: number) => new Uint8Array(count) };
  forwarder = createForwarder(stored, {
    ...{ hosts: undefined, arrivals, reader, store, random, clock: systemClock, log: silentLog },
    settled: async () => undefined,
  });
}

const takenOf = (places: readonly number[]): number[] =>
  places.filter((place) => forwarder?.hasTaken(place) === true);

test('what was refused does not count as taken, what came before and after it does, also after a start', async () => {
  const noted: Progress[] = [];
  const stored = await forward(6, new Set(['u3']), noted);
  const isDone = (): true | undefined => forwarder?.doneThrough() === 6 || undefined;
  expect(await waitFor(systemClock, 15_000, isDone)).toBe(true);
  expect(takenOf([1, 2, 3, 4, 5, 6, 7])).toEqual([1, 2, 4, 5, 6]);
  await forwarder?.stop();
  const progress = noted.at(-1) ?? stored.progress;
  expect(progress).toMatchObject({ sent: 5, refused: 1 });
  let newest = 7;
  begin({ ...stored, progress }, () => newest, noted);
  expect(await waitFor(systemClock, 15_000, () => forwarder?.doneThrough() === 7 || undefined)).toBe(true);
  expect(takenOf([1, 2, 3, 4, 5, 6, 7])).toEqual([1, 2, 4, 5, 6, 7]);
  // somebody deletes the newest
  newest = 6;
  expect(await waitFor(systemClock, 15_000, isDone)).toBe(true);
  expect(takenOf([1, 2, 3, 4, 5, 6])).toEqual([1, 2, 4, 5, 6]);
});

test('what was given up does not count as taken, what was taken before it does', async () => {
  const noted: Progress[] = [];
  const stored = await forward(2, new Set(), noted);
  expect(await waitFor(systemClock, 15_000, () => forwarder?.doneThrough() === 2 || undefined)).toBe(true);
  await forwarder?.stop();
  const rule = { ...stored.rule, maxWaiting: 3 };
  begin({ ...stored, rule, progress: noted.at(-1) ?? stored.progress }, () => 10, noted);
  expect(await waitFor(systemClock, 15_000, () => forwarder?.doneThrough() === 10 || undefined)).toBe(true);
  expect(takenOf([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])).toEqual([1, 2, 8, 9, 10]);
});
