import { describe, expect, test } from '@jest/globals';
import { silentLog, type Bus } from '@antirio/host';
import { parseDevAddr } from '@antirio/lorawan';
import { openStore } from '../database.ts';
import { openDownCounters } from './counters.ts';
import { createProven } from './proven.ts';

const devAddr = parseDevAddr('01000001');

/** A service's counters, whose arbitrator is the test. */
async function openScene(highest?: number) {
  const proven = createProven(openStore(':memory:'));
  const asked: { requestId: string; proven?: number }[] = [];
  const notices: unknown[] = [];
  let onGrant = (_topic: string, _payload: Uint8Array): unknown => undefined;
  let used = highest;
  const bus = {
    subscribe(_topic: string, listener: typeof onGrant) {
      onGrant = listener;
      return Promise.resolve({ close: () => Promise.resolve() });
    },
    publish(topic: string, text: string) {
      const told: unknown = JSON.parse(text);
      if (topic.endsWith('request')) asked.push(told as (typeof asked)[number]);
      else notices.push(told);
      return Promise.resolve();
    },
  } as unknown as Bus;
  let ms = 0;
  const counters = await openDownCounters({
    ...{ bus, prefix: '', log: silentLog, highestUsed: () => used, proven },
    clock: { now: () => ms, monotonic: () => (ms += 2000) },
    random: { bytes: (n: number) => new Uint8Array(n) },
  });
  return {
    counters,
    proven,
    asked,
    notices,
    grant(first: number, heard?: number): void {
      const { requestId } = asked.at(-1) ?? { requestId: '' };
      const told = { requestId, devAddr, first, last: first + 15, proven: heard };
      onGrant('', new Uint8Array(Buffer.from(JSON.stringify(told))));
    },
    use: (fcnt: number): void => void (used = fcnt),
    take(): number | undefined {
      const fcnt = counters.next(devAddr);
      if (fcnt !== undefined) used = fcnt;
      return fcnt;
    },
  };
}

test('a counter of a block that lies here is not given once it was encrypted for', async () => {
  const scene = await openScene();
  scene.take();
  scene.grant(16);
  expect(scene.take()).toBe(16);
  scene.use(20);
  expect(scene.take()).toBe(21);
  scene.use(31);
  expect(scene.take()).toBeUndefined();
  scene.grant(80);
  expect(scene.take()).toBe(80);
});

describe('what a device was proven to hear', () => {
  test('never goes back, and what was sent before proofs were kept counts as heard', () => {
    const db = openStore(':memory:');
    const proven = createProven(db);
    expect(proven.of(devAddr)).toBeUndefined();
    proven.note(devAddr, 7);
    proven.note(devAddr, 5);
    expect(createProven(db).of(devAddr)).toBe(7);
  });

  test('comes with a block, and goes with the next request', async () => {
    const scene = await openScene();
    scene.take();
    expect(scene.asked[0]).not.toHaveProperty('proven');
    scene.grant(9008, 8990);
    for (let n = 0; n < 16; n++) scene.take();
    scene.counters.proved(devAddr, 9010);
    scene.take();
    expect(scene.asked.at(-1)).toMatchObject({ proven: 9010 });
    scene.grant(9072, 8990);
    expect(scene.proven.of(devAddr)).toBe(9010);
  });

  test('is taken to be all before it where nobody knows', async () => {
    const scene = await openScene();
    scene.take();
    scene.grant(9008);
    expect(scene.take()).toBe(9008);
    expect(scene.proven.of(devAddr)).toBe(9007);
  });
});

describe('counters that run ahead of it', () => {
  test('ask for a proof from 2048 on, once in 64 counters', async () => {
    const wants = async (next: number) => {
      const scene = await openScene(next - 1);
      scene.proven.note(devAddr, 0);
      return scene.counters.wantsProof(devAddr) ? scene.counters.wantsProof(devAddr) || 'once' : 'never';
    };
    expect([await wants(2047), await wants(2048), await wants(8000)]).toEqual(['never', 'once', 'once']);
  });

  test('are told at 4096, and used no more at 8192, until there is a proof', async () => {
    const scene = await openScene(4094);
    scene.proven.note(devAddr, 0);
    scene.take();
    expect(scene.notices).toEqual([{ devAddr, next: 4095, proven: 0 }]);
    scene.grant(4096, 0);
    scene.take();
    expect(scene.notices.at(-1)).toEqual({ devAddr, next: 4096, proven: 0 });

    const late = await openScene(8183);
    late.proven.note(devAddr, 0);
    late.take();
    late.grant(8176, 0);
    const taken = Array.from({ length: 9 }, () => late.take());
    expect(taken).toEqual([8184, 8185, 8186, 8187, 8188, 8189, 8190, 8191, undefined]);
    const asked = late.asked.length;
    expect(await late.counters.wait(devAddr, 1000)).toBeUndefined();
    late.counters.prepare(devAddr);
    expect(late.asked).toHaveLength(asked);
    expect(late.notices.at(-1)).toMatchObject({ next: 8192 });
    late.counters.proved(devAddr, 8190);
    expect(late.notices.at(-1)).toMatchObject({ proven: 8190 });
    expect(late.take() ?? late.asked.length).toBe(asked + 1);
  });
});
