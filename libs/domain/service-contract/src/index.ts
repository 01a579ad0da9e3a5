export * from './terms.ts';
export * from './life.ts';
export * from './statement.ts';
