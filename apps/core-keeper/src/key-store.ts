import { AntirioError } from '@antirio/kernel';
import type { Database } from '@antirio/host';
import type { Pair } from './keys.ts';

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** Milliseconds since the Unix epoch. */
  readonly created: number;
  readonly modified: number;
}

/** The keys; every call that writes within a transaction. */
export interface KeyStore {
  /** The key itself and all keys below it, in order. */
  at(key: string): readonly KeyValue[];
  /** @throws AntirioError storageFull when there would be too many keys. */
  put(pairs: readonly Pair[], now: number): void;
  /** Deletes the key, or all that begin with it as text; returns what it deleted. @throws AntirioError notFound | conflict */
  remove(key: string, prefixMatch: boolean): readonly string[];
}

export function createKeyStore(db: Database, maxKeys: number): KeyStore {
  // Everything below a key lies between `key/` and `key0`: 0 is what follows the slash.
  const below = db.prepare(
    "SELECT key, value, created, modified FROM kv WHERE key = ?1 OR (key > ?1 || '/' AND key < ?1 || '0') ORDER BY key",
  );
  const prefixed = db.prepare('SELECT key FROM kv WHERE substr(key, 1, length(?1)) = ?1 ORDER BY key');
  const upsert = db.prepare(
    'INSERT INTO kv(key, value, created, modified) VALUES(?1, ?2, ?3, ?3) ON CONFLICT(key) DO UPDATE SET value = ?2, modified = ?3',
  );
  const remove = db.prepare('DELETE FROM kv WHERE key = ?');
  const count = db.prepare('SELECT count(*) AS n FROM kv');

  const at = (key: string): KeyValue[] => below.all(key) as unknown as KeyValue[];
  return {
    at,
    put(pairs, now) {
      if (Number(count.get()?.['n'] ?? 0) + pairs.length > maxKeys)
        throw new AntirioError('storageFull', `more than ${maxKeys} keys`);
      for (const [key, value] of pairs) upsert.run(key, value, now);
    },
    remove(key, prefixMatch) {
      const found = prefixMatch
        ? prefixed.all(key).map((row) => row['key'] as string)
        : at(key).map((one) => one.key);
      if (found.length === 0) throw new AntirioError('notFound', `key ${key} does not exist`);
      if (!prefixMatch && found[0] !== key)
        throw new AntirioError('conflict', `keys having the same prefix ${key} exist and cannot be deleted`);
      const gone = prefixMatch ? found : [key];
      for (const one of gone) remove.run(one);
      return gone;
    },
  };
}
