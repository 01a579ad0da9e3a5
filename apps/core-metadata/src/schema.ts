import type { Tables } from '@antirio/store-redis';

const LABELS =
  "INSERT OR IGNORE INTO entity_label SELECT e.kind, l.value, e.seq FROM entity e, json_each(e.doc, '$.labels') l";

/** Every entity is one row: its DTO as JSON text, and beside it what queries look for. */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE entity(
     seq INTEGER PRIMARY KEY AUTOINCREMENT,
     kind TEXT NOT NULL,
     id TEXT NOT NULL,
     name TEXT NOT NULL,
     service TEXT, profile TEXT, parent TEXT, manufacturer TEXT, model TEXT,
     doc TEXT NOT NULL,
     UNIQUE(kind, name),
     UNIQUE(kind, id));
   CREATE INDEX entity_service ON entity(kind, service);
   CREATE INDEX entity_profile ON entity(kind, profile);
   CREATE INDEX entity_parent ON entity(parent) WHERE parent IS NOT NULL`,
  // An index ends with the row's number, so that pages of a kind, a maker or a label come in order without a sort.
  `CREATE TABLE entity_label(
     kind TEXT NOT NULL,
     label TEXT NOT NULL,
     seq INTEGER NOT NULL,
     PRIMARY KEY(kind, label, seq)) WITHOUT ROWID;
   CREATE INDEX entity_label_seq ON entity_label(seq);
   ${LABELS};
   CREATE INDEX entity_kind ON entity(kind);
   CREATE INDEX entity_manufacturer ON entity(manufacturer) WHERE manufacturer IS NOT NULL;
   CREATE INDEX entity_model ON entity(model) WHERE model IS NOT NULL`,
];

/** Labels are in the entities, too. */
export const TABLES: Tables = {
  migrations: MIGRATIONS,
  keys: { entity: ['kind', 'name'] },
  afterLoading: `DELETE FROM entity_label; ${LABELS}`,
};
