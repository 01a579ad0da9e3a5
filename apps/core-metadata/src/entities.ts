import type { StatementSync } from 'node:sqlite';
import { AntirioError } from '@antirio/kernel';
import type { Database } from '@antirio/host';
import {
  hasRows,
  parseJson,
  stringifyJson,
  type Device,
  type DeviceProfile,
  type DeviceService,
  type Page,
  type ProvisionWatcher,
} from '@antirio/edgex-contracts';

export interface Kinds {
  readonly device: Device;
  readonly deviceprofile: DeviceProfile;
  readonly deviceservice: DeviceService;
  readonly provisionwatcher: ProvisionWatcher;
}

export type Kind = keyof Kinds;

/** A DTO as it is stored: with its id and when it came and changed (milliseconds). */
export type Stored<T> = T & { readonly id: string; readonly created: number; readonly modified: number };

/** What an entity is looked for by; all that is given must hold. */
export interface Filter {
  readonly kind: Kind;
  readonly service?: string;
  readonly profile?: string;
  readonly manufacturer?: string;
  readonly model?: string;
  /** It has all of these. */
  readonly labels?: readonly string[];
  /** Children of this device, and theirs, down to so many levels (0: all). */
  readonly descendantsOf?: string;
  readonly maxLevels?: number;
}

export interface Listed {
  readonly total: number;
  /** The JSON text of each, in the order in which they came. */
  readonly docs: readonly string[];
}

/** The store; every call that writes within a transaction. */
export interface Entities {
  byName<K extends Kind>(kind: K, name: string): Stored<Kinds[K]> | undefined;
  byId<K extends Kind>(kind: K, id: string): Stored<Kinds[K]> | undefined;
  textByName(kind: Kind, name: string): string | undefined;
  textById(kind: Kind, id: string): string | undefined;
  /** @throws AntirioError conflict when the name or id is taken. */
  add<K extends Kind>(kind: K, entity: Stored<Kinds[K]>): void;
  replace<K extends Kind>(kind: K, entity: Stored<Kinds[K]>): void;
  remove(kind: Kind, name: string): void;
  count(filter: Filter): number;
  /** @throws AntirioError rangeNotSatisfiable */
  list(filter: Filter, page: Page): Listed;
}

type Columns = readonly [
  service: string | null,
  profile: string | null,
  parent: string | null,
  manufacturer: string | null,
  model: string | null,
];

const given = (text: string | undefined): string | null => (text === undefined || text === '' ? null : text);

function columnsOf(entity: Kinds[Kind]): Columns {
  const device = entity as Partial<Device>;
  const watched = (entity as Partial<ProvisionWatcher>).discoveredDevice?.profileName;
  const profile = entity as Partial<DeviceProfile>;
  return [
    given(device.serviceName),
    given(device.profileName ?? watched),
    given(device.parent),
    given(profile.manufacturer),
    given(profile.model),
  ];
}

const DESCENDANTS = `WITH RECURSIVE tree(name, level) AS (
    SELECT name, 1 FROM entity WHERE kind = 'device' AND parent = ?
    UNION SELECT e.name, tree.level + 1 FROM entity e JOIN tree ON e.parent = tree.name
      WHERE e.kind = 'device' AND (? = 0 OR tree.level < ?))
  SELECT name FROM tree`;

interface Where {
  readonly text: string;
  readonly values: readonly (string | number)[];
}

function whereOf(filter: Filter): Where {
  const conditions = ['kind = ?'];
  const values: (string | number)[] = [filter.kind];
  for (const column of ['service', 'profile', 'manufacturer', 'model'] as const) {
    const value = filter[column];
    if (value === undefined) continue;
    conditions.push(`${column} = ?`);
    values.push(value);
  }
  for (const label of filter.labels ?? []) {
    conditions.push("EXISTS (SELECT 1 FROM json_each(doc, '$.labels') WHERE value = ?)");
    values.push(label);
  }
  if (filter.descendantsOf !== undefined) {
    const levels = filter.maxLevels ?? 0;
    conditions.push(`name IN (${DESCENDANTS})`);
    values.push(filter.descendantsOf, levels, levels);
  }
  return { text: conditions.join(' AND '), values };
}

export function createEntities(db: Database): Entities {
  const prepared = new Map<string, StatementSync>();
  const prepare = (text: string): StatementSync => {
    const known = prepared.get(text) ?? db.prepare(text);
    if (prepared.size < 256) prepared.set(text, known);
    return known;
  };
  const byName = db.prepare('SELECT doc FROM entity WHERE kind = ? AND name = ?');
  const byId = db.prepare('SELECT doc FROM entity WHERE kind = ? AND id = ?');
  const insert = db.prepare(
    'INSERT OR IGNORE INTO entity(kind, id, name, service, profile, parent, manufacturer, model, doc) VALUES(?,?,?,?,?,?,?,?,?)',
  );
  const update = db.prepare(
    'UPDATE entity SET service=?, profile=?, parent=?, manufacturer=?, model=?, doc=? WHERE kind=? AND name=?',
  );
  const remove = db.prepare('DELETE FROM entity WHERE kind = ? AND name = ?');

  const textOf = (row: Record<string, unknown> | undefined): string | undefined =>
    row?.['doc'] as string | undefined;
  const entityOf = <K extends Kind>(
    row: Record<string, unknown> | undefined,
  ): Stored<Kinds[K]> | undefined => {
    const text = textOf(row);
    return text === undefined ? undefined : (parseJson(text) as Stored<Kinds[K]>);
  };
  const count = (filter: Filter): number => {
    const { text, values } = whereOf(filter);
    return Number(prepare(`SELECT count(*) AS n FROM entity WHERE ${text}`).get(...values)?.['n'] ?? 0);
  };
  return {
    byName: (kind, name) => entityOf(byName.get(kind, name)),
    byId: (kind, id) => entityOf(byId.get(kind, id)),
    textByName: (kind, name) => textOf(byName.get(kind, name)),
    textById: (kind, id) => textOf(byId.get(kind, id)),
    add(kind, entity) {
      const done = insert.run(kind, entity.id, entity.name, ...columnsOf(entity), stringifyJson(entity));
      if (Number(done.changes) === 0)
        throw new AntirioError('conflict', `${kind} name ${entity.name} or id ${entity.id} already exists`);
    },
    replace(kind, entity) {
      update.run(...columnsOf(entity), stringifyJson(entity), kind, entity.name);
    },
    remove(kind, name) {
      remove.run(kind, name);
    },
    count,
    list(filter, page) {
      const total = count(filter);
      if (!hasRows(total, page)) return { total, docs: [] };
      const { text, values } = whereOf(filter);
      const rows = prepare(`SELECT doc FROM entity WHERE ${text} ORDER BY seq LIMIT ? OFFSET ?`);
      return { total, docs: rows.all(...values, page.limit, page.offset).map((row) => row['doc'] as string) };
    },
  };
}
