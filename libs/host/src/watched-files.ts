import { statSync } from 'node:fs';
import { describeError } from '@antirio/kernel';
import type { Log } from './log.ts';

/** Between two looks at the same files, in milliseconds. */
const LOOK_EVERY_MS = 1000;

function stampOf(paths: readonly string[]): string {
  return paths
    .map((path) => {
      const found = statSync(path, { throwIfNoEntry: false });
      return found === undefined ? '-' : `${found.ino}:${found.mtimeMs}:${found.size}`;
    })
    .join(' ');
}

/**
 * What some files hold, read again when they have changed: looked at when it is asked for, at most once a second. What cannot be read
 * any more leaves what was read before, and is told of once.
 * @throws what `read` throws, the first time
 */
export function watchedFiles<T>(
  paths: readonly string[],
  read: () => T,
  log: Pick<Log, 'error' | 'info'>,
  monotonic: () => number,
): () => T {
  let stamp = stampOf(paths);
  let value = read();
  let lookedAt = monotonic();
  return () => {
    const now = monotonic();
    if (now - lookedAt < LOOK_EVERY_MS) return value;
    lookedAt = now;
    try {
      const found = stampOf(paths);
      if (found === stamp) return value;
      stamp = found;
      value = read();
      log.info({ paths }, 'read again');
    } catch (error) {
      log.error({ paths, error: describeError(error) }, 'not read again: what was read before counts');
    }
    return value;
  };
}
