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
];
