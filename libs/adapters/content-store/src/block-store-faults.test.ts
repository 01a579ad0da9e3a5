import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { systemClock } from '@antirio/host';
import { isAntirioError } from '@antirio/kernel';
import { makeBlock, RAW, type Block } from './block.ts';
import { openBlockStore, type BlockStore } from './block-store.ts';
import { SimulatedDisk, type Crash, type Fault } from './simulated-disk.ts';

const block = (n: number): Block => makeBlock(RAW, new Uint8Array(700 + n * 300).fill(n + 1));

type Step =
  | { readonly do: 'put'; readonly n: number }
  | { readonly do: 'putAll'; readonly ns: readonly number[] }
  | { readonly do: 'pin'; readonly n: number }
  | { readonly do: 'unpin'; readonly n: number }
  | { readonly do: 'flush' }
  | { readonly do: 'collect' }
  | { readonly do: 'crash'; readonly how: Crash; readonly index: Survivor };

/** What a crash leaves of the index: its newest commits go with the power, and a damaged one is thrown away. */
type Survivor = 'whole' | 'older' | 'none';

const number = fc.integer({ min: 0, max: 9 });
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('put' as const), n: number }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('putAll' as const),
      ns: fc.array(number, { minLength: 2, maxLength: 8 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pin' as const), n: number }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('unpin' as const), n: number }) },
  { weight: 2, arbitrary: fc.constantFrom({ do: 'flush' as const }, { do: 'collect' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('crash' as const),
      how: fc.constantFrom<Crash>('kill', 'power'),
      index: fc.constantFrom<Survivor>('whole', 'older', 'none'),
    }),
  },
);

/** Waits for all, then fails as the first one that did. */
async function allOf(puts: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(puts);
  await Promise.all(puts);
}

/** A store on a disk that fails, and what it has promised until now. */
class Model {
  readonly #folder = mkdtempSync(join(tmpdir(), 'antirio-faults-'));
  readonly #disk: SimulatedDisk;
  readonly #promised = new Set<number>();
  #store: BlockStore | undefined;
  #removals = 0;

  constructor(disk: SimulatedDisk) {
    this.#disk = disk;
  }

  async store(): Promise<BlockStore> {
    this.#store ??= await openBlockStore({
      folder: this.#folder,
      clock: systemClock,
      files: this.#disk,
      packBytes: 5000,
      unflushedBytes: 6000,
    });
    return this.#store;
  }

  async take(next: Step): Promise<void> {
    if (next.do === 'crash') return this.#crash(next.how, next.index);
    try {
      const store = await this.store();
      if (next.do === 'flush') await store.flush();
      else if (next.do === 'collect') await store.collect();
      else if (next.do === 'put') await store.put(block(next.n));
      else if (next.do === 'putAll') await allOf(next.ns.map((n) => store.put(block(n))));
      else if (next.do === 'unpin') this.#unpin(store, next.n);
      else await this.#pin(store, next.n);
    } catch (error) {
      // Full, or not to be opened now: said clearly, and no other failure.
      expect(isAntirioError(error) ? error.code : error).toMatch(/^(?:storageFull|unavailable)$/);
    }
  }

  async keepsItsPromises(): Promise<void> {
    this.#disk.faults(() => 'none');
    const store = await this.store();
    for (const n of this.#promised) {
      const bytes = await store.get(block(n).cid);
      expect(Buffer.from(bytes).equals(Buffer.from(block(n).bytes))).toBe(true);
    }
    // There is room again: the same store goes on.
    await store.put(block(99));
    await store.flush();
    expect(await store.get(block(99).cid)).toHaveLength(block(99).bytes.length);
  }

  #unpin(store: BlockStore, n: number): void {
    this.#promised.delete(n);
    store.unpin(`p${n}`);
  }

  async #pin(store: BlockStore, n: number): Promise<void> {
    await store.put(block(n));
    await store.pin(`p${n}`, block(n).cid);
    this.#promised.add(n);
  }

  async #crash(how: Crash, survivor: Survivor): Promise<void> {
    // SQLite's lock goes with its process, so it is closed; nothing that this does to the packs reaches the disk.
    const faults = this.#disk.replaceFaults(() => 'broken');
    await this.#store?.close().catch(() => undefined);
    this.#store = undefined;
    this.#disk.faults(faults);
    this.#disk.crash(how);
    const index = join(this.#folder, 'index.sqlite');
    const before = join(this.#folder, 'before.sqlite');
    if (survivor !== 'whole') for (const end of ['', '-wal', '-shm']) rmSync(index + end, { force: true });
    // Nothing is as old as a pack that was deleted since: of those it forgets durably.
    if (this.#disk.removals > this.#removals) rmSync(before, { force: true });
    if (survivor === 'older' && existsSync(before)) copyFileSync(before, index);
    // Of this crash, for a later one.
    if (existsSync(index)) copyFileSync(index, before);
    this.#removals = this.#disk.removals;
  }

  async end(): Promise<void> {
    this.#disk.faults(() => 'none');
    await this.#store?.close().catch(() => undefined);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

test('whatever call to the disk fails, and whenever the process or the power does, what was promised is there', async () => {
  const fault = fc.oneof(
    { weight: 6, arbitrary: fc.constant<Fault>('none') },
    { weight: 1, arbitrary: fc.constantFrom<Fault>('full', 'half', 'broken') },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 4, maxLength: 25 }),
      fc.infiniteStream(fault),
      fc.infiniteStream(fc.boolean()),
      async (steps, faults, survives) => {
        const disk = new SimulatedDisk(() => survives.next().value as boolean);
        const model = new Model(disk);
        try {
          disk.faults(() => faults.next().value as Fault);
          for (const next of steps) await model.take(next);
          await model.take({ do: 'crash', how: 'power', index: 'whole' });
          await model.keepsItsPromises();
        } finally {
          await model.end();
        }
      },
    ),
    { numRuns: 20 },
  );
});

test('a disk that is full at any one call of a whole life harms nothing that was there before', async () => {
  const life = async (model: Model): Promise<void> => {
    for (const n of [0, 1, 2, 3, 4, 5]) await model.take({ do: 'pin', n });
    for (const n of [1, 3, 4]) await model.take({ do: 'unpin', n });
    await model.take({ do: 'collect' });
    for (const n of [6, 7]) await model.take({ do: 'pin', n });
  };
  const disk = new SimulatedDisk(() => false);
  const whole = new Model(disk);
  await life(whole);
  await whole.end();
  expect(disk.calls).toBeGreaterThan(30);
  for (let failing = 1; failing <= disk.calls; failing++) {
    const failed = new SimulatedDisk(() => false);
    const model = new Model(failed);
    try {
      const fault = (['full', 'half', 'broken'] as const)[failing % 3] ?? 'full';
      failed.faults(() => (failed.calls >= failing && failed.calls < failing + 3 ? fault : 'none'));
      await life(model);
      await model.take({ do: 'crash', how: 'power', index: 'whole' });
      await model.keepsItsPromises();
    } finally {
      await model.end();
    }
  }
});
