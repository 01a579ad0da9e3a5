import { createProcessRuntime, type ProcessRuntimeOptions } from './process-runtime.ts';
import type { Runtime } from './runtime.ts';

/** @throws AntirioError unavailable where there is no container engine for `docker`. */
export async function createRuntime(
  _kind: Runtime['kind'],
  options: ProcessRuntimeOptions,
): Promise<Runtime> {
  return createProcessRuntime(options);
}
