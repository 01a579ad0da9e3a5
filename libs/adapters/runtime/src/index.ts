export * from './runtime.ts';
export { serviceIdPattern } from './service-id.ts';
export { verifyImageArchive } from './image-archive.ts';
export { writeBuildContext } from './build-context.ts';
export { createProcessRuntime, type ProcessRuntimeOptions } from './process-runtime.ts';
export { createRuntime } from './create-runtime.ts';
