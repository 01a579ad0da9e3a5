import type { Stage } from '@antirio/demo';

/** A story kept for the reader of a failed test. */
export interface Told {
  readonly stage: Stage;
  text(): string;
}

export function createTold(): Told {
  const startedAt = performance.now();
  const lines: string[] = [];
  const tell = (text: string): void => {
    lines.push(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(7)} s  ${text}`);
  };
  return {
    stage: {
      act: tell,
      milestone: (text, sinceMs) =>
        tell(`  ${text}${sinceMs === undefined ? '' : ` (+${Math.round(sinceMs)} ms)`}`),
      waiting: () => undefined,
      note: tell,
    },
    text: () => lines.join('\n'),
  };
}
