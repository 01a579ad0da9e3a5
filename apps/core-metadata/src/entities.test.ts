import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { inTransaction, openDatabase, type Database } from '@antirio/host';
import { createEntities, type Entities } from './entities.ts';
import { MIGRATIONS } from './schema.ts';
import {
  applyTo,
  applyToStore,
  below,
  deviceFrom,
  filterOf,
  fits,
  labelsOf,
  listed,
  NAMES,
  page,
  pageOf,
  profileFrom,
  PROFILES,
  stepOf,
  type Expected,
  type Model,
  type Step,
} from './testing/entity-model.ts';

let folder: string;
let db: Database;
let entities: Entities;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-entities-'));
  db = openDatabase(join(folder, 'metadata.db'), MIGRATIONS);
  // What is tested here is what is found; the disk would only be slow.
  db.exec('PRAGMA synchronous=OFF');
  entities = createEntities(db);
});
afterEach(() => {
  db.close();
  rmSync(folder, { recursive: true });
});

const apply = (step: Step): void => inTransaction(db, () => applyToStore(entities, step));

const clear = (): void => {
  for (const name of NAMES) apply({ remove: name });
};

test('lists are what a naive model finds, page by page', () => {
  const queries = fc.array(fc.tuple(filterOf, pageOf), { minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(fc.array(stepOf, { maxLength: 14 }), queries, (steps, asked) => {
      clear();
      let model: Model = [];
      for (const step of steps) {
        apply(step);
        model = applyTo(model, step);
      }
      for (const [filter, at] of asked) {
        const found = model.filter((device) => fits(device, filter));
        expect(listed(entities, filter, at)).toEqual(page(found, at));
        expect(entities.count(filter)).toBe(found.length);
      }
      for (const profile of PROFILES)
        expect(new Set(entities.servicesUsing(profile))).toEqual(
          new Set(model.filter((one) => one.profileName === profile).map((one) => one.serviceName)),
        );
      for (const device of model) {
        expect(entities.byName('device', device.name)).toEqual(JSON.parse(JSON.stringify(device)));
        expect(entities.byId('device', device.id)?.name).toBe(device.name);
      }
    }),
    { numRuns: 150 },
  );
});

test('trees are what a naive model finds, and end where parents make a circle', () => {
  const query = fc.tuple(fc.constantFrom(...NAMES), fc.nat(3), labelsOf, pageOf);
  fc.assert(
    fc.property(fc.array(stepOf, { maxLength: 14 }), query, (steps, [root, maxLevels, labels, at]) => {
      clear();
      let model: Model = [];
      for (const step of steps) {
        apply(step);
        model = applyTo(model, step);
      }
      const found = below(model, root, maxLevels === 0 ? Infinity : maxLevels, labels);
      const { total, rows } = entities.tree({ descendantsOf: root, maxLevels, labels }, at);
      expect({ total, names: rows.map(({ name }) => name) }).toEqual({
        total: found.length,
        names: found.slice(at.offset, at.offset + at.limit).map(({ name }) => name),
      });
      expect(entities.isParent(root)).toBe(model.some(({ parent }) => parent === root));
    }),
    { numRuns: 150 },
  );
});

test('profiles are found by maker and model', () => {
  const maker = fc.constantFrom('m', 'n', undefined);
  const profileOf = fc.record({ manufacturer: maker, model: maker, labels: labelsOf });
  const asked = fc.record({ manufacturer: maker, model: maker, labels: labelsOf });
  fc.assert(
    fc.property(fc.array(profileOf, { maxLength: 6 }), asked, (profiles, filter) => {
      const all = profiles.map((fields, n) => profileFrom({ ...fields, name: `p${n}` }));
      inTransaction(db, () => all.forEach((profile) => entities.add('deviceprofile', profile)));
      const { labels, ...makers } = filter;
      const wanted = Object.entries(makers).filter(([, value]) => value !== undefined);
      const found = all.filter(
        (one) =>
          wanted.every(([key, value]) => one[key as 'model'] === value) &&
          labels.every((label) => one.labels?.includes(label)),
      );
      const { rows } = entities.list(
        { kind: 'deviceprofile', labels, ...Object.fromEntries(wanted) },
        { offset: 0, limit: 10, counted: true },
      );
      expect(rows.map(({ name }) => name)).toEqual(found.map(({ name }) => name));
      inTransaction(db, () => all.forEach(({ name }) => entities.remove('deviceprofile', name)));
    }),
    { numRuns: 60 },
  );
});

test('any number of labels may be asked for', () => {
  const labels = Array.from({ length: 12 }, (_, n) => `label ${n}`);
  apply({ put: deviceFrom({ name: 'a', labels, serviceName: 's' }) });
  apply({ put: deviceFrom({ name: 'b', labels: labels.slice(1), serviceName: 's' }) });
  const found = (asked: readonly string[]): Expected =>
    listed(entities, { kind: 'device', labels: asked }, { offset: 0, limit: 5, counted: true });
  expect(found(labels)).toEqual({ total: 1, names: ['a'] });
  expect(found([...labels.slice(1), ...labels.slice(1)])).toEqual({ total: 2, names: ['a', 'b'] });
  const many = Array.from({ length: 5000 }, (_, n) => `label ${n}`);
  expect(found(many)).toEqual({ total: 0, names: [] });
});

test('a store of before labels had their table is taken over', () => {
  const old = join(folder, 'old.db');
  const before = openDatabase(old, MIGRATIONS.slice(0, 1));
  const doc = JSON.stringify({ name: 'd', labels: ['x', 'x', 'y'] });
  before.exec(
    `INSERT INTO entity(kind, id, name, doc) VALUES('device', 'i', 'd', '${doc}'), ('device', 'j', 'e', '{}')`,
  );
  before.close();
  const after = openDatabase(old, MIGRATIONS);
  const rows = createEntities(after).list(
    { kind: 'device', labels: ['x', 'y'] },
    { offset: 0, limit: 5, counted: true },
  );
  expect(rows).toMatchObject({ total: 1, rows: [{ name: 'd' }] });
  after.close();
});

/** How SQLite goes about the statements that have this in them. */
function plansOf(part: string, use: (other: Entities) => void): string {
  const texts: string[] = [];
  const prepare = db.prepare.bind(db);
  db.prepare = (text: string) => {
    texts.push(text);
    return prepare(text);
  };
  use(createEntities(db));
  const asked = texts.filter((text) => text.includes(part));
  expect(asked.length).toBeGreaterThan(0);
  return asked
    .flatMap((text) => prepare(`EXPLAIN QUERY PLAN ${text}`).all())
    .map((row) => String(row['detail']))
    .join('; ');
}

test.each([
  ['of a kind', { kind: 'device' }],
  ['with a label', { kind: 'device', labels: ['x'] }],
  ['of a service', { kind: 'device', service: 's' }],
  ['of a model', { kind: 'deviceprofile', model: 'm' }],
] as const)('a page %s is read in the order of an index, without a sort', (_what, filter) => {
  apply({ put: deviceFrom({ name: 'd', labels: ['x'], serviceName: 's' }) });
  const profile = profileFrom({ name: 'p', model: 'm' });
  inTransaction(db, () => entities.add('deviceprofile', profile));
  const plan = plansOf('ORDER BY seq LIMIT', (other) =>
    other.list(filter, { offset: 0, limit: 5, counted: true }),
  );
  expect(plan).toContain('USING INDEX');
  expect(plan).not.toContain('TEMP B-TREE');
});

test('children are found by their parent, not among all devices', () => {
  const plan = plansOf('parent = ?', () => undefined);
  expect(plan).toContain('entity_parent (parent=?)');
  expect(plan).not.toContain('entity_kind');
});
