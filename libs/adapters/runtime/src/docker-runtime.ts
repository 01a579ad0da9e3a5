import type Docker from 'dockerode';
import { AntirioError, sha256Hex, utf8, type Clock } from '@antirio/kernel';
import { waitFor, type Check, type Log } from '@antirio/host';
import {
  CONTAINER_VIEW,
  containerName,
  containerOptions,
  instanceOf,
  LABEL,
  specHash,
  stateOf,
} from './docker-container.ts';
import { already, asked, demultiplex, ifThere, openEngine } from './docker-engine.ts';
import { followEnds } from './docker-events.ts';
import { openDockerImages, type DockerImages } from './docker-images.ts';
import type {
  Instance,
  InstanceState,
  InstanceStats,
  LoadedImage,
  Runtime,
  ServiceSpec,
  ServiceView,
} from './runtime.ts';
import { checkId } from './service-id.ts';

export interface DockerRuntimeOptions {
  /** Of the edge: containers are told apart by it on a shared engine. */
  readonly dir: string;
  /** Between SIGTERM and SIGKILL, rounded up to seconds (default 5000). */
  readonly graceMs?: number;
  readonly clock: Clock;
  readonly log: Log;
}

const REMOVAL_MS = 10_000;

/** Whoever runs us as root has services run as nobody in particular. */
const UNPRIVILEGED = { uid: 65_532, gid: 65_532 };

interface User {
  readonly uid: number;
  readonly gid: number;
}

function ourUser(): User {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
}

class DockerRuntime implements Runtime {
  readonly kind = 'docker';
  readonly user: Runtime['user'];
  readonly #docker: Docker;
  readonly #images: DockerImages;
  readonly #owner: string;
  readonly #graceMs: number;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #listeners: ((id: string) => void)[] = [];
  readonly #events: { stop(): Promise<void> };

  constructor(docker: Docker, images: DockerImages, owner: string, options: DockerRuntimeOptions) {
    this.#docker = docker;
    this.#images = images;
    this.#owner = owner;
    this.#graceMs = options.graceMs ?? 5000;
    this.#clock = options.clock;
    this.#log = options.log;
    this.user = ourUser().uid === 0 ? UNPRIVILEGED : undefined;
    this.#events = followEnds(docker, owner, options.log, (id) => {
      for (const listener of this.#listeners) listener(id);
    });
  }

  view(_spec: ServiceSpec): ServiceView {
    return CONTAINER_VIEW;
  }

  export(image: string): Promise<AsyncIterable<Uint8Array>> {
    return this.#images.export(image);
  }

  load(archivePath: string, expected?: string): Promise<LoadedImage> {
    return this.#images.load(archivePath, expected);
  }

  async loaded(imageId: string): Promise<boolean> {
    return (await this.#images.find(imageId)) !== undefined;
  }

  async unload(imageId: string): Promise<void> {
    const user = (await this.list()).find((instance) => instance.imageId === imageId);
    if (user !== undefined) throw new AntirioError('conflict', `${user.id} uses the image`, { imageId });
    await this.#images.remove(imageId);
  }

  async prepare(spec: ServiceSpec, standby: 'hot' | 'warm'): Promise<void> {
    checkId(spec.id);
    const there = await this.#inspect(spec.id);
    if (there !== undefined && there.Config.Labels[LABEL.spec] !== specHash(spec))
      throw new AntirioError('conflict', `${spec.id} is there with other settings`, { id: spec.id });
    if (there === undefined) {
      const image = await this.#images.find(spec.imageId);
      if (image === undefined)
        throw new AntirioError('notFound', 'the image is not loaded', { imageId: spec.imageId });
      const options = containerOptions(spec, image, this.#owner, this.user ?? ourUser());
      await asked('create a container', this.#docker.createContainer(options));
    }
    if (standby === 'hot') await this.start(spec.id);
  }

  async start(id: string): Promise<void> {
    const state = await this.#state(id);
    if (state === 'frozen') return this.thaw(id);
    if (state !== 'running') await already('start a container', this.#container(id).start(), 304);
  }

  async stop(id: string): Promise<void> {
    const state = await this.#state(id);
    if (state !== 'running' && state !== 'frozen') return;
    const container = this.#container(id);
    // Signals reach a paused container only when it goes on
    if (state === 'frozen') await already('thaw a container', container.unpause(), 409);
    await already('stop a container', container.stop({ t: Math.ceil(this.#graceMs / 1000) }), 304, 404);
  }

  async freeze(id: string): Promise<void> {
    const state = await this.#state(id);
    if (state === 'frozen') return;
    if (state !== 'running') throw new AntirioError('conflict', `${id} does not run`, { id, state });
    await asked('freeze a container', this.#container(id).pause());
  }

  async thaw(id: string): Promise<void> {
    const state = await this.#state(id);
    if (state === 'running') return;
    if (state !== 'frozen') throw new AntirioError('conflict', `${id} does not run`, { id, state });
    await asked('thaw a container', this.#container(id).unpause());
  }

  async remove(id: string): Promise<void> {
    // 409: its removal is under way already
    await already('remove a container', this.#container(id).remove({ force: true, v: true }), 404, 409);
    const gone = async (): Promise<true | undefined> =>
      (await this.#inspect(id)) === undefined ? true : undefined;
    if ((await waitFor(this.#clock, REMOVAL_MS, gone, 50)) === undefined)
      throw new AntirioError('unavailable', `the container of ${id} cannot be removed`, { id });
  }

  async stats(id: string): Promise<InstanceStats> {
    const state = await this.#state(id);
    if (state !== 'running' && state !== 'frozen')
      throw new AntirioError('conflict', `${id} does not run`, { id, state });
    const { memory_stats: memory, cpu_stats: cpu } = await asked(
      'measure a container',
      this.#container(id).stats({ stream: false, 'one-shot': true }),
    );
    const { usage = 0, stats = {} } = memory as { usage?: number; stats?: Record<string, number> };
    const inactive = stats['total_inactive_file'] ?? stats['inactive_file'] ?? 0;
    return { memoryBytes: Math.max(0, usage - inactive), cpuMs: Math.round(cpu.cpu_usage.total_usage / 1e6) };
  }

  async instance(id: string): Promise<Instance | undefined> {
    const info = await this.#inspect(id);
    return info === undefined || info.State.Status === 'removing' ? undefined : instanceOf(info);
  }

  async list(): Promise<readonly Instance[]> {
    const filters = { label: [`${LABEL.owner}=${this.#owner}`] };
    const found = await asked('list containers', this.#docker.listContainers({ all: true, filters }));
    const all = await Promise.all(
      found.map(({ Id }) => ifThere('look at a container', this.#docker.getContainer(Id).inspect())),
    );
    return all.flatMap((info) =>
      info === undefined || info.State.Status === 'removing' ? [] : [instanceOf(info)],
    );
  }

  async logs(id: string, maxBytes = 64 * 1024): Promise<string> {
    await this.#state(id);
    const mixed = await asked(
      'read the output of a container',
      this.#container(id).logs({ stdout: true, stderr: true, tail: 10_000 }),
    );
    const text = Buffer.from(demultiplex(mixed));
    return text.subarray(Math.max(0, text.length - maxBytes)).toString('utf8');
  }

  onExit(listener: (id: string) => void): void {
    this.#listeners.push(listener);
  }

  async health(): Promise<Check> {
    try {
      const { Version } = await this.#docker.version();
      return { ok: true, detail: `container engine ${Version}` };
    } catch (error) {
      this.#log.debug({ error }, 'the container engine does not answer');
      return { ok: false, detail: 'the container engine does not answer' };
    }
  }

  async close(): Promise<void> {
    const ids = (await this.list()).map(({ id }) => id);
    await Promise.all(ids.map((id) => this.stop(id)));
    await Promise.all(ids.map((id) => this.remove(id)));
    await this.#events.stop();
  }

  async removeLeftovers(): Promise<void> {
    for (const { id } of await this.list()) {
      this.#log.warn({ instance: id }, 'a service of an earlier run is still there: removed');
      await this.remove(id);
    }
  }

  #container(id: string): Docker.Container {
    return this.#docker.getContainer(containerName(this.#owner, id));
  }

  #inspect(id: string): Promise<Docker.ContainerInspectInfo | undefined> {
    return ifThere('look at a container', this.#container(id).inspect());
  }

  async #state(id: string): Promise<InstanceState> {
    checkId(id);
    const info = await this.#inspect(id);
    if (info === undefined) throw new AntirioError('notFound', `no service ${id}`, { id });
    return stateOf(info.State.Status);
  }
}

/**
 * Runs images as containers of a Docker Engine (API 1.41 or later) or balenaEngine: untrusted ones too. Containers of an earlier run
 * are removed. @throws AntirioError unavailable when no engine answers.
 */
export async function createDockerRuntime(options: DockerRuntimeOptions): Promise<Runtime> {
  const docker = await openEngine();
  const owner = sha256Hex(utf8(options.dir)).slice(0, 10);
  const runtime = new DockerRuntime(
    docker,
    openDockerImages(docker, options.dir, options.log),
    owner,
    options,
  );
  await runtime.removeLeftovers();
  return runtime;
}
