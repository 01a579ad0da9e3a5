export { migrationOptions, type MigrationOptions } from './options.ts';
export { createMigration, type MigrationPorts } from './migration.ts';
