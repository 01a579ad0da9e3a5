import { statSync } from 'node:fs';
import type { Log } from '@antirio/host';
import { describeError } from '@antirio/kernel';
import { readJsonFile, secrets } from './sealed-keys.ts';

/** The version of the keys in the customer's own file, read again where the file has changed. */
export function keyVersionOf(
  file: () => string | undefined,
  log: Log,
): () => { readonly keyVersion?: number } {
  let stamp = '';
  let known: { readonly keyVersion?: number } = {};
  return () => {
    const path = file();
    if (path === undefined) return {};
    try {
      const { mtimeMs, size, ino } = statSync(path);
      const now = `${mtimeMs}/${size}/${ino}`;
      if (now !== stamp) {
        known = { keyVersion: readJsonFile(path, secrets).keyVersion };
        stamp = now;
      }
    } catch (error) {
      // Perhaps it is being written; until it can be read, it goes by what was known.
      log.warn({ error: describeError(error) }, 'the keys of the protected service cannot be read');
    }
    return known;
  };
}
