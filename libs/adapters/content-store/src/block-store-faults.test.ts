import { mkdtempSync, rmSync } from 'node:fs';
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
  | { readonly do: 'pin'; readonly n: number }
  | { readonly do: 'unpin'; readonly n: number }
  | { readonly do: 'flush' }
  | { readonly do: 'collect' }
  | { readonly do: 'crash'; readonly how: Crash; readonly loseIndex: boolean };

const number = fc.integer({ min: 0, max: 9 });
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('put' as const), n: number }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pin' as const), n: number }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('unpin' as const), n: number }) },
  { weight: 2, arbitrary: fc.constantFrom({ do: 'flush' as const }, { do: 'collect' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('crash' as const),
      how: fc.constantFrom<Crash>('kill', 'power'),
      loseIndex: fc.boolean(),
    }),
  },
);

/** A store on a disk that fails, and what it has promised until now. */
class Model {
  readonly #folder = mkdtempSync(join(tmpdir(), 'antirio-faults-'));
  readonly #disk: SimulatedDisk;
  readonly #promised = new Set<number>();
  #store: BlockStore | undefined;

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
    if (next.do === 'crash') return this.#crash(next.how, next.loseIndex);
    try {
      const store = await this.store();
      if (next.do === 'flush') await store.flush();
      else if (next.do === 'collect') await store.collect();
      else if (next.do === 'put') await store.put(block(next.n));
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

  async #crash(how: Crash, loseIndex: boolean): Promise<void> {
    // SQLite's lock goes with its process, so it is closed; nothing that this does to the packs reaches the disk.
    const faults = this.#disk.replaceFaults(() => 'broken');
    await this.#store?.close().catch(() => undefined);
    this.#store = undefined;
    this.#disk.faults(faults);
    this.#disk.crash(how);
    if (loseIndex)
      for (const end of ['', '-wal', '-shm'])
        rmSync(join(this.#folder, `index.sqlite${end}`), { force: true });
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
          await model.take({ do: 'crash', how: 'power', loseIndex: false });
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
      await model.take({ do: 'crash', how: 'power', loseIndex: false });
      await model.keepsItsPromises();
    } finally {
      await model.end();
    }
  }
});
