// What was seen of one takeover, and how many of them are told.
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import type { MeasuredTakeover, OwnProcess } from '@antirio/demo';
import { quantile, rounded } from './figure.ts';
import { childrenOf, cpuSecondsOf, memoryOf } from './kernel.ts';

/** Of the edge that stands by, from the kill to the first reading. */
export interface ProviderFigures {
  readonly edgeMB: number;
  readonly childrenMB: readonly number[];
  /** Processor time of it and its children: what else the machine does matters less for it. */
  readonly cpuMs: number;
  /** How long their main threads were ready to run and had no processor. */
  readonly queuedMs: number;
}

/** One takeover as it is told. */
export interface TakeoverRecord extends MeasuredTakeover {
  /** Of its setting: the same seed, the same traffic. */
  readonly seed: string;
  readonly provider: ProviderFigures | undefined;
  /** Of the last minute. */
  readonly load: number;
}

const NS_PER_MS = 1e6;

/** For how long a process' main thread has waited for a processor so far, ms (proc(5), schedstat). 0 where the kernel does not count. */
function queuedMsOf(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / NS_PER_MS;
  } catch {
    return 0;
  }
}

export interface ProviderWatch {
  readonly onArmed: (processes: readonly OwnProcess[]) => void;
  readonly onReading: () => void;
  readonly figures: () => ProviderFigures | undefined;
}

/** Watches the provider's processes from just before the kill until its first reading. */
export function watchProvider(): ProviderWatch {
  let edge: number | undefined;
  let before = { cpu: 0, queued: 0 };
  let figures: ProviderFigures | undefined;
  const used = (pid: number): typeof before => {
    const all = [pid, ...childrenOf(pid)];
    const sum = (of: (one: number) => number): number => all.reduce((total, one) => total + of(one), 0);
    return { cpu: sum(cpuSecondsOf), queued: sum(queuedMsOf) };
  };
  return {
    onArmed(processes) {
      edge = processes.find(({ name }) => name === 'edge-b')?.pid;
      if (edge === undefined) return;
      const childrenMB = childrenOf(edge).map((child) => memoryOf(child).rss);
      figures = { edgeMB: memoryOf(edge).rss, childrenMB, cpuMs: NaN, queuedMs: NaN };
      before = used(edge);
    },
    onReading() {
      if (edge === undefined || figures === undefined) return;
      const { cpu, queued } = used(edge);
      const cpuMs = Math.round((cpu - before.cpu) * 1_000);
      figures = { ...figures, cpuMs, queuedMs: Math.round(queued - before.queued) };
    },
    figures: () => figures,
  };
}

export const loadNow = (): number => rounded(loadavg()[0] ?? NaN, 1);

/** What of so many values is told beside a figure: the figure itself has median, p5 and p95. */
export function spreadOf(values: readonly number[]): Record<string, number> {
  const at = (q: number): number => rounded(quantile(values, q));
  return { runs: values.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), max: Math.max(...values) };
}

/** The first takeover of each setting, whose edge B has just been started, apart from the later ones. */
export function firstAndLater(
  records: readonly TakeoverRecord[],
  of: (record: TakeoverRecord) => number,
): Record<string, unknown> {
  const parts = {
    first: records.filter(({ round }) => round === 1),
    later: records.filter(({ round }) => round > 1),
  };
  const told = Object.entries(parts).filter(([, part]) => part.length > 0);
  return {
    all: spreadOf(records.map(of)),
    ...Object.fromEntries(told.map(([name, part]) => [name, spreadOf(part.map(of))])),
  };
}
