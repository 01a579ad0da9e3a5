import { expect } from '@jest/globals';
import { silentLog, systemClock, systemRandom } from '@antirio/host';
import type { StoreCase } from '@antirio/testing';
import { isAntirioError } from '@antirio/kernel';
import { openKeeperStore, type KeeperStore } from '../keeper-store.ts';
import { coreKeeperOptions } from '../options.ts';
import { registered } from '../registrations.ts';

type Open = () => Promise<KeeperStore>;

export function openStoreOf(dataDir: string, store?: Record<string, unknown>): Promise<KeeperStore> {
  const given = { dataDir, maxKeys: 6, maxRegistrations: 2, ...(store === undefined ? {} : { store }) };
  return openKeeperStore(coreKeeperOptions.parse(given), {
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
}

async function withStore(open: Open, work: (store: KeeperStore) => Promise<void>): Promise<void> {
  const store = await open();
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

const codeOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.catch((error: unknown) => (isAntirioError(error) ? error.code : error));

async function keepsKeys(open: Open): Promise<void> {
  await withStore(open, async ({ keys, commit }) => {
    await commit.run(0, () =>
      keys.put(
        [
          ['a/b', '1'],
          ['a', 'x'],
          ['ab', '2'],
          ['a/c/d', 'é "'],
        ],
        5,
      ),
    );
    await commit.run(0, () => keys.put([['a', 'y']], 7));
    expect(await commit.run(0, () => keys.remove('a/b', false))).toEqual(['a/b']);
    expect(await codeOf(commit.run(0, () => keys.remove('a/c', false)))).toBe('conflict');
    expect(await codeOf(commit.run(0, () => keys.remove('none', true)))).toBe('notFound');
  });
  await withStore(open, async ({ keys, commit }) => {
    expect(keys.at('a')).toMatchObject([
      { key: 'a', value: 'y', created: 5, modified: 7 },
      { key: 'a/c/d', value: 'é "', created: 5, modified: 5 },
    ]);
    expect(await commit.run(0, () => keys.remove('a', true))).toEqual(['a', 'a/c/d', 'ab']);
  });
  await withStore(open, async ({ keys }) => expect(keys.at('a')).toEqual([]));
}

async function boundsKeys(open: Open): Promise<void> {
  await withStore(open, async ({ keys, commit }) => {
    const put = (from: number, count: number): Promise<void> =>
      commit.run(0, () =>
        keys.put(
          Array.from({ length: count }, (_, n) => [`k/${from + n}`, 'v'] as const),
          1,
        ),
      );
    // one that is too much leaves those beside it
    expect(await Promise.all([put(0, 3), codeOf(put(3, 4)), put(7, 3)])).toEqual([
      undefined,
      'storageFull',
      undefined,
    ]);
  });
  await withStore(open, async ({ keys }) => expect(keys.at('k')).toHaveLength(6));
}

async function keepsRegistrations(open: Open): Promise<void> {
  const healthCheck = { interval: undefined, path: undefined, type: 'http' } as const;
  const given = { serviceId: 's', status: undefined, host: undefined, port: 1, healthCheck };
  const [first, second] = [registered(given, 9), registered({ ...given, serviceId: 'a' }, 10)];
  await withStore(open, async ({ registrations, commit }) => {
    await commit.run(0, () => registrations.add(first));
    await commit.run(0, () => registrations.add(second));
    expect(await codeOf(commit.run(0, () => registrations.add(first)))).toBe('conflict');
    const third = registered({ ...given, serviceId: 'b' }, 11);
    expect(await codeOf(commit.run(0, () => registrations.add(third)))).toBe('storageFull');
    await commit.run(0, () => registrations.replace({ ...first, status: 'UP', lastConnected: 12 }));
  });
  await withStore(open, async ({ registrations, commit }) => {
    expect(registrations.all()).toEqual([{ ...first, status: 'UP', lastConnected: 12 }, second]);
    await commit.run(0, () => registrations.remove('s'));
    expect(await codeOf(commit.run(0, () => registrations.remove('s')))).toBe('notFound');
  });
  await withStore(open, async ({ registrations }) => {
    expect([registrations.get('s'), registrations.get('a')]).toEqual([undefined, second]);
  });
}

/** The suite that every adapter of the port passes; each case begins with an empty store. */
export const KEEPER_STORE_CASES: readonly StoreCase<KeeperStore>[] = [
  { name: 'keys are put, found by what they are below, and removed, also after a start', run: keepsKeys },
  { name: 'there are no more keys than there may be', run: boundsKeys },
  { name: 'registrations are as they were last, also after a start', run: keepsRegistrations },
];
