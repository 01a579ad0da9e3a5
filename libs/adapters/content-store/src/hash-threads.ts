import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { AntirioError, sha256 } from '@antirio/kernel';

/** Memory that was hashed: it may be elsewhere than before. */
export interface Hashed {
  readonly memory: Uint8Array<ArrayBuffer>;
  readonly digest: Uint8Array;
}

/**
 * The SHA-256 of the first bytes of some memory. The memory is not the caller's until this resolves, and then only what comes back.
 * @throws AntirioError unavailable, and the memory is lost, where a thread dies
 */
export type HashMemory = (memory: Uint8Array<ArrayBuffer>, length: number) => Promise<Hashed>;

export interface HashThreadsOptions {
  /** A processor that hashes a MiB in fewer milliseconds needs no threads (default 1.5: those with instructions for SHA-256 take 0.6). */
  readonly slowMs?: number;
  /** Default: one less than there are cores, which is left to the caller; 1 to 3. */
  readonly threads?: number;
  /** Threads that have nothing to do for so many milliseconds end (default 5000): each holds some 10 MB. */
  readonly idleMs?: number;
  /** What runs in a thread. */
  readonly program?: string;
}

/** Fewer bytes are hashed sooner than handed over, and say nothing of the processor. */
const WORTH_A_THREAD = 64 << 10;
/** So many must have been slow before it is believed: other programs are about as well. */
const MEASURED = 8;
const MAX_THREADS = 3;

/** What a thread is asked; the memory goes over to it and comes back. */
interface ToThread {
  readonly memory: Uint8Array<ArrayBuffer>;
  readonly length: number;
}

/** As text: as a module it would be the whole program where that is bundled into one file. */
const PROGRAM = `
  const { hash } = require('node:crypto');
  const { parentPort } = require('node:worker_threads');
  parentPort.on('message', ({ memory, length }) => {
    const digest = new Uint8Array(hash('sha256', memory.subarray(0, length), 'buffer'));
    parentPort.postMessage({ memory, digest }, [memory.buffer]);
  });
  parentPort.postMessage('ready');`;

interface Job {
  resolve(hashed: Hashed): void;
  reject(cause: unknown): void;
}

/** One thread: answers in the order in which it is asked. */
class HashThread {
  readonly #worker: Worker;
  readonly #jobs: Job[] = [];
  isReady = false;

  constructor(program: string, onEnd: (thread: HashThread, failure: unknown) => void) {
    this.#worker = new Worker(program, {
      eval: true,
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
    });
    this.#worker.unref();
    this.#worker.on('message', (message: Hashed | 'ready') => {
      if (message === 'ready') this.isReady = true;
      else this.#answer(message);
    });
    let failure: unknown;
    this.#worker.on('error', (cause: unknown) => (failure = cause));
    this.#worker.on('exit', () => {
      const error = new AntirioError('unavailable', 'a thread that hashes has ended', {}, failure);
      const lost = this.#jobs.splice(0);
      for (const job of lost) job.reject(error);
      onEnd(this, failure ?? (lost.length > 0 ? error : undefined));
    });
  }

  get jobs(): number {
    return this.#jobs.length;
  }

  hash(memory: Uint8Array<ArrayBuffer>, length: number): Promise<Hashed> {
    return new Promise((resolve, reject) => {
      this.#jobs.push({ resolve, reject });
      this.#worker.ref();
      const message: ToThread = { memory, length };
      this.#worker.postMessage(message, [memory.buffer]);
    });
  }

  #answer({ memory, digest }: Hashed): void {
    const job = this.#jobs.shift();
    if (this.#jobs.length === 0) this.#worker.unref();
    // Views of this realm, whatever realm the message was read in.
    job?.resolve({ memory: new Uint8Array(memory.buffer), digest: Uint8Array.from(digest) });
  }

  end(): void {
    void this.#worker.terminate();
  }
}

/**
 * Hashes in threads where the processor is slow at it, so that whoever asks is not held up and all cores work; elsewhere at once, which
 * is sooner than threads are there. Threads are started when there is something to hash, and end when there is nothing for a while; a
 * process that gets none, or loses one, hashes by itself from then on.
 */
class HashThreads {
  readonly #options: Required<HashThreadsOptions>;
  #threads: HashThread[] = [];
  #measured = 0;
  /** Of a MiB, ms: the least that was seen. */
  #leastMs = Infinity;
  #isOff = false;
  #idle: NodeJS.Timeout | undefined;

  constructor(options: Required<HashThreadsOptions>) {
    this.#options = options;
  }

  async hash(memory: Uint8Array<ArrayBuffer>, length: number): Promise<Hashed> {
    const thread = length < WORTH_A_THREAD ? undefined : this.#freest();
    if (thread !== undefined) return thread.hash(memory, length);
    return { memory, digest: this.#measuredHash(memory.subarray(0, length)) };
  }

  #measuredHash(bytes: Uint8Array): Uint8Array {
    if (bytes.length < WORTH_A_THREAD) return sha256(bytes);
    const began = performance.now();
    const digest = sha256(bytes);
    this.#leastMs = Math.min(this.#leastMs, ((performance.now() - began) * (1 << 20)) / bytes.length);
    this.#measured++;
    return digest;
  }

  /** None as long as they start: nobody waits for that. */
  #freest(): HashThread | undefined {
    if (this.#threads.length === 0 && this.#isWanted()) this.#start();
    if (this.#threads.length > 0) this.#endWhenIdle();
    const ready = this.#threads.filter(({ isReady }) => isReady);
    return ready.sort((a, b) => a.jobs - b.jobs)[0];
  }

  #isWanted(): boolean {
    return !this.#isOff && this.#measured >= MEASURED && this.#leastMs >= this.#options.slowMs;
  }

  #start(): void {
    const { threads, program } = this.#options;
    const onEnd = (thread: HashThread, failure: unknown): void => {
      this.#threads = this.#threads.filter((other) => other !== thread);
      if (failure !== undefined) this.#isOff = true;
    };
    try {
      for (let n = 0; n < threads; n++) this.#threads.push(new HashThread(program, onEnd));
    } catch {
      this.#isOff = true;
    }
  }

  #endWhenIdle(): void {
    if (this.#idle !== undefined) {
      this.#idle.refresh();
      return;
    }
    const check = (): void => {
      this.#idle = undefined;
      if (this.#threads.some(({ jobs }) => jobs > 0)) this.#endWhenIdle();
      else for (const thread of this.#threads.splice(0)) thread.end();
    };
    this.#idle = setTimeout(check, this.#options.idleMs).unref();
  }
}

export function createHashThreads({
  slowMs = 1.5,
  threads = Math.max(1, Math.min(MAX_THREADS, availableParallelism() - 1)),
  idleMs = 5000,
  program = PROGRAM,
}: HashThreadsOptions = {}): HashMemory {
  const all = new HashThreads({ slowMs, threads, idleMs, program });
  return (memory, length) => all.hash(memory, length);
}

/** Those of this process. */
export const hashMemory: HashMemory = createHashThreads();
