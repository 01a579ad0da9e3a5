import { availableParallelism, loadavg } from 'node:os';

/** One figure as it is printed: one line of JSON. */
export interface Figure {
  readonly figure: string;
  readonly unit: string;
  readonly median: number;
  readonly p5: number;
  readonly p95: number;
  /** Of a hundred values or more. */
  readonly p99?: number;
  /** How many values these are of. */
  readonly runs: number;
  /** The median (or the 99th percentile) is to be at most this (at least, where more is better), or every value where even one over it is too many; null: none was set. */
  readonly goal: number | null;
  readonly reached: boolean | null;
  readonly [context: string]: unknown;
}

export interface FigureSpec {
  readonly figure: string;
  readonly unit: string;
  readonly values: readonly number[];
  readonly goal?: number | undefined;
  /** What the goal is for (default: the median). */
  readonly judged?: 'median' | 'p99' | 'worst';
  /** Whether more or less of it is better (default: less). */
  readonly better?: 'more' | 'less';
  /** What else was seen in the same runs, and under what conditions. */
  readonly context?: Readonly<Record<string, unknown>>;
}

const DECIMALS = 3;
const P99 = 0.99;
/** Of fewer values it would be the largest. */
const VALUES_FOR_P99 = 100;

export function rounded(value: number, decimals = DECIMALS): number {
  return Number(value.toFixed(decimals));
}

/** The q-quantile (0 to 1) of the values, linear between two neighbours (Hyndman and Fan, type 7). NaN of nothing. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const below = sorted[Math.floor(at)] ?? NaN;
  const above = sorted[Math.ceil(at)] ?? NaN;
  return below + (above - below) * (at - Math.floor(at));
}

export function median(values: readonly number[]): number {
  return rounded(quantile(values, 0.5));
}

// Before a benchmark pins this process to one of them.
const CPUS = availableParallelism();

/** How busy the machine was: figures taken beside other work are worth less. */
function machine(): Record<string, unknown> {
  const [load = NaN] = loadavg();
  return { node: process.versions.node, cpus: CPUS, load: rounded(load, 1) };
}

export function figureOf({ figure, unit, values, goal, judged, better, context = {} }: FigureSpec): Figure {
  const middle = median(values);
  const worst = better === 'more' ? Math.min(...values) : Math.max(...values);
  const p99 = rounded(quantile(values, P99));
  const value = { median: middle, p99, worst }[judged ?? 'median'];
  const isReached = (wanted: number): boolean => (better === 'more' ? value >= wanted : value <= wanted);
  return {
    figure,
    unit,
    median: middle,
    p5: rounded(quantile(values, 0.05)),
    p95: rounded(quantile(values, 0.95)),
    ...(values.length >= VALUES_FOR_P99 && { p99 }),
    runs: values.length,
    goal: goal ?? null,
    reached: goal === undefined ? null : isReached(goal),
    ...context,
    ...machine(),
  };
}
