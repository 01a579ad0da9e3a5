import { AntirioError, describeError } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import type { Redis } from 'ioredis';
import { ALSO_WHEN_FULL, CLAIM, type Command } from './commands.ts';
import { durabilityOf } from './durability.ts';
import { passwordIn, type RedisStoreOptions } from './options.ts';

/** One connection, which has the store to itself until another one claims it. */
export interface Session {
  readonly token: string;
  /** The number of the last batch that was done. */
  readonly lastBatch: number;
  readonly usesWaitAof: boolean;
  /** What stands before scripts that have to write although the memory is full; nothing where the server is too old for that. */
  readonly whenFull: string;
  readonly isOpen: boolean;
  /** Texts of the answer are bytes. */
  call(command: Command): Promise<unknown>;
  close(): void;
}

/** What a session claims. */
export interface Claim {
  readonly ownerKey: string;
  readonly batchKey: string;
  /** The process's name where it has the store already: nobody else may have taken it meanwhile. */
  readonly heldBy: string;
  readonly token: string;
}

const CONNECT_MS = 2000;

/** One that has ended would keep a timer for that. */
function end(redis: Redis): void {
  if (redis.status !== 'end' && redis.status !== 'close') redis.disconnect();
}

async function connect(options: RedisStoreOptions): Promise<Redis> {
  const { url, passwordFile, answerWithinMs } = options;
  const password = passwordIn(passwordFile);
  // nobody who keeps to SQLite has to load it
  const { default: ioredis } = await import('ioredis');
  // a CommonJS module, of which a bundle has no other names
  const redis = new ioredis.Redis(url, {
    ...(password === undefined ? {} : { password }),
    lazyConnect: true,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // a new connection is another session: this one ends with its own
    retryStrategy: () => null,
    connectTimeout: Math.min(CONNECT_MS, answerWithinMs),
    commandTimeout: answerWithinMs,
    disableClientInfo: true,
  });
  // whoever waits for an answer is told that the connection is closed, and not why
  let why: Error | undefined;
  redis.on('error', (error) => (why = error));
  try {
    await redis.connect();
  } catch (error) {
    end(redis);
    throw why ?? error;
  }
  return redis;
}

/** @throws AntirioError badConfig where it could lose what is acknowledged, and is not to be used all the same. */
async function checkDurable(
  call: Session['call'],
  { url, unchecked }: RedisStoreOptions,
  log: Log,
): Promise<boolean> {
  const { fault, usesWaitAof } = await durabilityOf(call).catch((error: unknown) => {
    if (!isReply(error, 'ERR') && !isReply(error, 'NOPERM')) throw error;
    return { fault: `it does not tell its settings (${describeError(error)})`, usesWaitAof: false };
  });
  if (fault === undefined) return usesWaitAof;
  const what = `Redis at ${url} may lose what is acknowledged: ${fault}`;
  if (!unchecked) throw new AntirioError('badConfig', what, { url });
  log.warn({ url, fault }, 'Redis may lose what is acknowledged');
  return false;
}

/** An answer of the server that begins with this word. */
export function isReply(error: unknown, word: string): boolean {
  return error instanceof Error && error.name === 'ReplyError' && error.message.startsWith(word);
}

/** Before 7 a flag before a script is an error of its syntax. */
async function flagWhenFull(call: Session['call']): Promise<string> {
  try {
    await call(['EVAL', `${ALSO_WHEN_FULL}\nreturn 1`, 0]);
    return ALSO_WHEN_FULL;
  } catch (error) {
    if (isReply(error, 'ERR')) return '';
    throw error;
  }
}

/** @throws what the connection or the server says; AntirioError badConfig */
export async function openSession(options: RedisStoreOptions, claim: Claim, log: Log): Promise<Session> {
  const redis = await connect(options);
  let isOpen = true;
  redis.on('close', () => (isOpen = false));
  const call = (command: Command): Promise<unknown> => {
    const [name, ...given] = command;
    const passed = given.map((one) =>
      one instanceof Uint8Array ? Buffer.from(one.buffer, one.byteOffset, one.length) : one,
    );
    return redis.callBuffer(String(name), ...passed);
  };
  const close = (): void => {
    isOpen = false;
    end(redis);
  };
  try {
    const usesWaitAof = await checkDurable(call, options, log);
    const whenFull = await flagWhenFull(call);
    const { ownerKey, batchKey, heldBy, token } = claim;
    const last = await call(['EVAL', whenFull + CLAIM, 2, ownerKey, batchKey, heldBy, token]);
    return {
      token,
      lastBatch: Number(String(last)),
      usesWaitAof,
      whenFull,
      get isOpen() {
        return isOpen;
      },
      call,
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}
