/** What an edge keeps of the motes that it hears without their keys: within a budget, whatever is forged under their addresses. */
export * from './admission.ts';
export * from './high-water.ts';
export * from './rate.ts';
export * from './slots.ts';
export * from './token-buckets.ts';
