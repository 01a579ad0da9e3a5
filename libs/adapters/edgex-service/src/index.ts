export { createEdgexService, type EdgexService } from './edgex-service.ts';
export { edgexEnvironment, edgexVariablesNotTaken, type OwnSettings } from './environment.ts';
export { edgexStore } from './edgex-store.ts';
export { edgexServiceOptions } from './options.ts';
export { runService } from './run-service.ts';
export { COMMON_CONFIG_KEY } from './writable.ts';
