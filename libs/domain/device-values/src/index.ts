export type * from './value-types.ts';
export { MAX_BINARY_BYTES, commandValue, type CommandValue, type CommandValueOf } from './command-value.ts';
export * from './command-plan.ts';
export { indexOf, type ProfileIndex, type ResourceOperation } from './profile-index.ts';
export { pattern, wholeNamePattern } from './pattern.ts';
