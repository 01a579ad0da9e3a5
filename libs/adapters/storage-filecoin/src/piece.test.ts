import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { calculate } from '@filoz/synapse-core/piece';
import fc from 'fast-check';
import { MAX_PIECE_BYTES, parsePieceCid } from './piece-cid.ts';
import { openPieceHasher, pieceOf } from './piece-hasher.ts';

afterEach(() => {
  jest.restoreAllMocks();
});

async function* inParts(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const quads = (zeros: number): Uint8Array => {
  const bytes = new Uint8Array(127 * 4 + zeros);
  for (let quad = 0; quad < 4; quad++) bytes.fill(quad, quad * 127, (quad + 1) * 127);
  return bytes;
};

/** The test cases of FRC-0069, and those of Filecoin's own libraries that it takes over. */
const VECTORS: readonly (readonly [string, Uint8Array, string])[] = [
  ['four quads', quads(0), 'bafkzcibcaaces3nobte6ezpp4wqan2age2s5yxcatzotcvobhgcmv5wi2xh5mbi'],
  ['nothing', new Uint8Array(0), 'bafkzcibcp4bdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy'],
  ['127 zeros', new Uint8Array(127), 'bafkzcibcaabdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy'],
  ['128 zeros', new Uint8Array(128), 'bafkzcibcpybwiktap34inmaex4wbs6cghlq5i2j2yd2bb2zndn5ep7ralzphkdy'],
  ['eight quads', quads(127 * 4), 'bafkzcibcaac542av3szurbbscwuu3zjssvfwbpsvbjf6y3tukvlgl2nf5rha6pa'],
  ['4 zeros more', quads(4), 'bafkzcibd7abqlxticxolgseegik2stpfgkkuwyf6kufex3doorkvmzpjuxwe4dz4'],
  ['5 zeros more', quads(5), 'bafkzcibd64bqlxticxolgseegik2stpfgkkuwyf6kufex3doorkvmzpjuxwe4dz4'],
];

describe('a piece', () => {
  test.each(VECTORS)('of %s has the CID of FRC-0069', async (_, bytes, cid) => {
    expect(await pieceOf(inParts(bytes, 100))).toEqual({ cid, bytes: bytes.length });
    expect(parsePieceCid(cid)).toEqual({ cid, bytes: bytes.length });
  });

  test('has the CID that the client of the network makes, however the bytes come', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 40_000 }),
        fc.integer({ min: 1, max: 9000 }),
        async (size, part) => {
          const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 8)) & 0xff);
          const piece = await pieceOf(inParts(bytes, part));
          expect(piece).toEqual({ cid: calculate(bytes).toString(), bytes: size });
        },
      ),
      { numRuns: 6, seed: 69 },
    );
  });

  test('of another kind of CID is refused', () => {
    const wrong = [
      '',
      'no cid',
      'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy',
      // A PieceCIDv1, which does not say how large the piece is.
      'baga6ea4seaqes3nobte6ezpp4wqan2age2s5yxcatzotcvobhgcmv5wi2xh5mbi',
    ];
    for (const text of wrong) expect(() => parsePieceCid(text)).toThrow('not a PieceCIDv2');
  });

  test('of gigabytes says its size', () => {
    const { bytes } = parsePieceCid('bafkzcibcaapao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq');
    expect(bytes).toBe((32 * 2 ** 30 * 127) / 128);
    expect(MAX_PIECE_BYTES).toBe((2 ** 30 * 127) / 128);
  });

  test('with more bytes than a piece may have is refused while they come', async () => {
    const hasher = await openPieceHasher({ maxBytes: 1000 });
    await hasher.write(new Uint8Array(1000));
    await expect(hasher.write(new Uint8Array(1))).rejects.toMatchObject({ code: 'tooLarge' });
    await hasher.close();
  });

  test('is given up when the caller leaves', async () => {
    const leaving = new AbortController();
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (let part = 0; ; part++) {
        if (part === 20) leaving.abort();
        yield new Uint8Array(64 << 10);
      }
    }
    const { signal } = leaving;
    // Once while it is made, once before it is begun.
    for (let time = 0; time < 2; time++)
      await expect(pieceOf(endless(), { signal })).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('fails, and waits for nothing, when the thread dies', async () => {
    const posting = jest.spyOn(Worker.prototype, 'postMessage');
    const hasher = await openPieceHasher();
    posting.mockImplementation(function (this: Worker) {
      void this.terminate();
    });
    const write = async (): Promise<void> => {
      for (let part = 0; part < 8; part++) await hasher.write(new Uint8Array(256 << 10));
    };
    await expect(write()).rejects.toMatchObject({ code: 'unavailable' });
    await expect(hasher.finish()).rejects.toMatchObject({ code: 'unavailable' });
    await hasher.close();
  });

  test('is never more than four parts ahead of the thread', async () => {
    const posting = jest.spyOn(Worker.prototype, 'postMessage').mockReturnValue();
    const hasher = await openPieceHasher();
    let written = 0;
    const write = async (): Promise<void> => {
      for (; written < 8; written++) await hasher.write(new Uint8Array(256 << 10));
    };
    const refused = expect(write()).rejects.toMatchObject({ code: 'unavailable' });
    await setImmediate();
    expect(posting).toHaveBeenCalledTimes(4);
    expect(written).toBe(3);
    await hasher.close();
    await refused;
  });
});
