import { createWriteCheck, inTransaction, openDatabase, type Database, type WriteCheck } from '@antirio/host';
import {
  holdersOf,
  nothingDelivered,
  readTerms,
  type ContractTerms,
  type CustomerPhase,
  type ProviderPhase,
} from '@antirio/service-contract';

/** A contract as this edge keeps it. Without `phase` the signatures are still being collected. */
export interface StoredContract {
  readonly terms: ContractTerms;
  readonly role: 'customer' | 'provider';
  readonly signatures: { readonly customer?: string; readonly provider?: string };
  /** Refused for good by the other side or the ledger, with its words. */
  readonly refused?: string;
  readonly phase?: CustomerPhase | ProviderPhase;
}

export interface Note {
  readonly at: number;
  readonly monotonic: number;
  readonly milestone: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface ContractStore {
  all(): StoredContract[];
  get(contractId: string): StoredContract | undefined;
  put(contract: StoredContract): void;
  /** The notes that a change of phase gives cannot be lost without it. */
  setPhase(contractId: string, phase: CustomerPhase | ProviderPhase, notes?: readonly Note[]): void;
  note(contractId: string, note: Note): void;
  notes(contractId: string): Note[];
  /** What must stay the same over retries and restarts: sealed keys, signed documents. */
  document(contractId: string, name: string): unknown;
  putDocument(contractId: string, name: string, value: unknown): void;
  /** Those named `<kind>/<name>`, by that name. */
  documents(contractId: string, kind: string): ReadonlyMap<string, unknown>;
  forgetDocument(contractId: string, name: string): void;
  /** Documents named `<kind>/<version>`, of lower versions, go; others of the kind stay. */
  forgetVersions(contractId: string, kind: string, below: number): void;
  /** Of documents named `<kind>/<version>`, rising. */
  versions(contractId: string, kind: string): number[];
  /** All of them, or none; as with what is put. */
  forgetDocuments(contractId: string, names: readonly string[]): void;
  putDocuments(contractId: string, named: readonly (readonly [name: string, value: unknown])[]): void;
  readonly writes: WriteCheck;
  close(): void;
}

const migrations = [
  `CREATE TABLE contract (id TEXT PRIMARY KEY, json TEXT NOT NULL, phase TEXT) STRICT;
   CREATE TABLE note (contract TEXT NOT NULL, json TEXT NOT NULL) STRICT;
   CREATE INDEX note_contract ON note (contract);
   CREATE TABLE document (contract TEXT NOT NULL, name TEXT NOT NULL, json TEXT NOT NULL, PRIMARY KEY (contract, name)) STRICT`,
];

const NOTES_SHOWN = 1000;

type Phase = CustomerPhase | ProviderPhase;
/** Of the time when the central arbitrator alone kept shares. */
interface OldArming {
  readonly at: 'arming';
  readonly keysWithProvider: boolean;
  readonly keysWithCentral: boolean;
  readonly epoch?: number;
}

/** Parts of two divisions open nothing: what was not delivered whole is delivered anew. */
function readPhase(terms: ContractTerms, text: string): Phase {
  const phase = JSON.parse(text) as Phase | OldArming;
  if (phase.at !== 'arming' || 'keys' in phase) return phase;
  const { keysWithProvider, keysWithCentral, ...arming } = phase;
  const whole = keysWithProvider && keysWithCentral;
  const keys = whole ? { sharesWith: holdersOf(terms), withProvider: true } : nothingDelivered;
  return { ...arming, keys };
}

function readContract(row: Record<string, unknown>): Omit<StoredContract, 'phase'> {
  return JSON.parse(String(row['json'])) as Omit<StoredContract, 'phase'>;
}

function read(row: Record<string, unknown>): StoredContract {
  const kept = readContract(row);
  const contract = { ...kept, terms: readTerms(kept.terms) };
  const phase = row['phase'];
  return typeof phase === 'string' ? { ...contract, phase: readPhase(contract.terms, phase) } : contract;
}

/** Every method that writes has reached the disk when it returns. */
export function openContractStore(path: string): ContractStore {
  const db: Database = openDatabase(path, migrations);
  const writes = createWriteCheck(db);
  const select = db.prepare('SELECT json, phase FROM contract WHERE id = ?');
  const selectAll = db.prepare('SELECT json, phase FROM contract ORDER BY rowid');
  const upsert = db.prepare(
    'INSERT INTO contract (id, json, phase) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET json = excluded.json, phase = excluded.phase',
  );
  const updatePhase = db.prepare('UPDATE contract SET phase = ? WHERE id = ?');
  const insertNote = db.prepare('INSERT INTO note (contract, json) VALUES (?, ?)');
  const selectNotes = db.prepare(
    'SELECT json FROM (SELECT rowid AS n, json FROM note WHERE contract = ? ORDER BY rowid DESC LIMIT ?) ORDER BY n',
  );
  const selectDocument = db.prepare('SELECT json FROM document WHERE contract = ? AND name = ?');
  const upsertDocument = db.prepare(
    'INSERT INTO document (contract, name, json) VALUES (?, ?, ?) ON CONFLICT (contract, name) DO UPDATE SET json = excluded.json',
  );
  const selectKind = db.prepare(
    'SELECT name, json FROM document WHERE contract = ? AND substr(name, 1, ?) = ? ORDER BY name',
  );
  const dropDocument = db.prepare('DELETE FROM document WHERE contract = ? AND name = ?');
  const selectVersions = db.prepare(
    `SELECT CAST(substr(name, ?2) AS INTEGER) AS version FROM document WHERE contract = ?1 AND substr(name, 1, ?2 - 1) = ?3
     AND substr(name, ?2) NOT GLOB '*[^0-9]*' ORDER BY version`,
  );
  const dropVersions = db.prepare(
    `DELETE FROM document WHERE contract = ? AND substr(name, 1, ?) = ? AND substr(name, ?) NOT GLOB '*[^0-9]*'
     AND CAST(substr(name, ?) AS INTEGER) < ?`,
  );
  return {
    all: () => selectAll.all().map(read),
    get(contractId) {
      const row = select.get(contractId);
      return row === undefined ? undefined : read(row);
    },
    put({ phase, ...contract }) {
      const { contractId } = contract.terms;
      const row = select.get(contractId);
      // the terms of a contract never change: the text that was signed stays
      const terms = row === undefined ? contract.terms : readContract(row).terms;
      upsert.run(
        contractId,
        JSON.stringify({ ...contract, terms }),
        phase === undefined ? null : JSON.stringify(phase),
      );
    },
    setPhase(contractId, phase, notes = []) {
      inTransaction(db, () => {
        updatePhase.run(JSON.stringify(phase), contractId);
        for (const note of notes) insertNote.run(contractId, JSON.stringify(note));
      });
    },
    note: (contractId, note) => void insertNote.run(contractId, JSON.stringify(note)),
    notes: (contractId) =>
      selectNotes.all(contractId, NOTES_SHOWN).map((row) => JSON.parse(String(row['json'])) as Note),
    document(contractId, name) {
      const row = selectDocument.get(contractId, name);
      return row === undefined ? undefined : (JSON.parse(String(row['json'])) as unknown);
    },
    putDocument: (contractId, name, value) =>
      void upsertDocument.run(contractId, name, JSON.stringify(value)),
    putDocuments(contractId, named) {
      inTransaction(db, () => {
        for (const [name, value] of named) upsertDocument.run(contractId, name, JSON.stringify(value));
      });
    },
    documents(contractId, kind) {
      const prefix = `${kind}/`;
      const rows = selectKind.all(contractId, prefix.length, prefix);
      return new Map(
        rows.map((row) => [String(row['name']).slice(prefix.length), JSON.parse(String(row['json']))]),
      );
    },
    forgetDocument: (contractId, name) => void dropDocument.run(contractId, name),
    forgetDocuments(contractId, names) {
      inTransaction(db, () => {
        for (const name of names) dropDocument.run(contractId, name);
      });
    },
    forgetVersions(contractId, kind, below) {
      const prefix = `${kind}/`;
      const { length } = prefix;
      dropVersions.run(contractId, length, prefix, length + 1, length + 1, below);
    },
    versions(contractId, kind) {
      const prefix = `${kind}/`;
      const rows = selectVersions.all(contractId, prefix.length + 1, prefix);
      return rows.map((row) => Number(row['version']));
    },
    writes,
    close: () => {
      db.close();
    },
  };
}
