export { createCoreKeeper, type CoreKeeper, type CoreKeeperPorts } from './core-keeper.ts';
export { coreKeeperOptions, type CoreKeeperOptions } from './options.ts';
