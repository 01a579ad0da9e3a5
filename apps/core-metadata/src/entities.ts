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
import { createDeviceTree, type Row, type TreeQuery } from './device-tree.ts';

export interface Kinds {
  readonly device: Device;
  readonly deviceprofile: DeviceProfile;
  readonly deviceservice: DeviceService;
  readonly provisionwatcher: ProvisionWatcher;
}

export type Kind = keyof Kinds;

/** What error texts call the kinds. */
export const WORDS: Readonly<Record<Kind, string>> = {
  device: 'device',
  deviceprofile: 'device profile',
  deviceservice: 'device service',
  provisionwatcher: 'provision watcher',
};

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
}

export interface Listed {
  readonly total: number;
  /** In the order in which they came, each with its JSON text. */
  readonly rows: readonly Row[];
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
  /** Devices below another: those of a level before those below them. */
  tree(query: TreeQuery, page: Page): Listed;
  isParent(device: string): boolean;
  parentOf(device: string): string | undefined;
  /** The device services that have devices of a profile. */
  servicesUsing(profile: string): string[];
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

/** So many have a condition each, which an index answers in order; SQLite has no room for any number of conditions. */
const FEW_LABELS = 8;
const MANY_LABELS =
  'seq IN (SELECT seq FROM entity_label WHERE kind = ? AND label IN (SELECT value FROM json_each(?)) GROUP BY seq HAVING count(*) = ?)';

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
  const labels = [...new Set(filter.labels)];
  if (labels.length > FEW_LABELS) {
    conditions.push(MANY_LABELS);
    values.push(filter.kind, JSON.stringify(labels), labels.length);
  } else
    for (const label of labels) {
      conditions.push('seq IN (SELECT seq FROM entity_label WHERE kind = ? AND label = ?)');
      values.push(filter.kind, label);
    }
  return { text: conditions.join(' AND '), values };
}

/** Statements by their text; of labels there may be any number, so that not all are kept. */
function createStatements(db: Database): (text: string) => StatementSync {
  const prepared = new Map<string, StatementSync>();
  return (text) => {
    const known = prepared.get(text) ?? db.prepare(text);
    if (prepared.size < 256) prepared.set(text, known);
    return known;
  };
}

type Reads = Pick<Entities, 'byName' | 'byId' | 'textByName' | 'textById'>;

function createReads(db: Database): Reads {
  const byName = db.prepare('SELECT doc FROM entity WHERE kind = ? AND name = ?');
  const byId = db.prepare('SELECT doc FROM entity WHERE kind = ? AND id = ?');
  const textOf = (row: Record<string, unknown> | undefined): string | undefined =>
    row?.['doc'] as string | undefined;
  const entityOf = <K extends Kind>(
    row: Record<string, unknown> | undefined,
  ): Stored<Kinds[K]> | undefined => {
    const text = textOf(row);
    return text === undefined ? undefined : (parseJson(text) as Stored<Kinds[K]>);
  };
  return {
    byName: (kind, name) => entityOf(byName.get(kind, name)),
    byId: (kind, id) => entityOf(byId.get(kind, id)),
    textByName: (kind, name) => textOf(byName.get(kind, name)),
    textById: (kind, id) => textOf(byId.get(kind, id)),
  };
}

type Writes = Pick<Entities, 'add' | 'replace' | 'remove'>;

function createWrites(db: Database, { textByName }: Reads): Writes {
  const insert = db.prepare(
    'INSERT OR IGNORE INTO entity(kind, id, name, service, profile, parent, manufacturer, model, doc) VALUES(?,?,?,?,?,?,?,?,?)',
  );
  const update = db.prepare(
    'UPDATE entity SET service=?, profile=?, parent=?, manufacturer=?, model=?, doc=? WHERE kind=? AND name=?',
  );
  const remove = db.prepare('DELETE FROM entity WHERE kind = ? AND name = ?');
  const addLabel = db.prepare(
    'INSERT OR IGNORE INTO entity_label SELECT kind, ?, seq FROM entity WHERE kind = ? AND name = ?',
  );
  const dropLabels = db.prepare(
    'DELETE FROM entity_label WHERE seq = (SELECT seq FROM entity WHERE kind = ? AND name = ?)',
  );
  const addLabels = (kind: Kind, { name, ...entity }: Kinds[Kind]): void => {
    for (const label of entity.labels ?? []) addLabel.run(label, kind, name);
  };
  return {
    add(kind, entity) {
      const done = insert.run(kind, entity.id, entity.name, ...columnsOf(entity), stringifyJson(entity));
      if (Number(done.changes) === 0) {
        const taken = textByName(kind, entity.name) === undefined ? `id ${entity.id}` : `name ${entity.name}`;
        throw new AntirioError('conflict', `${WORDS[kind]} ${taken} already exists`);
      }
      addLabels(kind, entity);
    },
    replace(kind, entity) {
      update.run(...columnsOf(entity), stringifyJson(entity), kind, entity.name);
      dropLabels.run(kind, entity.name);
      addLabels(kind, entity);
    },
    remove(kind, name) {
      dropLabels.run(kind, name);
      remove.run(kind, name);
    },
  };
}

export function createEntities(db: Database): Entities {
  const prepare = createStatements(db);
  const reads = createReads(db);
  const tree = createDeviceTree(db);
  const parentOf = db.prepare("SELECT parent FROM entity WHERE kind = 'device' AND name = ?");
  const services = db.prepare("SELECT DISTINCT service FROM entity WHERE kind = 'device' AND profile = ?");

  const count = (filter: Filter): number => {
    const { text, values } = whereOf(filter);
    return Number(prepare(`SELECT count(*) AS n FROM entity WHERE ${text}`).get(...values)?.['n'] ?? 0);
  };
  return {
    ...reads,
    ...createWrites(db, reads),
    count,
    list(filter, page) {
      const total = count(filter);
      if (!hasRows(total, page)) return { total, rows: [] };
      const { text, values } = whereOf(filter);
      const rows = prepare(`SELECT name, doc FROM entity WHERE ${text} ORDER BY seq LIMIT ? OFFSET ?`);
      return { total, rows: rows.all(...values, page.limit, page.offset) as unknown as Row[] };
    },
    tree(query, { offset, limit }) {
      const rows = tree.below(query);
      return { total: rows.length, rows: rows.slice(offset, offset + limit) };
    },
    isParent: (device) => tree.hasChildren(device),
    parentOf: (device) => (parentOf.get(device)?.['parent'] ?? undefined) as string | undefined,
    servicesUsing: (profile) => services.all(profile).map((row) => row['service'] as string),
  };
}
