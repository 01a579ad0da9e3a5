import type { Writable } from 'node:stream';

/** Where the demo tells what happens. */
export interface Stage {
  /** A part of the story begins. */
  act(title: string): void;
  /** Something happened; with `sinceKillMs` it is told how long after the failure. */
  milestone(text: string, sinceKillMs?: number): void;
  /** What is being waited for: shown in one line on a terminal, and now and then elsewhere. */
  waiting(text: string): void;
  note(text: string): void;
}

export interface StageOptions {
  readonly output: Writable;
  /** Colours, and a line that is rewritten. */
  readonly terminal: boolean;
  /** Monotonic ms. */
  readonly now: () => number;
}

const BOLD = '1';
const DIM = '2';
const GREEN = '32';
const CLEAR_LINE = '\r\u001b[2K';
/** Off a terminal the same wait is told this seldom. */
const REMIND_MS = 5_000;
const TIME_WIDTH = 9;

/** Tells the story on a stream. */
export function createStage({ output, terminal, now }: StageOptions): Stage {
  const startedAt = now();
  let isWaiting = false;
  let waitedFor = '';
  let toldAt = -Infinity;

  const coloured = (code: string, text: string): string =>
    terminal ? `\u001b[${code}m${text}\u001b[0m` : text;
  const print = (text: string): void => {
    output.write(`${isWaiting && terminal ? CLEAR_LINE : ''}${text}\n`);
    isWaiting = false;
    waitedFor = '';
  };
  const clock = (): string => `${((now() - startedAt) / 1000).toFixed(1)} s`.padStart(TIME_WIDTH);
  const waitOnTerminal = (text: string): void => {
    output.write(`${CLEAR_LINE}${coloured(DIM, `${clock()}  ... ${text}`)}`);
    isWaiting = true;
  };
  return {
    act: (title) => print(`${clock()}  ${coloured(BOLD, title)}`),
    milestone(text, sinceKillMs) {
      const since = sinceKillMs === undefined ? '' : coloured(GREEN, ` (+${Math.round(sinceKillMs)} ms)`);
      print(`${clock()}    ${text}${since}`);
    },
    waiting(text) {
      if (terminal) {
        waitOnTerminal(text);
        return;
      }
      const [subject = text] = text.split(':');
      if (subject === waitedFor && now() - toldAt < REMIND_MS) return;
      // The first time nothing is said: most waits are short.
      if (subject === waitedFor) output.write(`${clock()}    ... ${text}\n`);
      waitedFor = subject;
      toldAt = now();
    },
    note: (text) => print(`${' '.repeat(TIME_WIDTH)}  ${text}`),
  };
}

/** A stage on which nothing is shown. */
export const emptyStage: Stage = {
  act: () => undefined,
  milestone: () => undefined,
  waiting: () => undefined,
  note: () => undefined,
};
