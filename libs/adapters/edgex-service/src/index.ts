export { configurationOf } from './configuration.ts';
export { createEdgexService, type EdgexService } from './edgex-service.ts';
export { edgexEnvironment, edgexVariablesNotTaken } from './environment.ts';
export { edgexStore } from './edgex-store.ts';
export { edgexServiceOptions } from './options.ts';
export type { OwnSettings } from './settings.ts';
export { merged } from './tree.ts';
export { runService } from './run-service.ts';
export { COMMON_CONFIG_KEY } from './writable.ts';
