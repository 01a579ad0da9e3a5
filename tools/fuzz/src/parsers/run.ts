import type { Counts } from '../properties.ts';
import { describeFinding, fuzzParsers, type Report, type TargetReport } from './campaign.ts';
import { TARGETS } from './targets.ts';

/** What a run may leave behind, collected; and take meanwhile, garbage included. */
const MOST_GROWTH = 16 << 20;
const MOST_PEAK = 768 << 20;

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

function say(report: TargetReport, ok: boolean): void {
  const { target, inputs, bytes, accepted, slow, slowestMs, ms } = report;
  const times = `${((ms * 1000) / inputs).toFixed(0)} us each, ${slow} slow, the slowest ${slowestMs.toFixed(0)} ms`;
  console.log(
    `${ok ? 'ok    ' : 'FAILED'} ${target}: ${inputs} inputs, ${megabytes(bytes)}, ${accepted} accepted, ${times}`,
  );
}

function memoryComplaints({ heapGrowthBytes, peakBytes }: Report): string[] {
  const complaints: string[] = [];
  if (heapGrowthBytes > MOST_GROWTH) complaints.push(`the heap grew by ${megabytes(heapGrowthBytes)}`);
  if (peakBytes > MOST_PEAK) complaints.push(`the process grew by ${megabytes(peakBytes)}`);
  return complaints;
}

/** Tries every parser with bad inputs and says what it found. */
export async function runParsers(count: number, seed: number): Promise<Counts> {
  const started = performance.now();
  const report = await fuzzParsers(TARGETS, count, seed);
  const bad = new Set(report.findings.map(({ target }) => target));
  for (const target of report.targets) say(target, !bad.has(target.target));
  for (const finding of report.findings) console.log(describeFinding(finding));
  const complaints = memoryComplaints(report);
  const memory = `heap ${megabytes(report.heapGrowthBytes)} and process ${megabytes(report.peakBytes)} larger`;
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(
    `${complaints.length === 0 ? 'ok    ' : 'FAILED'} ${count} inputs, seed ${seed}, ${seconds} s: ${memory}`,
  );
  return {
    passed: TARGETS.length + 1 - bad.size - Math.min(1, complaints.length),
    failed: bad.size + Math.min(1, complaints.length),
    skipped: 0,
  };
}
