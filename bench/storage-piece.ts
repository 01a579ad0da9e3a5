import { availableParallelism } from 'node:os';
import { pieceOf } from '@antirio/storage-filecoin';
import { BenchError, type BenchPorts } from './benchmark.ts';
import { figureOf, type Figure } from './figure.ts';
import { monotonic } from './clock.ts';

const PART = new Uint8Array(1 << 20).map((_, at) => (at * 31 + (at >> 8)) & 0xff);

async function* parts(count: number): AsyncGenerator<Uint8Array> {
  for (let part = 0; part < count; part++) yield PART;
}

/** Makes the PieceCIDv2 of a stream in its thread: what an upload to Filecoin costs before its first byte is sent. */
export async function* runPiece({ options: { quick }, say, signal }: BenchPorts): AsyncGenerator<Figure> {
  const count = quick ? 2 : 64;
  const values: number[] = [];
  const cids = new Set<string>();
  for (let run = 0; run < (quick ? 2 : 5); run++) {
    const began = monotonic();
    const { cid, bytes } = await pieceOf(parts(count), { signal });
    values.push(bytes / 1e6 / ((monotonic() - began) / 1000));
    cids.add(cid);
    say(`${Math.round(values.at(-1) ?? 0)} MB/s`);
  }
  if (cids.size !== 1) throw new BenchError(`one stream gave ${cids.size} pieces`);
  yield figureOf({
    figure: 'storage.piece',
    unit: 'MB/s',
    values,
    better: 'more',
    context: { megabytes: (count * PART.length) / 1e6, cores: availableParallelism(), cid: [...cids][0] },
  });
}
