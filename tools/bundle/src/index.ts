export {
  bundle,
  bundleProgram,
  digestOf,
  workspaceRoot,
  type Bundle,
  type BundleName,
  type BundleOptions,
} from './bundle.ts';
export { keptBundle } from './kept-bundle.ts';
export { MutationError, type Mutation } from './mutation.ts';
export { nodeEnvironment, nodeFlags } from './node-flags.mjs';
