export * from './ledger-client.ts';
