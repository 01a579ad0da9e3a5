import { expect, test } from '@jest/globals';
import { silentLog } from '@antirio/host';
import type { ContractStore, Note } from './contract-store.ts';
import { terms } from './escrow.fixture.ts';
import { keeperOf, oneAtATime, oncePerPhase } from './party-deeds.ts';

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

test('a customer goes on without its disk while it gives its sensors away, and all of that is written once there is room', () => {
  const written: { phase: string; notes: string[] }[] = [];
  let hasRoom = false;
  const writes = { ok: () => hasRoom, failed: () => undefined };
  const setPhase: ContractStore['setPhase'] = (_, { at }, notes = []) => {
    if (!hasRoom) throw new Error('database or disk is full');
    written.push({ phase: at, notes: notes.map(({ milestone }) => milestone) });
  };
  const disk = keeperOf(
    { setPhase, writes } as ContractStore,
    terms.contractId,
    silentLog,
    undefined as never,
  );
  const note = (milestone: string): Note => ({ at: 1, monotonic: 2, milestone, detail: {} });
  const guarded = { at: 'guarded', epoch: 1 } as const;
  const recovering = { at: 'recovering', epoch: 2 } as const;
  const retaken = { at: 'retaken', epoch: 3, providerEpoch: 2 } as const;
  const keep = (phase: typeof recovering | typeof retaken, before: typeof guarded | typeof recovering) =>
    disk.mayFollow({ type: 'persist', phase }, before, [note(phase.at)]);
  expect(keep(recovering, guarded)).toBe(true);
  expect(keep(retaken, recovering)).toBe(false);
  disk.catchUp(recovering);
  expect(written).toEqual([]);
  hasRoom = true;
  disk.catchUp(recovering);
  disk.catchUp(recovering);
  expect(written).toEqual([{ phase: 'recovering', notes: ['recovering'] }]);
  expect(keep(retaken, recovering)).toBe(true);
  expect(written.at(-1)).toEqual({ phase: 'retaken', notes: ['retaken'] });
});
