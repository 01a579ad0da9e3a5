import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  httpPeer,
  inTransaction,
  openDatabase,
  silentLog,
  systemClock,
  systemRandom,
  waitFor,
  type Database,
  type HttpPeer,
} from '@antirio/host';
import { createBackoff } from './backoff.ts';
import { createOutbox, OUTBOX_MIGRATION, type Outbox, type OutboxOptions } from './outbox.ts';

let folder: string;
let db: Database;
let server: Server;
let peer: HttpPeer;
let outbox: Outbox;
let answers: (body: { n: number }) => number;
let taken: number[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-outbox-'));
  db = openDatabase(join(folder, 'db.sqlite'), [OUTBOX_MIGRATION]);
  answers = () => 200;
  taken = [];
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const body = JSON.parse(Buffer.concat(parts).toString()) as { n: number };
      response.statusCode = answers(body);
      if (response.statusCode < 300) taken.push(body.n);
      response.end();
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  peer = httpPeer({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  outbox = opened();
});
afterEach(async () => {
  await outbox.stop();
  peer.close();
  await new Promise((resolve) => server.close(resolve));
  db.close();
  rmSync(folder, { recursive: true });
});

function opened(more: Partial<OutboxOptions> = {}): Outbox {
  const ports = { clock: systemClock, random: systemRandom, log: silentLog };
  return createOutbox({
    db,
    peers: { orchestrator: peer },
    firstDelayMs: 1,
    maxDelayMs: 5,
    ...ports,
    ...more,
  });
}

const put = (n: number, subject = 'a'): void =>
  outbox.add({ peer: 'orchestrator', path: '/x', json: { n }, subject });

async function delivered(count: number): Promise<void> {
  await waitFor(systemClock, 10_000, () => {
    outbox.poke();
    return taken.length >= count && outbox.waiting().length === 0 ? true : undefined;
  });
}

test('letters arrive in order, also those that were there before the start', async () => {
  const told: unknown[] = [];
  outbox = opened({ onDelivered: (letter) => told.push(letter.json) });
  for (let n = 0; n < 10; n++) put(n);
  outbox.start();
  await delivered(10);
  expect(told).toHaveLength(10);
  expect(taken).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('a letter is put in with the transaction of its room or not at all', () => {
  expect(() =>
    inTransaction(db, () => {
      put(1);
      throw new RangeError('the rest failed');
    }),
  ).toThrow('the rest failed');
  expect(outbox.waiting()).toEqual([]);
});

test('a failing one is tried again and holds up only its own subject', async () => {
  let failures = 3;
  answers = ({ n }) => (n === 1 && failures-- > 0 ? 503 : 200);
  for (const [n, subject] of [
    [1, 'a'],
    [2, 'a'],
    [3, 'b'],
  ] as const)
    put(n, subject);
  outbox.start();
  await delivered(3);
  expect(taken).toEqual([3, 1, 2]);
});

test('a refused one is given up after some attempts and told, the next one goes', async () => {
  const refused: unknown[] = [];
  answers = ({ n }) => (n === 1 ? 400 : 200);
  outbox = opened({ refusalsAllowed: 2, onRefused: (letter) => refused.push(letter.json) });
  put(1);
  put(2);
  outbox.start();
  await delivered(1);
  expect([taken, refused]).toEqual([[2], [{ n: 1 }]]);
});

test('what is left when it stops is there for the next one', async () => {
  answers = () => 503;
  put(1);
  outbox.start();
  await waitFor(systemClock, 5000, () => outbox.waiting()[0]?.attempts);
  await outbox.stop();
  answers = () => 200;
  outbox = opened();
  outbox.start();
  await delivered(1);
  expect(taken).toEqual([1]);
});

test('it is bounded', () => {
  outbox = opened({ maxWaiting: 2 });
  put(1);
  put(2);
  expect(() => put(3)).toThrow('2 messages wait');
});

test('delays double up to their bound, with jitter of half around them', () => {
  const low = createBackoff({ firstDelayMs: 100, maxDelayMs: 1000 }, { bytes: () => Uint8Array.of(0, 0) });
  const high = createBackoff(
    { firstDelayMs: 100, maxDelayMs: 1000 },
    { bytes: () => Uint8Array.of(255, 255) },
  );
  expect([1, 2, 3, 4, 5, 60].map(low)).toEqual([50, 100, 200, 400, 500, 500]);
  expect(high(1)).toBeGreaterThan(149);
  expect(high(60)).toBeLessThan(1500);
});
