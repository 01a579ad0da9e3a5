export {
  createEdgexService,
  type EdgexService,
  type EdgexServicePorts,
  type OwnWritable,
} from './edgex-service.ts';
export { edgexEnvironment, loadServiceConfig, type OwnSettings } from './environment.ts';
export {
  edgexServiceOptions,
  writableBoolean,
  writableInteger,
  type EdgexServiceOptions,
} from './options.ts';
export { COMMON_CONFIG_KEY } from './writable.ts';
