import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { openBlockStore, RAW, verifyDag, walkDag, type BlockStore, type CID } from '@antirio/content-store';
import { systemClock, waitFor } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { liveMemory } from '@antirio/testing/live-memory';
import { dagOf } from './dag-of.ts';
import { receiveDag, type ReceiveOptions } from './receive-dag.ts';
import type { Dag, StorageNetwork, StorageRef } from './storage-network.ts';
import { makeDeep, makeFile, makeWide } from './test-dags.ts';
import type { TestWay, WayFault } from './test-way.ts';

/** A network that was opened in a folder of its own, and what is around it. */
export interface OpenedNetwork {
  readonly network: StorageNetwork;
  /** Between the network's client and where it gets from and puts to. */
  readonly way?: TestWay;
  /** Makes a DAG be where `get` has to go over the way (default: `put`). */
  readonly hold?: (name: string, dag: Dag) => Promise<StorageRef>;
  /** Has what no name keeps collected there. */
  collect(): Promise<void>;
  close(): Promise<void>;
}

export interface NetworkCandidate {
  readonly name: string;
  readonly open: (folder: string) => Promise<OpenedNetwork>;
  readonly test: (name: string, run: () => Promise<void>) => void;
  readonly available: boolean;
  /** What the way can do to a put, or a get, of it. */
  readonly putFaults: readonly WayFault[];
  readonly getFaults: readonly WayFault[];
  /** What `status` says of what was put and is there. */
  readonly held: 'stored' | 'replicated' | 'proven';
  /** Whether it can leave out what `have` says is here. */
  readonly leavesOut: boolean;
  /** Bytes of the large DAG (default 20 MB), and of the one whose memory is watched (default 100 MB). */
  readonly largeBytes?: number;
  readonly flatBytes?: number;
}

/** Longer than a slow machine keeps its answer to itself, shorter than anybody waits for one that never comes. */
const IDLE_MS = 8000;
/** Where nothing comes for sure. */
const STALLED_MS = 1500;
const MEMORY_BYTES = 48 << 20;
/** So often on a way memory is looked at, after its garbage is collected: that takes far longer than the bytes do. */
const LOOKS = 8;
const ALLOWED: Record<WayFault, readonly string[]> = {
  lie: ['corrupt', 'invalidInput', 'unavailable', 'tooLarge'],
  stall: ['timeout', 'unavailable'],
  redirect: ['forbidden', 'unavailable'],
  endless: ['tooLarge', 'unavailable', 'invalidInput', 'corrupt'],
  full: ['storageFull'],
  error: ['unavailable'],
  reset: ['unavailable'],
  down: ['unavailable'],
};

const code = async (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'none',
    (error: unknown) => (error instanceof AntirioError ? error.code : String(error)),
  );

/** What every storage network must do. */
export function storageNetworkCompliance(candidate: NetworkCandidate): void {
  const { test, largeBytes = 20_000_000, flatBytes = 100_000_000 } = candidate;
  describe(`storage network ${candidate.name}`, () => {
    let folder: string;
    let opened: OpenedNetwork;
    let network: StorageNetwork;
    /** Where the DAGs are made. */
    let ours: BlockStore;
    const stores: BlockStore[] = [];
    let count = 0;

    const newStore = async (): Promise<BlockStore> => {
      const store = await openBlockStore({ folder: join(folder, `store-${count++}`), clock: systemClock });
      stores.push(store);
      return store;
    };
    const newName = (): string => `thing/${count++}`;
    const newDag = async (size = 3_000_000): Promise<Dag> =>
      dagOf(ours, await makeFile(ours, size, newName(), 100_000));
    const hold = (dag: Dag): Promise<StorageRef> => {
      const name = newName();
      return opened.hold?.(name, dag) ?? network.put(name, dag);
    };
    const receive = (store: BlockStore, ref: StorageRef, more: ReceiveOptions = {}) =>
      receiveDag(store, network, ref, { idleMs: IDLE_MS, ...more });
    const expectWhole = async (ref: StorageRef, dag: Dag): Promise<void> => {
      const store = await newStore();
      const { bytes, fetchedBytes } = await receive(store, ref);
      expect([bytes, fetchedBytes]).toEqual([dag.bytes, dag.bytes]);
      expect((await verifyDag(store, dag.root)).bytes).toBe(dag.bytes);
    };
    const fault = (kind: WayFault | undefined): void => opened.way?.fault(kind);

    const begin = async (): Promise<void> => {
      folder = mkdtempSync(join(tmpdir(), 'antirio-network-'));
      ours = await newStore();
      mkdirSync(join(folder, 'network'));
      opened = await candidate.open(join(folder, 'network'));
      network = opened.network;
    };
    const end = async (): Promise<void> => {
      await opened.close();
      for (const store of stores) await store.close();
      rmSync(folder, { recursive: true, force: true });
    };
    // Where all tests are left out there is nothing for them to stand around.
    if (candidate.available) {
      beforeAll(begin);
      afterAll(end);
    }

    const shapes: [string, () => Promise<CID>][] = [
      ['a file of one block', () => makeFile(ours, 700, 'small')],
      ['an empty file', () => makeFile(ours, 0, 'empty')],
      ['a large file', () => makeFile(ours, largeBytes, 'large')],
      ['a wide directory', () => makeWide(ours, 300)],
      ['deep directories', () => makeDeep(ours, 28)],
    ];
    for (const [what, make] of shapes)
      test(`${what} goes there and comes back`, async () => {
        const dag = await dagOf(ours, await make());
        const name = newName();
        let told = 0;
        const ref = await network.put(name, dag, { onProgress: (bytes) => (told = bytes) });
        expect(ref.cid.equals(dag.root)).toBe(true);
        expect([ref.bytes, told]).toEqual([dag.bytes, dag.bytes]);
        expect(ref.providers.length).toBeGreaterThan(0);
        expect(await network.has(dag.root)).toBe(true);
        await expectWhole(ref, dag);
        expect((await network.status(ref)).state).toBe(candidate.held);
        expect(await network.unpin(name)).toBe(true);
      });

    test('what is there is not sent again, under whatever name', async () => {
      const dag = await newDag();
      const first = await network.put('again/a', dag);
      opened.way?.forget();
      const again = await network.put('again/a', dag);
      const other = await network.put('again/b', dag);
      expect(again).toEqual(first);
      expect(other.cid.equals(first.cid)).toBe(true);
      if (opened.way !== undefined) expect(opened.way.sent).toBeLessThan(dag.bytes / 10);
    });

    test('a put that was broken off keeps nothing under the name, and is done again', async () => {
      const dag = await newDag();
      const stop = new AbortController();
      const { signal } = stop;
      const onProgress = (bytes: number): void => {
        if (bytes > dag.bytes / 2) stop.abort();
      };
      const slowly: Dag = { ...dag, blocks: () => onePerTurn(dag) };
      expect(await code(network.put('broken-off', slowly, { signal, onProgress }))).toBe('timeout');
      expect((await network.status({ cid: dag.root, bytes: dag.bytes, providers: [] })).state).toBe('absent');
      expect(await network.unpin('broken-off')).toBe(false);
      await expectWhole(await network.put('broken-off', dag), dag);
    });

    test('a get that was broken off goes on with what is missing', async () => {
      const dag = await newDag();
      const ref = await hold(dag);
      const store = await newStore();
      const stop = new AbortController();
      const onProgress = ({ fetchedBytes }: { fetchedBytes: number }): void => {
        if (fetchedBytes > dag.bytes / 2) stop.abort();
      };
      expect(await code(receive(store, ref, { signal: stop.signal, onProgress }))).toBe('timeout');
      const there = store.usage().blocks;
      expect(there).toBeGreaterThan(10);
      opened.way?.forget();
      const rest = await receive(store, ref);
      expect(rest.bytes).toBe(dag.bytes);
      expect(rest.fetchedBlocks).toBe(rest.blocks - there);
      if (candidate.leavesOut && opened.way !== undefined)
        expect(opened.way.received).toBeLessThan(rest.fetchedBytes + 200_000);
    });

    test('what is not there is notFound', async () => {
      const dag = await newDag(5000);
      const ref = { cid: dag.root, bytes: dag.bytes, providers: [] };
      expect(await network.has(dag.root)).toBe(false);
      expect(await code(receive(await newStore(), ref))).toBe('notFound');
      expect(await code(network.pin('not-there', ref))).toBe('notFound');
      expect(await network.unpin('not-there')).toBe(false);
      expect(await network.status(ref)).toMatchObject({ state: 'absent', providers: [] });
    });

    test('what a name keeps stays, the other may go', async () => {
      const dag = await newDag();
      const ref = await network.put('keeps/a', dag);
      await network.pin('keeps/b', ref);
      const lost = await network.put('keeps/c', await newDag());
      expect(await network.unpin('keeps/a')).toBe(true);
      expect(await network.unpin('keeps/c')).toBe(true);
      expect(await network.unpin('keeps/c')).toBe(false);
      await opened.collect();
      expect(await network.status(ref)).toMatchObject({ state: candidate.held });
      await expectWhole(ref, dag);
      expect(await network.status(lost)).toMatchObject({ state: 'absent' });
      expect(await code(receive(await newStore(), lost))).toBe('notFound');
      expect(await network.unpin('keeps/b')).toBe(true);
      expect((await network.status(ref)).state).toBe('absent');
    });

    test('what has no name that is wanted is let go of', async () => {
      const dag = await newDag();
      const kept = await network.put('only/a', dag);
      const other = await network.put('only/b', await newDag());
      await network.put('only/c', dag);
      const letGo = async (isWanted: (name: string) => boolean): Promise<void> => {
        const isDone = async (): Promise<true | undefined> =>
          (await network.keepOnly(isWanted)) === 0 || undefined;
        expect(await waitFor(systemClock, 60_000, isDone, 20)).toBe(true);
      };
      await letGo((name) => name === 'only/a');
      await opened.collect();
      expect((await network.status(other)).state).toBe('absent');
      expect(await network.unpin('only/c')).toBe(false);
      await expectWhole(kept, dag);
      await letGo(() => false);
      expect((await network.status(kept)).state).toBe('absent');
    });

    test('a name keeps the last thing that was put under it', async () => {
      const before = await network.put('renewed', await newDag());
      const dag = await newDag();
      const after = await network.put('renewed', dag);
      await opened.collect();
      expect((await network.status(before)).state).toBe('absent');
      await expectWhole(after, dag);
    });

    for (const kind of candidate.getFaults)
      test(`a get over a way with the fault "${kind}" stores nothing that is not verified, and succeeds after it`, async () => {
        const dag = await newDag();
        const ref = await hold(dag);
        const store = await newStore();
        const before = await makeFile(store, 50_000, 'ours');
        await store.pin('ours', before);
        fault(kind);
        try {
          const idleMs = kind === 'stall' ? STALLED_MS : IDLE_MS;
          expect(ALLOWED[kind]).toContain(await code(receive(store, ref, { idleMs })));
        } finally {
          fault(undefined);
        }
        const known = new Set<string>();
        for await (const { cid } of walkDag(ours, dag.root)) known.add(cid.toString());
        const kept = await keptBlocks(store, dag);
        expect(kept.every((cid) => known.has(cid))).toBe(true);
        await verifyDag(store, before);
        expect((await receive(store, ref)).bytes).toBe(dag.bytes);
      });

    for (const kind of candidate.putFaults)
      test(`a put over a way with the fault "${kind}" says so, harms nothing, and succeeds after it`, async () => {
        const safe = await newDag();
        const safeRef = await network.put(newName(), safe);
        const dag = await newDag();
        fault(kind);
        try {
          expect(ALLOWED[kind]).toContain(await code(network.put('faulty', dag)));
        } finally {
          fault(undefined);
        }
        await expectWhole(safeRef, safe);
        await expectWhole(await network.put('faulty', dag), dag);
      });

    test('where nobody answers, that is said by everything, and health is not ok', async () => {
      expect(await network.health()).toMatchObject({ ok: true });
      if (opened.way === undefined || !candidate.putFaults.includes('down')) return;
      const dag = await newDag(5000);
      const ref = await network.put('down', dag);
      fault('down');
      try {
        expect(await network.health()).toMatchObject({ ok: false, detail: expect.any(String) as unknown });
        const asked = [
          network.has(dag.root),
          network.status(ref),
          network.pin('x', ref),
          network.unpin('down'),
        ];
        expect(new Set(await Promise.all(asked.map(code)))).toEqual(new Set(['unavailable']));
      } finally {
        fault(undefined);
      }
      expect((await network.status(ref)).state).toBe(candidate.held);
    });

    test(`memory stays flat while ${Math.round(flatBytes / 1e6)} MB go there and come back`, async () => {
      const dag = await dagOf(ours, await makeFile(ours, flatBytes, 'flat'));
      const before = await liveMemory();
      const most = { sending: 0, fetching: 0 };
      let way: keyof typeof most = 'sending';
      let [pieces, since] = [0, 0];
      const look = async ({ bytes: { length } }: { readonly bytes: Uint8Array }): Promise<void> => {
        pieces++;
        since += length;
        if (since < flatBytes / LOOKS) return;
        since = 0;
        most[way] = Math.max(most[way], (await liveMemory()) - before);
      };
      const watched: Dag = {
        ...dag,
        async *blocks() {
          for await (const block of dag.blocks()) {
            await look(block);
            yield block;
          }
        },
      };
      const ref = await network.put('flat', watched);
      let bytes = 0;
      way = 'fetching';
      for await (const block of network.get(ref)) {
        await look(block);
        bytes += block.bytes.length;
      }
      expect(bytes).toBe(dag.bytes);
      expect(pieces).toBeGreaterThan(flatBytes / 1e6);
      expect(most.sending).toBeLessThan(MEMORY_BYTES);
      expect(most.fetching).toBeLessThan(MEMORY_BYTES);
      await network.unpin('flat');
    });

    test('a quote is in whole numbers, rounded up; what cannot be asked is refused', async () => {
      const price = network.price();
      const quote = await price.quote({ bytes: 1, days: 1 });
      const { numerator, denominator } = quote.perByteEpoch;
      expect(quote.epochs).toBe(Math.ceil(86_400 / quote.epochSeconds));
      expect(quote.amount * denominator >= BigInt(quote.epochs) * numerator).toBe(true);
      expect(typeof quote.amount).toBe('bigint');
      expect(quote.currency).not.toBe('');
      const wrong = [
        { bytes: 0, days: 1 },
        { bytes: 1.5, days: 1 },
        { bytes: Number.NaN, days: 1 },
        { bytes: 2 ** 60, days: 1 },
        { bytes: 1, days: 0 },
        { bytes: 1, days: 0.5 },
        { bytes: 1, days: -1 },
        { bytes: 1, days: Number.POSITIVE_INFINITY },
      ];
      for (const ask of wrong) expect(await code(price.quote(ask))).toBe('invalidInput');
    });
  });
}

/** So that a signal can come between two blocks. */
async function* onePerTurn(dag: Dag) {
  for await (const block of dag.blocks()) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    yield block;
  }
}

/** What of a DAG has come, as far as it can be walked; every block is hashed. */
async function keptBlocks(store: BlockStore, dag: Dag): Promise<string[]> {
  const kept: string[] = [];
  for await (const { cid } of dag.blocks()) {
    if (!store.has(cid)) continue;
    if (cid.code === RAW) await store.get(cid);
    kept.push(cid.toString());
  }
  return kept;
}
