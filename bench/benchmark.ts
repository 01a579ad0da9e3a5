import type { Figure } from './figure.ts';

/** How a benchmark is run. */
export interface BenchOptions {
  /** Few and short runs: whether it works at all, not how fast. */
  readonly quick: boolean;
  /** So many runs in place of the benchmark's own number, where it is made of runs that are alike. */
  readonly runs?: number | undefined;
  /** So many takeovers in a row in one setting, in place of the benchmark's own number. */
  readonly takeovers?: number | undefined;
  /** So many of such runs at a time, of which only one is in the moments that are measured. */
  readonly beside?: number | undefined;
}

export interface BenchPorts {
  readonly options: BenchOptions;
  /** Progress, for the person who waits. */
  readonly say: (text: string) => void;
  /** The time is over, or Ctrl-C. */
  readonly signal: AbortSignal;
}

/** One benchmark: one setting, one or more figures. */
export interface Benchmark {
  readonly name: string;
  readonly about: string;
  /** After this long it is ended as failed. */
  withinS(options: BenchOptions): number;
  /** Gives each figure as soon as it has it. Ends what it started, also where it throws. */
  run(ports: BenchPorts): AsyncIterable<Figure>;
}

/** A benchmark that could not be taken, in words for whoever reads the output. */
export class BenchError extends Error {}
