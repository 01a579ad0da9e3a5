// An import reads, hashes and writes at the same time: what comes out is what the one-by-one rules of UnixFS say, and whatever fails,
// nothing goes on behind the caller's back.
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { encode, prepare } from '@ipld/dag-pb';
import fc from 'fast-check';
import { systemClock } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { DAG_PB, makeBlock, RAW, type Block, type BlockSink } from './block.ts';
import { openBlockStore } from './block-store.ts';
import { fixedChunker } from './chunker.ts';
import { verifyDag } from './dag.ts';
import { wholeFile } from './file-bytes.ts';
import { SimulatedDisk, type Fault } from './simulated-disk.ts';
import { collect, nowhere, pieces, seeded } from './test-blocks.ts';
import { encodeFileData, leafFrame } from './unixfs-data.ts';
import { importFile } from './unixfs-file.ts';
import { unixfsV0, unixfsV1, type UnixfsProfile } from './unixfs-profile.ts';

const MiB = 1 << 20;

/** As protobuf says it, by the library. */
function leafNode(content: Uint8Array): Uint8Array {
  const { head, tail } = leafFrame(content.length);
  return Buffer.concat([head, content, tail]);
}

interface Node {
  readonly block: Block;
  readonly size: number;
  readonly dagSize: number;
}

/** The rules one by one: chunks, leaves, and nodes over them until one is left. */
function rootBySpec(content: Uint8Array, profile: UnixfsProfile, chunk: number, maxLinks: number): string {
  const codec = profile.rawLeaves ? RAW : DAG_PB;
  const leafOf = (bytes: Uint8Array): Node => {
    const encoded = profile.rawLeaves ? bytes : leafNode(bytes);
    const block = makeBlock(codec, encoded, profile.cidVersion);
    return { block, size: bytes.length, dagSize: encoded.length };
  };
  const parentOf = (children: Node[]): Node => {
    const data = encodeFileData(children.map(({ size }) => size));
    const links = children.map(({ block, dagSize }) => ({ Name: '', Tsize: dagSize, Hash: block.cid }));
    const bytes = encode(prepare({ Data: data, Links: links }));
    const sum = (of: (child: Node) => number): number => children.reduce((all, each) => all + of(each), 0);
    return {
      block: makeBlock(DAG_PB, bytes, profile.cidVersion),
      size: sum(({ size }) => size),
      dagSize: sum(({ dagSize }) => dagSize) + bytes.length,
    };
  };
  const groups = <T>(all: readonly T[], of: number): T[][] =>
    Array.from({ length: Math.ceil(all.length / of) }, (_, i) => all.slice(i * of, (i + 1) * of));
  const chunks = groups([...content], chunk).map((bytes) => Uint8Array.from(bytes));
  let level = (chunks.length === 0 ? [new Uint8Array()] : chunks).map(leafOf);
  while (level.length > 1) level = groups(level, maxLinks).map(parentOf);
  return level[0]?.block.cid.toString() ?? '';
}

/** A sink that is slow, and looks at the bytes only at the end: they must be the block's until then. */
class SlowSink implements BlockSink {
  readonly order: string[] = [];
  readonly turns: () => number;
  underWay = 0;
  mostBytes = 0;
  #bytes = 0;

  constructor(turns: () => number) {
    this.turns = turns;
  }

  async put({ cid, bytes }: Block): Promise<void> {
    this.order.push(cid.toString());
    this.underWay++;
    this.mostBytes = Math.max(this.mostBytes, (this.#bytes += bytes.length));
    for (let left = this.turns(); left > 0; left--) await turn();
    const codec = cid.code === RAW ? RAW : DAG_PB;
    expect(makeBlock(codec, bytes, cid.version).cid.equals(cid)).toBe(true);
    this.underWay--;
    this.#bytes -= bytes.length;
  }
}

describe('the CIDs are those of the one-by-one rules', () => {
  test('a leaf that is a node is framed as the library encodes it', () => {
    for (const size of [0, 1, 100, 119, 120, 127, 128, 16_370, 16_383, 16_384, 262_144, 2_097_100]) {
      const content = new Uint8Array(size).fill(7);
      const fields = Buffer.from([0x08, 2, ...(size === 0 ? [] : [0x12, ...varint(size)])]);
      const data = Buffer.concat([fields, content, Buffer.from([0x18, ...varint(size)])]);
      const expected = encode(prepare({ Data: data, Links: [] }));
      expect(Buffer.from(leafNode(content)).equals(expected)).toBe(true);
    }
  });

  test('for any size around the limits of chunks and nodes, however the bytes come and however slow the sink is', async () => {
    const around = fc
      .record({ chunk: fc.integer({ min: 1, max: 40 }), maxLinks: fc.integer({ min: 2, max: 5 }) })
      .chain(({ chunk, maxLinks }) =>
        fc.record({
          chunk: fc.constant(chunk),
          maxLinks: fc.constant(maxLinks),
          size: fc
            .tuple(
              fc.constantFrom(0, 1, maxLinks, maxLinks ** 2, maxLinks ** 3),
              fc.integer({ min: -2, max: 2 }),
            )
            .map(([leaves, more]) => Math.max(0, leaves * chunk + more)),
          piece: fc.integer({ min: 1, max: 100 }),
          turns: fc.integer({ min: 0, max: 3 }),
          profile: fc.constantFrom(unixfsV0, unixfsV1),
        }),
      );
    await fc.assert(
      fc.asyncProperty(around, async ({ chunk, maxLinks, size, piece, turns, profile }) => {
        const content = await collect(seeded(size, `${size}`));
        let n = 0;
        const sink = new SlowSink(() => (n++ * 7) % (turns + 1));
        const options = { profile, chunker: fixedChunker(chunk), maxLinks };
        const { cid } = await importFile(sink, pieces(content, piece), options);
        expect(cid.toString()).toBe(rootBySpec(content, profile, chunk, maxLinks));
        expect(sink.underWay).toBe(0);
        // What a node links to is on its way before it: a store that is cut off has no node without what is below.
        expect(sink.order.at(-1)).toBe(cid.toString());
      }),
      { numRuns: 60 },
    );
  });
});

const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];

test('no more than 8 MiB are on their way, whatever the size of the chunks', async () => {
  for (const chunk of [100_000, MiB, 2 * MiB]) {
    const sink = new SlowSink(() => 40);
    await importFile(sink, seeded(20 * MiB, 'window'), { chunker: fixedChunker(chunk) });
    expect(sink.mostBytes).toBeGreaterThan(6 * MiB);
    expect(sink.mostBytes).toBeLessThanOrEqual(8 * MiB + 2000);
  }
});

describe('when something fails, the import fails of that and nothing goes on', () => {
  test('a source that fails in the middle', async () => {
    const sink = new SlowSink(() => 5);
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield* seeded(5 * MiB, 'failing');
      throw new AntirioError('unavailable', 'the line went dead');
    }
    await expect(importFile(sink, failing())).rejects.toThrow('the line went dead');
    expect(sink.order).toHaveLength(5);
    expect(sink.underWay).toBe(0);
  });

  test('a source that is given up', async () => {
    const sink = new SlowSink(() => 5);
    const aborted = new AbortController();
    let closed = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        for (let i = 0; ; i++) {
          aborted.signal.throwIfAborted();
          yield Buffer.alloc(MiB, i);
          if (i === 11) aborted.abort(new AntirioError('unavailable', 'nobody wants it'));
        }
      } finally {
        closed = true;
      }
    }
    await expect(importFile(sink, source())).rejects.toThrow('nobody wants it');
    expect([closed, sink.underWay]).toEqual([true, 0]);
  });

  test('a sink that fails: the source is closed, and not read to its end', async () => {
    let [puts, read, closed] = [0, 0, false];
    const sink: BlockSink = {
      async put() {
        puts++;
        if (puts === 3) throw new AntirioError('storageFull', 'full');
        await turn();
      },
    };
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        for (; read < 1000; read++) yield Buffer.alloc(MiB, read);
      } finally {
        closed = true;
      }
    }
    await expect(importFile(sink, source())).rejects.toMatchObject({ code: 'storageFull' });
    expect(closed).toBe(true);
    expect(read).toBeLessThan(20);
  });

  test('a chunk or a file over the limit', async () => {
    const large = { chunker: fixedChunker(2 * MiB + 1) };
    await expect(importFile(nowhere, seeded(3 * MiB, 'x'), large)).rejects.toMatchObject({
      code: 'tooLarge',
    });
    const sink = new SlowSink(() => 3);
    const limited = { chunker: fixedChunker(1000), maxBytes: 100_000 };
    await expect(importFile(sink, seeded(MiB, 'x'), limited)).rejects.toMatchObject({ code: 'tooLarge' });
    expect([sink.order.length, sink.underWay]).toEqual([100, 0]);
  });
});

describe('a file', () => {
  const inFolder = async (work: (file: string) => Promise<void>): Promise<void> => {
    const folder = mkdtempSync(join(tmpdir(), 'antirio-file-'));
    await work(join(folder, 'file')).finally(() => rmSync(folder, { recursive: true, force: true }));
  };

  test.each([0, 1, MiB - 1, MiB, MiB + 1, 2 * MiB, 5 * MiB + 7])('of %d bytes is read as it is', (size) =>
    inFolder(async (file) => {
      const content = await collect(seeded(size, 'file'));
      writeFileSync(file, content);
      let [read, at] = [0, 0];
      for await (const piece of wholeFile(file)) {
        // What is being read ahead is not in the piece's memory.
        await turn();
        read += piece.length;
        expect(content.subarray(at, read).equals(piece)).toBe(true);
        at = read;
      }
      expect(read).toBe(size);
    }),
  );

  test('that becomes shorter while it is read is refused; one that is left is closed', () =>
    inFolder(async (file) => {
      writeFileSync(file, Buffer.alloc(6 * MiB));
      const reading = wholeFile(file);
      await reading.next();
      truncateSync(file, 100);
      const rest = async (): Promise<void> => {
        for (;;) if ((await reading.next()).done === true) return;
      };
      await expect(rest()).rejects.toMatchObject({ code: 'invalidInput' });
      writeFileSync(file, Buffer.alloc(6 * MiB));
      for await (const piece of wholeFile(file)) {
        expect(piece).toHaveLength(MiB);
        break;
      }
      await expect(collect(wholeFile(`${file} that is not`))).rejects.toMatchObject({ code: 'notFound' });
    }));
});

test('a disk that is full or fails at any one call of an import: a clear error, and all of it is there at the next try', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'antirio-full-'));
  const content = await collect(seeded(20_000, 'full'));
  const options = { chunker: fixedChunker(1000), maxLinks: 6 };
  try {
    let failing = 1;
    for (let failures = 1; failures > 0; failing++) {
      failures = 0;
      const disk = new SimulatedDisk(() => false);
      const faults: Fault[] = ['full', 'half', 'broken'];
      disk.faults((call) => {
        if (disk.calls !== failing) return 'none';
        failures++;
        return call === 'write' ? (faults[failing % 3] ?? 'full') : 'full';
      });
      const place = join(folder, `${failing}`);
      const open = () =>
        openBlockStore({
          folder: place,
          clock: systemClock,
          files: disk,
          packBytes: 5000,
          unflushedBytes: 2000,
        });
      let store = await open().catch(open);
      const imported = async (): Promise<void> => {
        const { cid } = await importFile(store, pieces(content, 700), options);
        await store.pin('file', cid);
      };
      await imported().catch(async (error: unknown) => {
        expect(error).toMatchObject({ code: 'storageFull' });
        await imported();
      });
      disk.faults(() => 'none');
      await store.close();
      disk.crash('power');
      store = await open();
      const [pin] = store.pins();
      if (pin === undefined) throw new TypeError('nothing is pinned');
      expect((await verifyDag(store, pin.cid)).blocks).toBeGreaterThan(20);
      await store.close();
    }
    expect(failing).toBeGreaterThan(30);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
