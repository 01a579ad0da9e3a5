import type { RunResult } from './run.ts';
import { printLine } from './trace.ts';

/** A run to be read: what happened, what broke, what came of it. `fine` adds every frame, datagram and write. */
export function storyOf({ seed, lines, violations, summary, hash }: RunResult, fine = false): string {
  const told = lines.filter((line) => fine || line.grain === 'main').map(printLine);
  const broken = violations.map(
    ({ invariant, at, message }) => `BROKEN ${invariant} at ${(at / 1000).toFixed(3)} s: ${message}`,
  );
  const { uplinks, covered, stored, downlinks, epoch, life } = summary;
  const counts = `${uplinks} uplinks, ${covered} acknowledged, ${stored} stored; ${downlinks} downlinks; epoch ${epoch}, ${life}`;
  return [...told, ...broken, `seed ${seed}: ${counts}; trace ${hash}`].join('\n');
}
