import {
  AntirioError,
  describeError,
  isAntirioError,
  uuidV4,
  type Clock,
  type Random,
} from '@antirio/kernel';
import { sleep, type Check, type Log } from '@antirio/host';
import { argumentsOf, COMMIT, type Command, type Plain, type Unit } from './commands.ts';
import type { RedisStoreOptions } from './options.ts';
import { isReply, openSession, type Session } from './session.ts';

export interface RedisStorePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface CommitOptions {
  readonly alsoWhenFull?: boolean;
}

/**
 * What one service keeps in Redis. It has its keys to itself: whoever opens them later takes them over, and the one before is told that
 * it is broken. What does not answer in time is `unavailable`, with a sentence.
 */
export interface RedisStore {
  /** The whole name of a key. */
  key(name: string): string;
  /** The answer to a command that changes nothing; its texts are bytes. @throws AntirioError unavailable */
  read(command: Command): Promise<unknown>;
  /**
   * Does all of it, durably, or nothing; once only, also where the connection breaks meanwhile. Of each unit that is told whether its
   * guard let it be done. One after the other.
   * @param options.alsoWhenFull for what frees memory, or is needed to do that; before Redis 7 it may be refused all the same.
   * @throws AntirioError storageFull | unavailable: in the second case it may have been done all the same.
   */
  commit(units: readonly (Unit | Plain)[], options?: CommitOptions): Promise<readonly boolean[]>;
  /** Whether it answers now. */
  check(): Promise<Check>;
  /** Why nothing is taken until it is opened again. */
  readonly broken: string | undefined;
  close(): Promise<void>;
}

const FIRST_DELAY_MS = 20;
const LONGEST_DELAY_MS = 500;
/** While it is away it is looked for once in so long: who asks in between is refused at once. */
const ASKED_AGAIN_MS = 250;

/** Refusals of the server at the first command that writes: a batch that was refused so is done by none of it. */
const UNDONE = [
  'FENCED',
  'OOM',
  'LOADING',
  'MISCONF',
  'READONLY',
  'BUSY',
  'MASTERDOWN',
  'NOREPLICAS',
  'NOAUTH',
];

class ClaimedRedisStore implements RedisStore {
  readonly #options: RedisStoreOptions;
  readonly #prefix: string;
  readonly #ports: RedisStorePorts;
  readonly #owner: string;
  #claims = 0;
  #wasOpen = false;
  #session: Session | undefined;
  #opening: Promise<Session> | undefined;
  /** Monotonic ms of the first failure since it last answered, and of the last attempt. */
  #awaySince: number | undefined;
  #triedAt = -Infinity;
  #whyAway = '';
  #batch = 0;
  #broken: string | undefined;
  readonly #closing = new AbortController();

  constructor(options: RedisStoreOptions, name: string, ports: RedisStorePorts) {
    this.#options = options;
    this.#prefix = `${options.keyPrefix}${name}:`;
    this.#ports = ports;
    this.#owner = uuidV4(ports.random);
  }

  get broken(): string | undefined {
    return this.#broken;
  }

  key(name: string): string {
    return this.#prefix + name;
  }

  read(command: Command): Promise<unknown> {
    return this.#within((session) => session.call(command));
  }

  async commit(
    units: readonly (Unit | Plain)[],
    { alsoWhenFull = false }: CommitOptions = {},
  ): Promise<readonly boolean[]> {
    const batch = String(++this.#batch);
    const keys = [this.key('owner'), this.key('batch')];
    const given = argumentsOf(units);
    const told = await this.#within(async (session) => {
      const script = alsoWhenFull ? session.whenFull + COMMIT : COMMIT;
      const answer = await this.#done(session, [script, 2, ...keys, session.token, batch, ...given]);
      if (session.usesWaitAof) await this.#synced(session);
      return String(answer);
    });
    return Array.from(told, (digit) => digit === '1');
  }

  async check(): Promise<Check> {
    try {
      await this.read(['PING']);
      return { ok: true };
    } catch (error) {
      return { ok: false, detail: describeError(error) };
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#opening?.catch(() => undefined);
    this.#session?.close();
  }

  /** A script that stops on its way has done a part of it. */
  async #done(session: Session, given: Command): Promise<unknown> {
    try {
      return await session.call(['EVAL', ...given]);
    } catch (error) {
      if (
        error instanceof Error &&
        error.name === 'ReplyError' &&
        !UNDONE.some((word) => isReply(error, word))
      )
        throw this.#breaks(
          `the store in Redis at ${this.#options.url} is not as it was laid out: ${error.message}`,
        );
      throw error;
    }
  }

  #breaks(why: string): AntirioError {
    this.#broken = why;
    this.#ports.log.error({ prefix: this.#prefix }, why);
    return new AntirioError('unavailable', why);
  }

  async #synced(session: Session): Promise<void> {
    const [local] = (await session.call(['WAITAOF', 1, 0, this.#options.answerWithinMs])) as [unknown];
    if (Number(local) < 1) throw new AntirioError('unavailable', 'Redis has not synced its file in time');
  }

  /** Again on a new connection while there is time for it. */
  async #within<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const { clock } = this.#ports;
    for (let delay = FIRST_DELAY_MS; ; delay = Math.min(delay * 2, LONGEST_DELAY_MS)) {
      this.#checkUsable();
      const begun = clock.monotonic();
      try {
        const result = await work(await this.#opened());
        this.#back();
        return result;
      } catch (error) {
        this.#throwIfFinal(error);
        this.#away(error, begun);
      }
      const until = (this.#awaySince ?? 0) + this.#options.answerWithinMs;
      if (clock.monotonic() + delay > until) throw this.#unavailable();
      await sleep(delay, this.#closing.signal);
    }
  }

  #checkUsable(): void {
    if (this.#closing.signal.aborted) throw new AntirioError('unavailable', 'the store is closed');
    if (this.#broken !== undefined) throw new AntirioError('unavailable', this.#broken);
  }

  /** What another connection would not change. */
  #throwIfFinal(error: unknown): void {
    if (this.#broken !== undefined || isAntirioError(error, 'badConfig')) throw error;
    if (isReply(error, 'FENCED'))
      throw this.#breaks(
        `the store in Redis at ${this.#options.url} was taken over by another process, or emptied`,
      );
    if (isReply(error, 'OOM')) throw new AntirioError('storageFull', "Redis's memory is full");
  }

  #unavailable(): AntirioError {
    return new AntirioError('unavailable', `Redis at ${this.#options.url} fails: ${this.#whyAway}`);
  }

  #away(error: unknown, since: number): void {
    const { log } = this.#ports;
    this.#session?.close();
    this.#session = undefined;
    this.#whyAway = describeError(error);
    if (this.#awaySince !== undefined) return;
    this.#awaySince = since;
    log.warn({ url: this.#options.url, why: this.#whyAway }, 'Redis fails');
  }

  #back(): void {
    if (this.#awaySince === undefined) return;
    this.#awaySince = undefined;
    this.#ports.log.info({ url: this.#options.url }, 'Redis answers again');
  }

  #opened(): Promise<Session> {
    if (this.#session?.isOpen === true) return Promise.resolve(this.#session);
    if (this.#opening === undefined) {
      const { clock } = this.#ports;
      const gaveUp = clock.monotonic() > (this.#awaySince ?? Infinity) + this.#options.answerWithinMs;
      if (gaveUp && clock.monotonic() - this.#triedAt < ASKED_AGAIN_MS)
        return Promise.reject(new AntirioError('unavailable', this.#whyAway));
      this.#triedAt = clock.monotonic();
      this.#opening = this.#open().finally(() => (this.#opening = undefined));
    }
    return this.#opening;
  }

  /** With a token of its own: what an earlier connection still has under way comes too late. */
  async #open(): Promise<Session> {
    const claim = {
      ownerKey: this.key('owner'),
      batchKey: this.key('batch'),
      heldBy: this.#wasOpen ? this.#owner : '',
      token: `${this.#owner} ${++this.#claims}`,
    };
    const session = await openSession(this.#options, claim, this.#ports.log);
    this.#batch = Math.max(this.#batch, session.lastBatch);
    this.#session = session;
    this.#wasOpen = true;
    return session;
  }
}

/** @param name of the service. @throws AntirioError badConfig where Redis could lose what is acknowledged; unavailable */
export async function openRedisStore(
  options: RedisStoreOptions,
  name: string,
  ports: RedisStorePorts,
): Promise<RedisStore> {
  const store = new ClaimedRedisStore(options, name, ports);
  await store.read(['PING']);
  return store;
}
