export * from './storage-network.ts';
export * from './price.ts';
export { dagOf } from './dag-of.ts';
export * from './receive-dag.ts';
export * from './embedded-network.ts';
export * from './kubo-network.ts';
export type { PinningServiceOptions } from './pinning-service.ts';
