export * from './ledger-client.ts';
export * from './ledger-routes.ts';
