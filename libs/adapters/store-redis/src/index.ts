export { storeOptions, type RedisStoreOptions, type StoreOptions } from './options.ts';
export type { Command, Plain, Unit } from './commands.ts';
export { openTables } from './open-tables.ts';
export type { Tables } from './mirror.ts';
export { openRedisStore, type RedisStore, type RedisStorePorts } from './redis-store.ts';
