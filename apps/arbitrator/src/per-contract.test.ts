import { beforeEach, expect, test } from '@jest/globals';
import { createPerContract, type PerContract } from './per-contract.ts';

/** Work that ends when it is let, some time after it was told to. */
interface Work {
  readonly told: string[];
  readonly over: PromiseWithResolvers<undefined>;
  stop(): Promise<unknown>;
  finish(): Promise<unknown>;
}

let room: PerContract<Work>;
let begun: Work[];

function start(): Work {
  const told: string[] = [];
  const over = Promise.withResolvers<undefined>();
  const end = (how: string) => () => {
    told.push(how);
    return over.promise;
  };
  const one = { told, over, stop: end('stop'), finish: end('finish') };
  begun.push(one);
  return one;
}

/** Whether it has resolved after everything that could be done without anybody's doing. */
async function isOver(promise: Promise<unknown>): Promise<boolean> {
  let over = false;
  void promise.then(() => (over = true));
  await new Promise(setImmediate);
  return over;
}

beforeEach(() => {
  room = createPerContract();
  begun = [];
});

test('one thing goes on for a contract, however often it is begun', () => {
  const [one, again, other] = ['a', 'a', 'b'].map((id) => room.begin(id, start));
  expect([one, again, other]).toEqual([begun[0], undefined, begun[1]]);
  expect([...room.all]).toEqual([
    ['a', one],
    ['b', other],
  ]);
});

test('leaving a contract ends what goes on for it and nothing else, and waits until it is over', async () => {
  const [one, other] = ['a', 'b'].map((id) => room.begin(id, start));
  const left = room.leave('a');
  expect([...room.all.keys()]).toEqual(['b']);
  expect([one?.told, other?.told]).toEqual([['stop'], []]);
  expect(await isOver(left)).toBe(false);
  one?.over.resolve(undefined);
  await left;
  await room.leave('a');
  expect(one?.told).toEqual(['stop']);
  expect(room.begin('a', start)).toBe(begun[2]);
});

test('stopping waits for all that goes on, and for what is being left in a way of its own', async () => {
  const [one, other] = ['a', 'b'].map((id) => room.begin(id, start));
  const left = room.leave('a', (work) => work.finish());
  const stopped = room.stop();
  expect([one?.told, other?.told]).toEqual([['finish'], ['stop']]);
  other?.over.resolve(undefined);
  expect(await isOver(stopped)).toBe(false);
  one?.over.resolve(undefined);
  await Promise.all([left, stopped]);
  expect(room.all.size).toBe(0);
});

test('and for what is left only then', async () => {
  const [one, other] = ['a', 'b'].map((id) => room.begin(id, start));
  const later = Promise.withResolvers<undefined>();
  const stopped = room.stop();
  const left = room.leave('a', () => later.promise);
  for (const work of [one, other]) work?.over.resolve(undefined);
  expect(await isOver(stopped)).toBe(false);
  later.resolve(undefined);
  await Promise.all([left, stopped]);
});

test('nothing is begun any more in a room that was told to stop', async () => {
  const one = room.begin('a', start);
  const stopped = room.stop();
  expect(room.begin('b', start)).toBeUndefined();
  one?.over.resolve(undefined);
  await stopped;
  expect(room.begin('a', start)).toBeUndefined();
  expect(begun).toHaveLength(1);
});

test('whoever leaves a contract hears that its end failed; it keeps the room from nothing, and no rejection is left over', async () => {
  room.begin('a', start);
  await expect(room.leave('a', () => Promise.reject(new Error('disk full')))).rejects.toThrow('disk full');
  await room.stop();
  await new Promise(setImmediate);
});
