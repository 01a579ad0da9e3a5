import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { readFileIfThere, writeFileDurably, type Log } from '@antirio/host';
import { AntirioError, fromUtf8, type Clock } from '@antirio/kernel';

/** One `balena push`, as it is going or went. */
export interface Push {
  readonly id: number;
  readonly fleet: string;
  readonly state: 'running' | 'done' | 'failed' | 'interrupted';
  /** ms since the Unix epoch */
  readonly startedAt: number;
  readonly endedAt?: number;
  /** Why it failed, in a sentence. */
  readonly error?: string;
  /** The newest output of the tool, without colours. */
  readonly output: string;
}

export interface PushOptions {
  readonly dir: string;
  readonly folder: string;
  readonly fleet: string | undefined;
  readonly command: readonly string[];
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Pushes {
  /** @throws AntirioError busy while one is going | badConfig where there is no fleet to be pushed to */
  begin(): Push;
  newest(): Push | undefined;
  /** Ends one that is going. */
  stop(): Promise<void>;
}

const OUTPUT_BYTES = 16 << 10;
const GRACE_MS = 5000;
// ECMA-48 control sequences
// eslint-disable-next-line no-control-regex -- control characters are what it is about
const COLOURS = /\u001b\[[0-9;?]*[A-Za-z]/g;

function readNewest(file: string): Push | undefined {
  const bytes = readFileIfThere(file);
  if (bytes === undefined) return undefined;
  const push = JSON.parse(fromUtf8(bytes)) as Push;
  return push.state === 'running'
    ? {
        ...push,
        state: 'interrupted',
        error: 'this room ended while it was going: see at balena whether it went through, or push again',
      }
    : push;
}

class PushRunner implements Pushes {
  readonly #options: PushOptions;
  readonly #file: string;
  #newest: Push | undefined;
  #stopping: (() => void) | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: PushOptions) {
    this.#options = options;
    this.#file = join(options.dir, 'push.json');
    this.#newest = readNewest(this.#file);
  }

  begin(): Push {
    const { fleet, clock } = this.#options;
    if (fleet === undefined)
      throw new AntirioError('badConfig', 'fleet.fleet names no fleet that could be pushed to');
    if (this.#newest?.state === 'running')
      throw new AntirioError('busy', `push ${this.#newest.id} is still going`, { id: this.#newest.id });
    const id = (this.#newest?.id ?? 0) + 1;
    const push = this.#keep({ id, fleet, state: 'running', startedAt: clock.now(), output: '' });
    this.#ended = this.#run(push);
    return push;
  }

  newest(): Push | undefined {
    return this.#newest;
  }

  async stop(): Promise<void> {
    this.#stopping?.();
    await this.#ended;
  }

  #keep(push: Push): Push {
    writeFileDurably(this.#file, JSON.stringify(push));
    this.#newest = push;
    return push;
  }

  async #run(push: Push): Promise<void> {
    const { clock, log } = this.#options;
    let output = '';
    const error = await this.#tool(push.fleet, (text) => {
      output = (output + text.replace(COLOURS, '')).slice(-OUTPUT_BYTES);
      this.#newest = { ...push, output };
    });
    const ended = { ...push, output, endedAt: clock.now() };
    this.#keep(error === undefined ? { ...ended, state: 'done' } : { ...ended, state: 'failed', error });
    log.info({ push: push.id, fleet: push.fleet, error }, 'pushed to the fleet');
  }

  /** @returns why it failed */
  #tool(fleet: string, tell: (text: string) => void): Promise<string | undefined> {
    const { command, folder, timeoutMs } = this.#options;
    const [file = '', ...first] = command;
    return new Promise((resolve) => {
      const args = [...first, 'push', fleet, '--source', folder];
      const child = spawn(file, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
      // With whatever it has started: a tool's own children would hold its output open
      const signal = (name: NodeJS.Signals): void => {
        if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, name);
      };
      let reason: string | undefined;
      let insist: NodeJS.Timeout | undefined;
      const end = (why: string): void => {
        reason ??= why;
        signal('SIGTERM');
        insist ??= setTimeout(() => signal('SIGKILL'), GRACE_MS);
      };
      const timer = setTimeout(() => end(`it took over ${timeoutMs} ms`), timeoutMs);
      this.#stopping = () => end('this room was stopped');
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => tell(text));
      const over = (why: string | undefined): void => {
        clearTimeout(timer);
        clearTimeout(insist);
        this.#stopping = undefined;
        resolve(why);
      };
      child.on('error', ({ message }) =>
        over(`${file} cannot be started: ${message}; is the balena CLI installed here?`),
      );
      child.on('close', (code, by) =>
        over(reason ?? (code === 0 ? undefined : `${file} push ended with ${by ?? `code ${String(code)}`}`)),
      );
    });
  }
}

export function openPushes(options: PushOptions): Pushes {
  return new PushRunner(options);
}
