import { expect, test } from '@jest/globals';
import { silentLog, systemClock, systemRandom, waitFor } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { createWork, type Work, type WorkOptions } from './work.ts';

function working(unfinished: Set<string>, run: WorkOptions['run'], more: Partial<WorkOptions> = {}): Work {
  const work = createWork({
    name: 'test',
    unfinished: () => [...unfinished],
    run,
    failed: (key) => void unfinished.delete(key),
    attempts: 3,
    atOnce: 2,
    firstDelayMs: 1,
    maxDelayMs: 5,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    ...more,
  });
  work.start();
  return work;
}

const until = (condition: () => boolean): Promise<true | undefined> =>
  waitFor(systemClock, 10_000, () => (condition() ? true : undefined), 2);

test('everything unfinished is run until it is finished, some at once, none twice at once', async () => {
  const unfinished = new Set(['a', 'b', 'c', 'd']);
  const steps = new Map<string, number>();
  let now = 0;
  let most = 0;
  const work = working(unfinished, async (key) => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setTimeout(resolve, 5));
    const step = (steps.get(key) ?? 0) + 1;
    steps.set(key, step);
    if (step === 2) unfinished.delete(key);
    now--;
  });
  await until(() => unfinished.size === 0);
  await work.stop();
  expect([...steps.values()]).toEqual([2, 2, 2, 2]);
  expect(most).toBe(2);
});

test('a failure that may pass is tried again, one that may not is given up at once, too many end too', async () => {
  const unfinished = new Set(['passing', 'bad', 'hopeless']);
  const attempts = new Map<string, number>();
  const given: [string, string][] = [];
  const work = working(
    unfinished,
    async (key) => {
      const attempt = (attempts.get(key) ?? 0) + 1;
      attempts.set(key, attempt);
      if (key === 'bad') throw new AntirioError('invalidInput', 'never');
      if (key === 'hopeless' || attempt < 3) throw new AntirioError('unavailable', 'not now');
      unfinished.delete(key);
    },
    {
      failed: (key, error) => {
        given.push([key, (error as Error).message]);
        unfinished.delete(key);
      },
    },
  );
  await until(() => unfinished.size === 0);
  await work.stop();
  expect(Object.fromEntries(attempts)).toEqual({ passing: 3, bad: 1, hopeless: 3 });
  expect(given.sort()).toEqual([
    ['bad', 'never'],
    ['hopeless', 'not now'],
  ]);
});

test('stopping is told to what runs, waits for it, and is no failure of it', async () => {
  const unfinished = new Set(['long']);
  let failed = 0;
  let told = false;
  const work = working(
    unfinished,
    async (_key, signal) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      told = true;
      throw new AntirioError('invalidInput', 'stopped in the middle');
    },
    {
      failed: () => {
        failed++;
      },
    },
  );
  await new Promise((resolve) => setTimeout(resolve, 20));
  await work.stop();
  expect([told, failed, unfinished.size]).toEqual([true, 0, 1]);
});

test('a piece that waits for its next attempt can be hurried', async () => {
  const unfinished = new Set(['a']);
  let attempts = 0;
  const work = working(
    unfinished,
    async (key) => {
      attempts++;
      if (attempts === 1) throw new AntirioError('unavailable', 'not now');
      unfinished.delete(key);
    },
    { firstDelayMs: 3_600_000, maxDelayMs: 3_600_000 },
  );
  await until(() => attempts === 1);
  work.hurry('a');
  await until(() => unfinished.size === 0);
  await work.stop();
  expect(attempts).toBe(2);
});

test('what is cancelled stops and has not failed, and is run anew where it is wanted anew', async () => {
  const unfinished = new Set(['a', 'b']);
  const runs: string[] = [];
  const given: string[] = [];
  const work = working(
    unfinished,
    (key, signal) =>
      new Promise((resolve, reject) => {
        runs.push(key);
        if (runs.filter((each) => each === key).length > 1) {
          unfinished.delete(key);
          resolve();
        }
        signal.addEventListener('abort', () => reject(new AntirioError('invalidInput', 'broken off')));
      }),
    { failed: (key) => void given.push(key) },
  );
  await until(() => runs.length === 2);
  work.cancel('a');
  work.cancel('nobody');
  await until(() => !unfinished.has('a'));
  expect(runs).toEqual(['a', 'b', 'a']);
  expect(unfinished).toEqual(new Set(['b']));
  await work.stop();
  expect(given).toEqual([]);
});
