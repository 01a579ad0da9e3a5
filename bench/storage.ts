import type { Benchmark } from './benchmark.ts';
import { runBetween } from './storage-between.ts';
import { runDelta } from './storage-delta.ts';
import { runFetch } from './storage-fetch.ts';
import { runImport } from './storage-import.ts';
import { runLies } from './storage-lies.ts';
import { runMemory } from './storage-memory.ts';
import { runPiece } from './storage-piece.ts';

const within =
  (quickS: number, s: number) =>
  ({ quick }: { quick: boolean }) =>
    quick ? quickS : s;

export const storage: readonly Benchmark[] = [
  {
    name: 'storage.import',
    about: 'storing a file: MB/s until it is durable; beside Kubo where KUBO_BIN names its program',
    withinS: within(600, 600),
    run: runImport,
  },
  {
    name: 'storage.memory',
    about: 'memory of storing and of fetching above that at rest; 3 GB too with STORAGE_3GB=1',
    withinS: within(600, 1200),
    run: runMemory,
  },
  {
    name: 'storage.fetch',
    about: 'fetching an image of which nothing is here, over loopback, until it is durable',
    withinS: within(600, 900),
    run: runFetch,
  },
  {
    name: 'storage.between-edges',
    about: 'the same by the whole way between two edges: signed, paced, each edge in one process',
    withinS: within(600, 600),
    run: runBetween,
  },
  {
    name: 'storage.delta',
    about: 'bytes that move for an image of which code, dependencies or the base have changed',
    withinS: within(600, 600),
    run: runDelta,
  },
  {
    name: 'storage.lies',
    about: 'wrong blocks that are taken from providers that lie',
    withinS: within(600, 300),
    run: runLies,
  },
  {
    name: 'storage.piece',
    about: 'making the PieceCIDv2 that a CAR is known by on Filecoin',
    withinS: within(600, 300),
    run: runPiece,
  },
];
