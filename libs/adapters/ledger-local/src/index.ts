export * from './local-ledger.ts';
export { GENESIS_HASH } from './block.ts';
