export { createCoreKeeper, type CoreKeeper, type CoreKeeperPorts } from './core-keeper.ts';
export { coreKeeperEnvironment, coreKeeperOptions, type CoreKeeperOptions } from './options.ts';
