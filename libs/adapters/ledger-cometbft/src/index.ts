export { openApplication, type OpenApplication, type OpenApplicationOptions } from './open-application.ts';
export type { AbciAddress } from './abci-server.ts';
