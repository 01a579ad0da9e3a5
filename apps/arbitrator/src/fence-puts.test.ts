import { expect, test } from '@jest/globals';
import type { Desired } from '@antirio/service-contract';
import { createFencePuts } from './fence-puts.ts';

const openFor = (actUntil: number): Desired['fence'] => ({
  ...{ state: 'open', epoch: 1, slot: 0, actFrom: 0 },
  actUntil,
});

test('behind a bridge that hangs one put waits at most, and is of the fence as it is wanted by then', async () => {
  let [now, wanted] = [0, openFor(0)];
  const put: Desired['fence'][] = [];
  const hanging = Promise.withResolvers<undefined>();
  let queue: Promise<void> = Promise.resolve();
  let turns = 0;
  const puts = createFencePuts({
    clock: { monotonic: () => now },
    log: { warn: () => undefined } as never,
    inTurn: (work) => {
      turns += 1;
      return (queue = queue.then(work));
    },
    wanted: () => wanted,
    joinsSeen: () => 0,
    put: async (fence) => {
      put.push(fence);
      await hanging.promise;
    },
  });
  puts.apply();
  await new Promise(setImmediate);
  for (now = 1000; now <= 60_000; now += 1000) {
    wanted = openFor(now);
    puts.apply();
  }
  expect(turns).toBe(2);
  wanted = { state: 'shut' };
  hanging.resolve(undefined);
  await puts.settled();
  expect(put).toEqual([openFor(0), { state: 'shut' }]);
});

test('what the bridge refused is put again at once', async () => {
  let [now, tried] = [0, 0];
  const puts = createFencePuts({
    clock: { monotonic: () => now },
    log: { warn: () => undefined } as never,
    inTurn: (work) => work(),
    wanted: () => ({ state: 'shut' }),
    joinsSeen: () => 0,
    put: () => {
      tried += 1;
      return Promise.reject(new Error('no answer'));
    },
  });
  puts.apply();
  await puts.settled();
  now = 50;
  puts.apply();
  expect(tried).toBe(1);
  now = 100;
  puts.apply();
  expect(tried).toBe(2);
});

test('a fence that was wanted otherwise while its turn came is put again at once when that is wanted', async () => {
  let [now, wanted] = [0, openFor(0)];
  const put: Desired['fence'][] = [];
  const hanging = Promise.withResolvers<undefined>();
  let queue: Promise<void> = Promise.resolve();
  const puts = createFencePuts({
    clock: { monotonic: () => now },
    log: { warn: () => undefined } as never,
    inTurn: (work) => (queue = queue.then(work)),
    wanted: () => wanted,
    joinsSeen: () => 0,
    put: async (fence) => {
      put.push(fence);
      if (put.length === 1) await hanging.promise;
    },
  });
  const wants = async (fence: Desired['fence'], at: number): Promise<void> => {
    [now, wanted] = [at, fence];
    puts.apply();
    await new Promise(setImmediate);
  };
  await wants(openFor(0), 0);
  await wants({ state: 'shut' }, 20);
  await wants(openFor(40), 40);
  hanging.resolve(undefined);
  await puts.settled();
  await wants({ state: 'shut' }, 60);
  expect(put).toEqual([openFor(0), openFor(40), { state: 'shut' }]);
});
