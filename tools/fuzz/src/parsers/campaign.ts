import { describeError, isAntirioError, toHex, utf8 } from '@antirio/kernel';
import { liveMemory } from '@antirio/testing/live-memory';
import { createDraw, type Draw } from './draw.ts';
import { mutatedBytes } from './mutate-bytes.ts';
import { mutatedJson } from './mutate-json.ts';
import { sizeOf } from './size.ts';
import type { Target } from './target.ts';

/** An input that a parser must not answer like that. */
export interface Finding {
  readonly target: string;
  readonly why: string;
  /** Cut to what still gives the same. */
  readonly input: Uint8Array;
}

export interface TargetReport {
  readonly target: string;
  readonly inputs: number;
  readonly bytes: number;
  readonly accepted: number;
  readonly refused: number;
  /** Over `SLOW_MS`: told, not judged. */
  readonly slow: number;
  readonly slowestMs: number;
  /** Spent in the parser and in measuring its answer. */
  readonly ms: number;
}

export interface Report {
  readonly targets: readonly TargetReport[];
  readonly findings: readonly Finding[];
  /** Of the collected heap and of buffers outside it, from a tenth of the run to its end. */
  readonly heapGrowthBytes: number;
  /** Of the process above its size at the start, garbage included; looked at every 500 inputs. */
  readonly peakBytes: number;
}

const SLOW_MS = 50;
const LOOK_EVERY = 500;
const MOST_FINDINGS = 10;
/** An answer, or an error, takes at most so many bytes, and so many for each byte of the input. */
const FIXED_BYTES = 16_384;
const BYTES_FOR_ONE = 128;

interface Judged {
  readonly kind: 'accepted' | 'refused';
  /** Undefined where all is well. */
  readonly why?: string;
}

const tooBig = (what: string, value: unknown, input: Uint8Array): string | undefined => {
  const most = FIXED_BYTES + BYTES_FOR_ONE * input.length;
  return sizeOf(value, most) > most ? `${what} of more than ${most} bytes for ${input.length}` : undefined;
};

const withWhy = (kind: Judged['kind'], why: string | undefined): Judged =>
  why === undefined ? { kind } : { kind, why };

function whyThrown(error: unknown): string {
  if (!(error instanceof Error)) return `thrown: ${String(error)}`;
  const [, at = ''] = error.stack?.split('\n    at ') ?? [];
  return `${error.name}: ${describeError(error)}${at === '' ? '' : ` (${at.trim()})`}`;
}

/** What a parser makes of an input. */
export async function judge(target: Target, input: Uint8Array): Promise<Judged> {
  try {
    return withWhy('accepted', tooBig('an answer', await target.read(input), input));
  } catch (error) {
    if (isAntirioError(error) && error.code !== 'internal')
      return withWhy('refused', tooBig('an error', [error.message, error.details, error.cause], input));
    return { kind: 'refused', why: whyThrown(error) };
  }
}

/** Most refusals are thrown, and most of what they cost is their stack, which nobody reads. */
async function withoutStacks<Result>(work: () => Promise<Result>): Promise<Result> {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  try {
    return await work();
  } finally {
    Error.stackTraceLimit = limit;
  }
}

/** Leaves out what the input can do without and still be answered badly. */
async function shrunk(target: Target, input: Uint8Array): Promise<Uint8Array> {
  let least = input;
  for (let length = Math.ceil(input.length / 2); length >= 1; length = Math.floor(length / 2)) {
    for (let at = 0; at < least.length;) {
      const less = Uint8Array.from([...least.subarray(0, at), ...least.subarray(at + length)]);
      if ((await judge(target, less)).why === undefined) at += length;
      else least = less;
    }
  }
  return least;
}

const parsedSeeds = (target: Target): unknown[] =>
  target.seeds.map((seed) => JSON.parse(Buffer.from(seed).toString()) as unknown);

/** One in eight is noise, one in some thousands is as long as can be; the others are changed seeds. */
function inputs(target: Target): (draw: Draw) => Uint8Array {
  const { seeds, longest } = target;
  const values = target.format === 'json' ? parsedSeeds(target) : [];
  const changed = (draw: Draw): Uint8Array => {
    const seed = draw.below(seeds.length);
    if (target.format === 'bytes') return mutatedBytes(seeds[seed] ?? seeds[0], draw, seeds);
    let value = values[seed];
    for (let left = 1 + draw.below(3); left > 0; left--) value = mutatedJson(value, draw);
    const text = utf8(value === undefined ? 'null' : JSON.stringify(value));
    return draw.once(6) ? mutatedBytes(text, draw, seeds) : text;
  };
  const long = (draw: Draw): Uint8Array => {
    const unit = draw.once(2) ? changed(draw) : draw.bytes(1 + draw.below(4));
    return new Uint8Array(Buffer.alloc(longest, unit.length === 0 ? Uint8Array.of(0x5b) : unit));
  };
  return (draw) => {
    if (draw.once(4096)) return long(draw);
    if (draw.once(8)) return draw.bytes(draw.below(Math.min(longest, 300)));
    return changed(draw).subarray(0, longest);
  };
}

class Tally {
  readonly #target: Target;
  readonly #next: (draw: Draw) => Uint8Array;
  readonly #counts = { inputs: 0, bytes: 0, accepted: 0, refused: 0, slow: 0, slowestMs: 0, ms: 0 };

  constructor(target: Target) {
    this.#target = target;
    this.#next = inputs(target);
  }

  /** Tries one input. */
  async step(draw: Draw): Promise<Finding | undefined> {
    const counts = this.#counts;
    const target = this.#target;
    const input = this.#next(draw);
    const started = performance.now();
    const { kind, why } = await withoutStacks(() => judge(target, input));
    const took = performance.now() - started;
    counts.inputs += 1;
    counts.bytes += input.length;
    counts[kind] += 1;
    counts.ms += took;
    counts.slow += took > SLOW_MS ? 1 : 0;
    counts.slowestMs = Math.max(counts.slowestMs, took);
    if (why === undefined) return undefined;
    const least = await shrunk(target, input);
    return { target: target.name, why: (await judge(target, least)).why ?? why, input: least };
  }

  report(): TargetReport {
    return { target: this.#target.name, ...this.#counts };
  }
}

/** Gives each parser its share of `count` inputs, in turns; the same seed draws the same inputs. */
export async function fuzzParsers(targets: readonly Target[], count: number, seed: number): Promise<Report> {
  const draw = createDraw(seed);
  const tallies = targets.map((target) => new Tally(target));
  const findings: Finding[] = [];
  const rssBefore = process.memoryUsage.rss();
  const warm = Math.ceil(count / 10);
  let [before, peak] = [0, 0];
  for (let done = 0; done < count && findings.length < MOST_FINDINGS; done++) {
    if (done === warm) before = await liveMemory();
    if (done % LOOK_EVERY === 0) peak = Math.max(peak, process.memoryUsage.rss() - rssBefore);
    const finding = await tallies[done % tallies.length]?.step(draw);
    if (finding !== undefined) findings.push(finding);
  }
  const heapGrowthBytes = (await liveMemory()) - before;
  return { targets: tallies.map((tally) => tally.report()), findings, heapGrowthBytes, peakBytes: peak };
}

/** For a person, and to be tried again. */
export function describeFinding({ target, why, input }: Finding): string {
  return `${target}: ${why}\n  input ${toHex(input.subarray(0, 2048))}${input.length > 2048 ? '...' : ''}`;
}
