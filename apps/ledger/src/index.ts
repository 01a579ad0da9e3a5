export * from './options.ts';
export * from './ledger.ts';
export * from './ledger-app.ts';
