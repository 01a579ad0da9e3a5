export * from './options.ts';
export * from './fleet.ts';
