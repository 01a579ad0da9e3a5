export { migrationOptions, type MigrationOptions } from './options.ts';
export { createMigration, type Migration, type MigrationPorts } from './migration.ts';
