import { createInterface } from 'node:readline';
import { DemoError } from './errors.ts';
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

/** Talks with a tool that was started with `talks`. */
export function talkWith(own: OwnProcess): Tool {
  const { stdin, stdout } = own.child;
  if (stdin === null || stdout === null)
    throw new DemoError('process', `${own.name} was not started to be talked with`);
  const expected = new Set<Expected>();
  // A tool that died meets us here first; its end is told elsewhere.
  stdin.on('error', () => undefined);
  createInterface({ input: stdout }).on('line', (line) => {
    const event = parse(line);
    if (event === undefined) return;
    const isError = event.event === 'error';
    const one = [...expected].find((candidate) => isError || candidate.event === event.event);
    if (one === undefined) return;
    expected.delete(one);
    if (isError) one.reject(new DemoError('badAnswer', `${own.name}: ${JSON.stringify(event)}`));
    else one.resolve(event);
  });
  void own.ended.then(() => {
    for (const one of expected) one.reject(new DemoError('process', `${own.name} ended before ${one.event}`));
    expected.clear();
  });
  const next = (event: string, withinMs = WITHIN_MS): Promise<ToolEvent> =>
    new Promise((resolve, reject) => {
      const one: Expected = { event, resolve: settle(resolve), reject: settle(reject) };
      const timer = setTimeout(() => {
        expected.delete(one);
        reject(new DemoError('deadline', `${own.name} did not say ${event} within ${String(withinMs)} ms`));
      }, withinMs);
      function settle<T>(then: (value: T) => void): (value: T) => void {
        return (value) => {
          clearTimeout(timer);
          then(value);
        };
      }
      expected.add(one);
    });
  return {
    process: own,
    next,
    ask(command, event, withinMs) {
      const answer = next(event, withinMs);
      stdin.write(`${JSON.stringify(command)}\n`);
      return answer;
    },
  };
}
