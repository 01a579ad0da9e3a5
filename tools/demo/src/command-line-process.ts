import { closeSync, openSync } from 'node:fs';
import { DemoError } from './errors.ts';
import { lineReader } from './line-reader.ts';
import type { OwnProcess } from './processes.ts';

/** One line that a tool prints. */
export interface ToolEvent {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** A tool that takes one command per line on its stdin and answers each with one event on its stdout. */
export interface Tool {
  readonly process: OwnProcess;
  /** Resolves with the event of that name. Throws `badAnswer` where the tool says that it cannot, `deadline` in silence. */
  ask(command: Readonly<Record<string, unknown>>, event: string, withinMs?: number): Promise<ToolEvent>;
  /** Resolves with the next event of that name. */
  next(event: string, withinMs?: number): Promise<ToolEvent>;
}

const WITHIN_MS = 5_000;

interface Expected {
  readonly event: string;
  resolve(event: ToolEvent): void;
  reject(error: DemoError): void;
}

function parse(line: string): ToolEvent | undefined {
  try {
    const value = JSON.parse(line) as unknown;
    return typeof value === 'object' && value !== null && 'event' in value ? (value as ToolEvent) : undefined;
  } catch {
    return undefined;
  }
}

const LOOK_MS = 5;

/** Talks with a tool that was started with `talks`. */
export function talkWith(own: OwnProcess): Tool {
  const { line } = own;
  if (line === undefined) throw new DemoError('process', `${own.name} was not started to be talked with`);
  const expected = new Set<Expected>();
  const fd = openSync(line.saidFile, 'r');
  const read = lineReader(fd);
  let looking: NodeJS.Timeout | undefined;

  const hear = (text: string): void => {
    const event = parse(text);
    if (event === undefined) return;
    const isError = event.event === 'error';
    const one = [...expected].find((candidate) => isError || candidate.event === event.event);
    if (one === undefined) return;
    expected.delete(one);
    if (isError) one.reject(new DemoError('badAnswer', `${own.name}: ${JSON.stringify(event)}`));
    else one.resolve(event);
  };
  const look = (): void => {
    for (const text of read()) hear(text);
    if (expected.size > 0) return;
    clearInterval(looking);
    looking = undefined;
  };
  void own.ended.then(() => {
    look();
    clearInterval(looking);
    closeSync(fd);
    for (const one of expected) one.reject(new DemoError('process', `${own.name} ended before ${one.event}`));
    expected.clear();
  });
  const next = (event: string, withinMs = WITHIN_MS): Promise<ToolEvent> =>
    new Promise((resolve, reject) => {
      if (!own.isRunning()) {
        reject(new DemoError('process', `${own.name} ended before ${event}`));
        return;
      }
      const settle =
        <T>(then: (value: T) => void) =>
        (value: T): void => {
          clearTimeout(timer);
          then(value);
        };
      const one: Expected = { event, resolve: settle(resolve), reject: settle(reject) };
      const timer = setTimeout(() => {
        expected.delete(one);
        reject(new DemoError('deadline', `${own.name} did not say ${event} within ${String(withinMs)} ms`));
      }, withinMs);
      expected.add(one);
      looking ??= setInterval(look, LOOK_MS);
    });
  return {
    process: own,
    next,
    ask(command, event, withinMs) {
      const answer = next(event, withinMs);
      line.say(JSON.stringify(command));
      return answer;
    },
  };
}
