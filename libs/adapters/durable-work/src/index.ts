export {
  createOutbox,
  OUTBOX_MIGRATION,
  type Letter,
  type Outbox,
  type OutboxOptions,
  type Undelivered,
} from './outbox.ts';
export { createWork, isPassing, type Work, type WorkOptions } from './work.ts';
export { createBackoff, jittered, type Backoff, type BackoffOptions } from './backoff.ts';
export {
  openRecordHistory,
  openRecordTable,
  recordTableMigration,
  type RecordHistory,
  type RecordTable,
} from './record-table.ts';
