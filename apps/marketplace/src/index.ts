export * from './options.ts';
export * from './marketplace.ts';
