export * from './resources.ts';
export * from './order.ts';
export * from './matching.ts';
