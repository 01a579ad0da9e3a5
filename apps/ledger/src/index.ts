export * from './options.ts';
export * from './ledger.ts';
