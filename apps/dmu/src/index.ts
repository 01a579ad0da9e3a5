export * from './options.ts';
export * from './dmu.ts';
