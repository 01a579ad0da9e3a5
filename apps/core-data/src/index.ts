export { createCoreData, type CoreData, type CoreDataPorts } from './core-data.ts';
export { coreDataEnvironment, coreDataOptions, type CoreDataOptions } from './options.ts';
export { importEvents, storePath } from './import-events.ts';
