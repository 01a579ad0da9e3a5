import { Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Request, Response } from 'express';
import { systemClock, systemRandom, waitFor } from '@antirio/host';
import { createEventStreams, type EventScope, type EventStreams } from './event-streams.ts';
import { createProgress, type Progress } from './progress.ts';

/** A client that takes what it is sent, or nothing at all. */
class Client extends Writable {
  text = '';
  status = 0;
  readonly takes: boolean;

  constructor(takes: boolean) {
    super({ highWaterMark: 2000 });
    this.takes = takes;
    this.on('error', () => undefined);
  }

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.text += bytes.toString();
    if (this.takes) done();
  }

  writeHead(status: number): this {
    this.status = status;
    return this;
  }

  flushHeaders(): void {
    // nothing is held back
  }
}

let progress: Progress;
let streams: EventStreams;
const everything: EventScope = { concerns: () => true, state: () => ({}) };
const options = { maxListeners: 3, heartbeatMs: 20, stallMs: 60 };

const open = (client: Client, lastEventId?: string): void => {
  const request = { method: 'GET', get: () => lastEventId } as unknown as Request;
  streams.open(request, client as unknown as Response, everything);
};
/** Pieces of work of which each is told twice. */
const work = async (n: number): Promise<void> => {
  for (let i = 0; i < n; i++)
    await progress.track('verify', { cid: 'x'.repeat(100) }, (tell) => {
      tell.seen({ bytes: 1 });
      return Promise.resolve();
    });
};
const until = (what: () => boolean): Promise<unknown> =>
  waitFor(systemClock, 5000, () => what() || undefined, 5);

beforeEach(() => {
  progress = createProgress(systemClock);
  streams = createEventStreams(progress, options, systemRandom);
});
afterEach(() => streams.close());

describe('a listener that takes nothing', () => {
  test('has no more waiting for it than the newest of a bounded number of works, and is cut off', async () => {
    const slow = new Client(false);
    const quick = new Client(true);
    open(slow);
    open(quick);
    await work(600);
    expect(slow.destroyed).toBe(true);
    expect(slow.writableLength + slow.text.length).toBeLessThan(5000);
    await until(() => streams.listeners === 1);
    expect(streams.cutOff).toBe(1);
    expect(quick.text.match(/"state":"done"/g)).toHaveLength(600);
  });

  test('is cut off after a while, however little there is for it', async () => {
    const slow = new Client(false);
    open(slow);
    await work(20);
    expect(slow.destroyed).toBe(false);
    await until(() => slow.destroyed && streams.listeners === 0);
    expect(streams.cutOff).toBe(1);
  });
});

test('who went is no listener any more, and was not cut off', async () => {
  const client = new Client(true);
  open(client);
  client.destroy();
  await until(() => streams.listeners === 0);
  expect(streams.cutOff).toBe(0);
});

test('there are heartbeats, and no more listeners than there may be', async () => {
  const clients = [1, 2, 3].map(() => new Client(true));
  for (const client of clients) open(client);
  expect(() => open(new Client(true))).toThrow(/already 3 listeners/);
  await until(() => (clients[0]?.text.match(/^: /gm) ?? []).length >= 2);
});

test('who comes again with the number of its last event gets what came since, newest of each', async () => {
  const first = new Client(true);
  open(first);
  await work(1);
  const ids = [...first.text.matchAll(/^id: (\S+)$/gm)].map(([, id]) => id);
  expect(new Set(ids).size).toBe(ids.length);
  first.destroy();
  await work(2);
  const again = new Client(true);
  open(again, ids.at(-1));
  expect(again.text).not.toContain('event: snapshot');
  expect(again.text.match(/"workId":(\d+)/g)).toEqual(['"workId":2', '"workId":3']);
  const foreign = new Client(true);
  open(foreign, 'ffffffff.1');
  expect(foreign.text).toContain('event: snapshot');
});

test('streams end when the room stops, and none begins then', async () => {
  const client = new Client(true);
  open(client);
  streams.close();
  await until(() => client.writableFinished);
  expect(() => open(new Client(true))).toThrow(/stopped/);
});
