import { join } from 'node:path';
import { AntirioError, fromUtf8 } from '@antirio/kernel';
import { readFileIfThere, writeFileDurably } from '@antirio/host';
import { openEngine } from './docker-engine.ts';
import { openDockerImages } from './docker-images.ts';
import { ContainerRuntime, ownerOf, type DockerRuntimeOptions } from './docker-runtime.ts';
import { findHostPaths } from './host-paths.ts';
import type { Runtime } from './runtime.ts';
import { supervisorContainers } from './supervisor-containers.ts';
import { createSupervisor } from './supervisor.ts';
import { readTargetApp } from './target-state.ts';

/** What the operator decides. */
export interface BalenaOptions {
  /** The device's own application as it was pushed, in the shape in which the supervisor takes it. */
  readonly appFile: string;
  /** Whether services start and stop although another one holds an update lock. */
  readonly overrideLocks: boolean;
}

/** What a supervisor tells services with the label `io.balena.features.supervisor-api`. */
export interface BalenaSite {
  readonly address: string;
  readonly apiKey: string;
  readonly appId: string;
}

export interface BalenaRuntimeOptions extends DockerRuntimeOptions {
  readonly balena: BalenaOptions & BalenaSite;
}

/** @throws AntirioError badConfig where this is no service of a balena device, or one without the label. */
export function balenaSite(environment: Readonly<Record<string, string | undefined>>): BalenaSite {
  const told = (name: string): string => {
    const value = environment[name];
    if (value === undefined || value === '')
      throw new AntirioError(
        'badConfig',
        `orchestrator.runtime is balena, and ${name} is not set: only a service of a balena device with the label io.balena.features.supervisor-api has it`,
        { name },
      );
    return value;
  };
  return {
    address: told('BALENA_SUPERVISOR_ADDRESS'),
    apiKey: told('BALENA_SUPERVISOR_API_KEY'),
    appId: told('BALENA_APP_ID'),
  };
}

const GRACE_MS = 5000;
/** Far above what a fleet's own services have. */
const FIRST_NUMBER = 1_000_000;

function countInFile(file: string): () => number {
  const read = readFileIfThere(file);
  let next = read === undefined ? FIRST_NUMBER : Number(fromUtf8(read));
  if (!Number.isSafeInteger(next))
    throw new AntirioError('corrupt', `${file} holds no number: write one there that no release has had`, {
      file,
    });
  return () => {
    const number = next++;
    writeFileDurably(file, String(next));
    return number;
  };
}

function readApp(file: string): ReturnType<typeof readTargetApp> {
  const text = readFileIfThere(file);
  if (text === undefined)
    throw new AntirioError(
      'badConfig',
      `orchestrator.balena.appFile: there is no ${file}; it holds the device's own application, which every target state repeats`,
      { file },
    );
  return readTargetApp(fromUtf8(text), file);
}

/**
 * Runs images on a balena device in local mode: its supervisor makes and starts the containers, balenaEngine holds the images. For
 * devices of a managed fleet the runtime `docker`, by the engine's socket, is the way.
 *
 * @throws AntirioError badConfig, or unavailable when no engine answers.
 */
export async function createBalenaRuntime(options: BalenaRuntimeOptions): Promise<Runtime> {
  const { balena, dir, clock, log, graceMs = GRACE_MS } = options;
  const base = readApp(balena.appFile);
  const docker = await openEngine();
  const paths = await findHostPaths(docker);
  const owner = ownerOf(dir, paths);
  const { address, apiKey, overrideLocks } = balena;
  const containers = supervisorContainers(docker, {
    supervisor: createSupervisor({ address, apiKey, force: overrideLocks }),
    app: { id: balena.appId, base },
    ...{ owner, graceMs, clock, log },
    paths,
    nextNumber: countInFile(join(dir, 'releases')),
  });
  const images = openDockerImages(docker, dir, log);
  const runtime = new ContainerRuntime({ kind: 'balena', docker, images, containers, owner, log });
  await runtime.removeLeftovers();
  return runtime;
}
