import { describe, expect, test } from '@jest/globals';
import { createFeed } from './feed.ts';
import { fly, type Acknowledged, type Handed, type Link } from './flight.ts';
import { decodeFrame } from './frame.ts';
import type { FlightPlan } from './plan.ts';

const KEY = new Uint8Array(32).fill(7);
const FLIGHT = '4e6a1f0c-7d63-4c1a-9a07-0d2f5f6f2b11';

const leg = (name: string, from: number, until: number): FlightPlan['legs'][number] => ({
  ...{ name, contractId: FLIGHT, reach: { from, until } },
  ...{ url: 'http://127.0.0.1:1', mqttUrl: 'mqtt://127.0.0.1:1' },
});

/** Time that goes by only while everybody waits. */
function fakeTime() {
  let now = 0;
  const sleepers: { at: number; wake: () => void }[] = [];
  const sleep = (ms: number): Promise<void> =>
    new Promise((wake) => sleepers.push({ at: now + Math.max(1, ms), wake }));
  const run = async (over: Promise<unknown>): Promise<void> => {
    const state = { over: false };
    void over.then(() => (state.over = true));
    for (;;) {
      for (let i = 0; i < 50; i++) await Promise.resolve();
      if (state.over) return;
      sleepers.sort((a, b) => a.at - b.at);
      const next = sleepers.shift();
      if (next === undefined) continue;
      now = Math.max(now, next.at);
      next.wake();
    }
  };
  return { now: () => now, sleep, run };
}

interface Edge {
  readonly from: number;
  readonly until: number;
  /** Answers get lost: what it acknowledges is on its disk, but nobody hears it. */
  readonly deafFrom?: number;
}

async function flight(edges: readonly Edge[], change: Partial<FlightPlan> = {}) {
  const time = fakeTime();
  const stored: { edge: number; sequence: number; at: number }[] = [];
  const acks: Acknowledged[] = [];
  const handed: Handed[] = [];
  const links = edges.map(({ from, until, deafFrom = Infinity }, edge): Link => {
    const isUp = (): boolean => time.now() >= from && time.now() < until;
    return {
      serves: () => Promise.resolve(isUp()),
      async send(sequence, bytes) {
        await time.sleep(15);
        if (!isUp()) throw new Error('gone');
        expect(decodeFrame(bytes, KEY).sequence).toBe(sequence);
        stored.push({ edge, sequence, at: time.now() });
        if (time.now() >= deafFrom) throw new Error('the answer is lost');
        return { eventBytes: 900 };
      },
      close: () => Promise.resolve(),
    };
  });
  const plan: FlightPlan = {
    ...{ drone: 'drone-1', flight: FLIGHT, key: '07'.repeat(32), seed: '1', serviceName: 'pre' },
    ...{ width: 32, height: 24, framesPerSecond: 20, speed: 10, routeLength: 90, stream: 'http' },
    ...{ bufferFrames: 200, underWay: 4, patienceMs: 5_000, takeOffAt: 1_000, logFile: '-' },
    legs: [leg('a', 0, 35), leg('b', 25, 65), leg('c', 55, 90)],
    ...change,
  };
  const { now, sleep } = time;
  const onAck = (ack: Acknowledged): void => void acks.push(ack);
  const onHanded = (one: Handed): void => void handed.push(one);
  const over = fly({ plan, feed: createFeed('1', 32, 24), links, now, sleep, onAck, onHanded });
  await time.run(over);
  return { report: await over, stored, acks, handed };
}

const all = Array.from({ length: 180 }, (_, i) => i);
const numbers = (of: readonly { sequence: number }[]): number[] =>
  of.map(({ sequence }) => sequence).sort((a, b) => a - b);

describe('a flight', () => {
  test('goes over to each edge while the one before still serves, and every frame is acknowledged once', async () => {
    const { report, acks, stored, handed } = await flight([
      { from: 0, until: 4_600 },
      { from: 3_600, until: 7_600 },
      { from: 6_600, until: 99_000 },
    ]);
    expect(report).toMatchObject({
      captured: 180,
      acknowledged: 180,
      dropped: 0,
      left: 0,
      failedAttempts: 0,
    });
    expect(numbers(acks)).toEqual(all);
    expect(stored).toHaveLength(180);
    expect(handed.map(({ leg: to, from, overlapped }) => ({ to, from, overlapped }))).toEqual([
      { to: 0, from: undefined, overlapped: false },
      { to: 1, from: 0, overlapped: true },
      { to: 2, from: 1, overlapped: true },
    ]);
  });

  test('an edge that dies in the middle of its leg costs nothing: what it did not acknowledge goes to the next one', async () => {
    const { report, acks, handed } = await flight([
      { from: 0, until: 4_600 },
      { from: 3_600, until: 5_200, deafFrom: 5_100 },
      { from: 6_600, until: 99_000 },
    ]);
    expect(report).toMatchObject({ captured: 180, acknowledged: 180, dropped: 0, left: 0 });
    expect(report.failedAttempts).toBeGreaterThan(0);
    expect(report.mostWaiting).toBeGreaterThan(20);
    expect(numbers(acks)).toEqual(all);
    expect(handed.at(-1)).toMatchObject({ leg: 2, from: 1, overlapped: false });
  });

  test('what does not fit into the buffer is counted, and so is what nobody took by the end', async () => {
    const { report, acks } = await flight([{ from: 0, until: 4_000 }], {
      bufferFrames: 30,
      legs: [leg('a', 0, 90)],
    });
    expect(report.left).toBe(30);
    expect(report.dropped).toBeGreaterThan(0);
    expect(report.acknowledged + report.dropped + report.left).toBe(180);
    expect(acks).toHaveLength(report.acknowledged);
  });

  test('an edge that serves out of reach gets nothing', async () => {
    const { stored } = await flight([
      { from: 0, until: 99_000 },
      { from: 0, until: 99_000 },
      { from: 0, until: 99_000 },
    ]);
    const first = (edge: number): number => stored.find((one) => one.edge === edge)?.at ?? -1;
    expect(first(1)).toBeGreaterThanOrEqual(3_500);
    expect(first(2)).toBeGreaterThanOrEqual(6_500);
  });
});
