import { hashText, mix } from './random.ts';

/** `main`: what a reader follows the story by. `fine`: every frame, datagram and write. */
export type Grain = 'main' | 'fine';

export interface TraceLine {
  readonly at: number;
  readonly who: string;
  readonly what: string;
  readonly detail: string;
  readonly grain: Grain;
}

/**
 * What happened in a run. It is always hashed, so that two runs can be compared; the text is made only where somebody wants
 * to read it.
 */
export interface Trace {
  note(who: string, what: string, detail?: () => string, grain?: Grain): void;
  /** Mixes numbers into the hash: whatever a run depends on. */
  count(a: number, b: number): void;
  hash(): string;
  lines(): readonly TraceLine[];
}

export function createTrace(now: () => number, keepLines: boolean): Trace {
  const words = new Map<string, number>();
  const lines: TraceLine[] = [];
  let low = 0x243f6a88;
  let high = 0x85a308d3;

  const wordOf = (text: string): number => {
    const known = words.get(text);
    if (known !== undefined) return known;
    const hash = hashText(text);
    words.set(text, hash);
    return hash;
  };
  const blend = (value: number): void => {
    low = (Math.imul(low ^ value, 0x9e3779b1) + high) | 0;
    high = Math.imul(high ^ (low >>> 15), 0x85ebca77) | 0;
  };
  return {
    note(who, what, detail, grain = 'main') {
      blend(Math.trunc(now() * 1000));
      blend(wordOf(who) ^ Math.imul(wordOf(what), 31));
      if (keepLines) lines.push({ at: now(), who, what, detail: detail?.() ?? '', grain });
    },
    count(a, b) {
      blend(Math.imul(Math.trunc(a), 0x01000193) ^ Math.trunc(b));
    },
    hash: () =>
      mix(low).toString(16).padStart(8, '0') +
      mix(high ^ low)
        .toString(16)
        .padStart(8, '0'),
    lines: () => lines,
  };
}

export function printLine({ at, who, what, detail }: TraceLine): string {
  const seconds = (at / 1000).toFixed(3).padStart(9);
  return `${seconds}  ${who.padEnd(8)} ${what}${detail === '' ? '' : `  ${detail}`}`;
}
