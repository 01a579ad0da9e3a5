import type Docker from 'dockerode';
import { waitFor } from '@antirio/host';
import { AntirioError, type Clock } from '@antirio/kernel';
import { containerName, containerOptions } from './docker-container.ts';
import { already, asked, ifThere } from './docker-engine.ts';
import type { HostPaths } from './host-paths.ts';
import type { Instance, ServiceSpec } from './runtime.ts';

export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** Who makes, starts, stops and removes containers: the engine itself, or an agent that owns them. What runs in them is seen at the engine. */
export interface Containers {
  inspect(id: string): Promise<Docker.ContainerInspectInfo | undefined>;
  /** What was asked for and is not seen at the engine (yet). */
  planned(): readonly Instance[];
  /** @param image how the engine knows it */
  create(spec: ServiceSpec, image: string, user: User): Promise<void>;
  /** Of one that is created or has ended. */
  start(id: string): Promise<void>;
  /** Of one that runs: resolves when it has ended. */
  stop(id: string): Promise<void>;
  /** Resolves when it is gone, whatever state it was in. */
  remove(id: string): Promise<void>;
  /** Takes back the names that it gave an image which none of its containers uses any more. @param image how the engine knows it */
  letGo(image: string): Promise<void>;
}

const REMOVAL_MS = 10_000;

/** @throws AntirioError unavailable when the container is still there after ten seconds. */
export async function untilGone(id: string, clock: Clock, inspect: Containers['inspect']): Promise<void> {
  const gone = async (): Promise<true | undefined> => ((await inspect(id)) === undefined ? true : undefined);
  if ((await waitFor(clock, REMOVAL_MS, gone, 50)) === undefined)
    throw new AntirioError('unavailable', `the container of ${id} cannot be removed`, { id });
}

export interface EngineContainersOptions {
  readonly owner: string;
  readonly graceMs: number;
  readonly clock: Clock;
  readonly paths: HostPaths;
}

/** Containers that are ours alone. */
export function engineContainers(docker: Docker, options: EngineContainersOptions): Containers {
  const { owner, graceMs, clock, paths } = options;
  const container = (id: string): Docker.Container => docker.getContainer(containerName(owner, id));
  const inspect: Containers['inspect'] = (id) => ifThere('look at a container', container(id).inspect());
  return {
    inspect,
    planned: () => [],
    async create(spec, image, user) {
      await asked(
        'create a container',
        docker.createContainer(containerOptions(spec, { image, owner, user, paths })),
      );
    },
    start: (id) => already('start a container', container(id).start(), 304),
    stop: (id) => already('stop a container', container(id).stop({ t: Math.ceil(graceMs / 1000) }), 304, 404),
    async remove(id) {
      // 409: its removal is under way already
      await already('remove a container', container(id).remove({ force: true, v: true }), 404, 409);
      await untilGone(id, clock, inspect);
    },
    letGo: () => Promise.resolve(),
  };
}
