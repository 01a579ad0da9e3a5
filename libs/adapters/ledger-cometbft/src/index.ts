export { openApplication, type OpenApplication, type OpenApplicationOptions } from './open-application.ts';
export type { AbciAddress } from './abci-server.ts';
export { createCometLedger, type CometLedger, type CometLedgerOptions } from './comet-ledger.ts';
export { CometRpc, type NodeStatus } from './rpc.ts';
