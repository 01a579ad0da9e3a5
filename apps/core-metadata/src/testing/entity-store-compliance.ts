import { expect } from '@jest/globals';
import fc from 'fast-check';
import { silentLog, systemClock, systemRandom } from '@antirio/host';
import type { StoreCase } from '@antirio/testing';
import { parseJson, stringifyJson } from '@antirio/edgex-contracts';
import { openEntityStore, type EntityStore } from '../entity-store.ts';
import { coreMetadataOptions } from '../options.ts';
import {
  applyTo,
  applyToStore,
  below,
  deviceFrom,
  filterOf,
  fits,
  labelsOf,
  listed,
  NAMES,
  page,
  pageOf,
  profileFrom,
  stepOf,
  type Model,
} from './entity-model.ts';

const ALL = { offset: 0, limit: 100, counted: true };

type Open = () => Promise<EntityStore>;

export function openStoreOf(dataDir: string, store?: Record<string, unknown>): Promise<EntityStore> {
  const options = coreMetadataOptions.parse({ dataDir, ...(store === undefined ? {} : { store }) });
  return openEntityStore(options, { clock: systemClock, random: systemRandom, log: silentLog });
}

async function withStore(open: Open, work: (store: EntityStore) => Promise<void>): Promise<void> {
  const store = await open();
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

/** Also with a store that was closed and opened again between the steps and the questions. */
async function answersAsTheModel(open: Open): Promise<void> {
  const query = fc.tuple(filterOf, pageOf, fc.constantFrom(...NAMES), fc.nat(3), labelsOf);
  await fc.assert(
    fc.asyncProperty(
      fc.array(stepOf, { maxLength: 14 }),
      fc.array(query, { minLength: 3, maxLength: 3 }),
      async (steps, queries) => {
        let model: Model = [];
        await withStore(open, async ({ entities, commit }) => {
          await commit.run(0, () => NAMES.forEach((name) => entities.remove('device', name)));
          for (const step of steps) model = applyTo(model, step);
          await Promise.all(steps.map((step) => commit.run(0, () => applyToStore(entities, step))));
        });
        await withStore(open, async ({ entities }) => {
          for (const [filter, at, root, maxLevels, labels] of queries) {
            const found = model.filter((one) => fits(one, filter));
            expect(listed(entities, filter, at)).toEqual(page(found, at));
            expect(entities.count(filter)).toBe(found.length);
            const tree = below(model, root, maxLevels === 0 ? Infinity : maxLevels, labels);
            const { rows } = entities.tree({ descendantsOf: root, maxLevels, labels }, ALL);
            expect(rows.map(({ name }) => name)).toEqual(tree.map(({ name }) => name));
          }
          for (const one of model)
            expect(entities.byId('device', one.id)).toEqual(parseJson(stringifyJson(one)));
        });
      },
    ),
    { numRuns: 20 },
  );
}

async function keepsWhatIsUnique(open: Open): Promise<void> {
  const first = profileFrom({ name: 'p', manufacturer: 'm', labels: ['x'] });
  await withStore(open, async ({ entities, commit }) => {
    const add = (profile: typeof first): Promise<unknown> =>
      commit.run(0, () => entities.add('deviceprofile', profile)).catch((error: unknown) => error);
    const outcomes = await Promise.all([
      add(first),
      add({ ...first, id: 'other' }),
      add({ ...first, name: 'q' }),
      add(profileFrom({ name: 'r', manufacturer: 'm' })),
    ]);
    expect(outcomes.map((one) => (one instanceof Error ? one.message : one))).toEqual([
      undefined,
      'device profile name p already exists',
      `device profile id ${first.id} already exists`,
      undefined,
    ]);
  });
  await withStore(open, async ({ entities, commit }) => {
    const names = (filter: object): string[] =>
      entities.list({ kind: 'deviceprofile', ...filter }, ALL).rows.map(({ name }) => name);
    expect([names({ manufacturer: 'm' }), names({ labels: ['x'] })]).toEqual([['p', 'r'], ['p']]);
    const again = commit.run(0, () => entities.add('deviceprofile', { ...first, id: 'other' }));
    await expect(again).rejects.toThrow('device profile name p already exists');
  });
}

async function keepsKindsApart(open: Open): Promise<void> {
  await withStore(open, async ({ entities, commit }) => {
    await commit.run(0, () => {
      entities.add('deviceprofile', profileFrom({ name: 'same' }));
      entities.add(
        'device',
        deviceFrom({ name: 'same', profileName: 'same', serviceName: 's', parent: 'root' }),
      );
    });
    await commit.run(0, () => entities.remove('deviceprofile', 'same'));
  });
  await withStore(open, async ({ entities }) => {
    expect(entities.byName('deviceprofile', 'same')).toBeUndefined();
    expect(entities.byName('device', 'same')?.profileName).toBe('same');
    expect([entities.isParent('root'), entities.parentOf('same')]).toEqual([true, 'root']);
    expect(entities.servicesUsing('same')).toEqual(['s']);
  });
}

/** The suite that every adapter of the port passes; each case begins with an empty store. */
export const ENTITY_STORE_CASES: readonly StoreCase<EntityStore>[] = [
  { name: 'lists and trees are those of a naive model, also after a start', run: answersAsTheModel },
  { name: 'names and ids are unique, also after a start', run: keepsWhatIsUnique },
  {
    name: 'entities of one name and different kinds have nothing to do with each other',
    run: keepsKindsApart,
  },
];
