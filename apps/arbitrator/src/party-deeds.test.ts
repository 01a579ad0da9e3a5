import { expect, test } from '@jest/globals';
import { oneAtATime, oncePerPhase } from './party-deeds.ts';

test('work of a phase is begun once in it, and waited for by all who come', async () => {
  let phase: object = {};
  const begun: PromiseWithResolvers<undefined>[] = [];
  const wait = oncePerPhase(
    () => phase,
    () => {
      const one = Promise.withResolvers<undefined>();
      begun.push(one);
      return one.promise;
    },
  );
  const order: string[] = [];
  const both = Promise.all(['call', 'datagram'].map((way) => wait().then(() => order.push(way))));
  await new Promise(setImmediate);
  expect([begun.length, order]).toEqual([1, []]);
  begun[0]?.resolve(undefined);
  await both;
  await wait();
  expect([begun.length, order]).toEqual([1, ['call', 'datagram']]);
  // another word, another time
  phase = {};
  const next = wait();
  begun[1]?.resolve(undefined);
  await next;
  expect(begun).toHaveLength(2);
  // where there is nothing to be done, nothing is waited for
  await oncePerPhase(
    () => phase,
    () => undefined,
  )();
});

test('work that is under way is not begun again, also after one that failed', async () => {
  const once = oneAtATime();
  const first = Promise.withResolvers<undefined>();
  let runs = 0;
  const work = (): Promise<void> => {
    runs += 1;
    return first.promise;
  };
  const failing = once(work);
  await once(work);
  expect(runs).toBe(1);
  first.reject(new TypeError('gone'));
  await expect(failing).rejects.toThrow('gone');
  await expect(once(work)).rejects.toThrow('gone');
  expect(runs).toBe(2);
});
