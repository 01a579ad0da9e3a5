export * from './resources.ts';
export * from './order.ts';
export * from './matching.ts';
export * from './policy.ts';
export * from './negotiation.ts';
export * from './strategy.ts';
export * from './coverage.ts';
export * from './estimate.ts';
