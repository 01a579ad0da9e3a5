import { createProcessRuntime, type ProcessRuntimeOptions } from './process-runtime.ts';
import type { Runtime } from './runtime.ts';

/** @throws AntirioError unavailable where no container engine answers for `docker`, whose client is loaded only then. */
export async function createRuntime(kind: Runtime['kind'], options: ProcessRuntimeOptions): Promise<Runtime> {
  if (kind === 'process') return createProcessRuntime(options);
  const { createDockerRuntime } = await import('./docker-runtime.ts');
  return createDockerRuntime(options);
}
