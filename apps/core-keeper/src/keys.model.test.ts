import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { AntirioError } from '@antirio/kernel';
import { inTransaction, openDatabase, type Database } from '@antirio/host';
import { createKeyStore, type KeyStore } from './key-store.ts';
import { pairsOf } from './keys.ts';
import { MIGRATIONS } from './schema.ts';

/** Few names, so that keys meet: one begins as another, some lie below others, and one sorts between a key and what is below it. */
const name = fc.constantFrom('a', 'ab', 'a-b', 'a.b', 'b', '0');
const key = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/'));

type Model = Map<string, string>;
type Step = (model: Model, store: KeyStore, db: Database) => void;

const inOrder = (keys: Iterable<string>): string[] =>
  [...keys].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
const at = (model: Model, wanted: string): string[] =>
  inOrder([...model.keys()].filter((one) => one === wanted || one.startsWith(`${wanted}/`)));

function codeOf(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    if (error instanceof AntirioError) return error.code;
    throw error;
  }
}

const putOne = fc.tuple(key, fc.string({ maxLength: 4 })).map(([where, value]): Step => {
  return (model, store, db) => {
    inTransaction(db, () => store.put(pairsOf(where, value, false), 1));
    model.set(where, value);
  };
});
const putTree = fc
  .tuple(key, fc.dictionary(name, fc.oneof(fc.string(), fc.dictionary(name, fc.nat()))))
  .map(([where, tree]): Step => {
    const leaves = Object.entries(tree).flatMap(([field, value]) =>
      typeof value === 'string'
        ? [[`${where}/${field}`, value] as const]
        : Object.entries(value).map(([below, n]) => [`${where}/${field}/${below}`, String(n)] as const),
    );
    return (model, store, db) => {
      const stored = codeOf(() => inTransaction(db, () => store.put(pairsOf(where, tree, true), 1)));
      expect(stored).toBe(leaves.length === 0 ? 'invalidInput' : undefined);
      for (const [leaf, value] of leaves) model.set(leaf, value);
    };
  });
const remove = fc.tuple(key, fc.boolean()).map(([where, prefixMatch]): Step => {
  return (model, store, db) => {
    const found = prefixMatch
      ? inOrder([...model.keys()].filter((one) => one.startsWith(where)))
      : at(model, where);
    const isThere = prefixMatch ? found.length > 0 : model.has(where);
    const expected = prefixMatch ? found : [where];
    const gone = codeOf(() => inTransaction(db, () => store.remove(where, prefixMatch)));
    if (isThere) expect(gone).toEqual(expected);
    else expect(gone).toBe(found.length > 0 ? 'conflict' : 'notFound');
    if (isThere) for (const one of expected) model.delete(one);
  };
});
const read = key.map((where): Step => {
  return (model, store) => {
    const found = store.at(where).map((one) => [one.key, one.value]);
    expect(found).toEqual(at(model, where).map((one) => [one, model.get(one)]));
  };
});

test('the keys are as in a map, whatever is put, deleted and read', () => {
  const folder = mkdtempSync(join(tmpdir(), 'antirio-core-keeper-'));
  const db = openDatabase(join(folder, 'keeper.db'), MIGRATIONS);
  db.exec('PRAGMA synchronous=OFF');
  const store = createKeyStore(db, 10_000);
  const steps = fc.array(fc.oneof(putOne, putTree, remove, read), { maxLength: 30 });
  try {
    fc.assert(
      fc.property(steps, (all) => {
        db.exec('DELETE FROM kv');
        const model: Model = new Map();
        for (const step of all) step(model, store, db);
      }),
      { numRuns: 150 },
    );
  } finally {
    db.close();
    rmSync(folder, { recursive: true });
  }
});
