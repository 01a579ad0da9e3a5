import { AntirioError } from '@antirio/kernel';
import type { BalenaOptions } from './balena-runtime.ts';
import { createProcessRuntime, type ProcessRuntimeOptions } from './process-runtime.ts';
import type { Runtime } from './runtime.ts';

export interface RuntimeOptions extends ProcessRuntimeOptions {
  /** For `balena`. */
  readonly balena?: BalenaOptions | undefined;
}

/**
 * @throws AntirioError unavailable where no container engine answers for `docker` and `balena`, whose client is loaded only then;
 * badConfig where `balena` does not find what it needs.
 */
export async function createRuntime(kind: Runtime['kind'], options: RuntimeOptions): Promise<Runtime> {
  if (kind === 'process') return createProcessRuntime(options);
  if (kind === 'docker') {
    const { createDockerRuntime } = await import('./docker-runtime.ts');
    return createDockerRuntime(options);
  }
  const { balenaSite, createBalenaRuntime } = await import('./balena-runtime.ts');
  if (options.balena === undefined)
    throw new AntirioError('badConfig', 'orchestrator.balena.appFile is missing: runtime balena needs it');
  return createBalenaRuntime({ ...options, balena: { ...options.balena, ...balenaSite(process.env) } });
}
