import type Docker from 'dockerode';
import { AntirioError, sha256Hex, utf8, type Clock } from '@antirio/kernel';
import type { Check, Log } from '@antirio/host';
import { engineContainers, type Containers, type User } from './containers.ts';
import { CONTAINER_VIEW, instanceOf, LABEL, specHash, stateOf } from './docker-container.ts';
import { already, asked, demultiplex, ifThere, openEngine } from './docker-engine.ts';
import { followEnds } from './docker-events.ts';
import { openDockerImages, type DockerImages } from './docker-images.ts';
import { findHostPaths, type HostPaths } from './host-paths.ts';
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

const GRACE_MS = 5000;

/** Whoever runs us as root has services run as nobody in particular. */
const UNPRIVILEGED = { uid: 65_532, gid: 65_532 };

function ourUser(): User {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
}

interface Parts {
  readonly kind: 'docker' | 'balena';
  readonly docker: Docker;
  readonly images: DockerImages;
  readonly containers: Containers;
  readonly owner: string;
  readonly log: Log;
}

type Look =
  | { readonly state: InstanceState; readonly container: Docker.Container; readonly hasTerminal: boolean }
  | { readonly state: 'created'; readonly container?: undefined; readonly hasTerminal?: undefined };

/** Services as containers of an engine, at which they are seen, measured, frozen and thawed, whoever makes and starts them. */
export class ContainerRuntime implements Runtime {
  readonly kind: 'docker' | 'balena';
  readonly user: Runtime['user'];
  readonly #docker: Docker;
  readonly #images: DockerImages;
  readonly #containers: Containers;
  readonly #owner: string;
  readonly #log: Log;
  readonly #listeners: ((id: string) => void)[] = [];
  readonly #events: { stop(): Promise<void> };

  constructor({ kind, docker, images, containers, owner, log }: Parts) {
    this.kind = kind;
    this.#docker = docker;
    this.#images = images;
    this.#containers = containers;
    this.#owner = owner;
    this.#log = log;
    this.user = ourUser().uid === 0 ? UNPRIVILEGED : undefined;
    this.#events = followEnds(docker, owner, log, (id) => {
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
    const image = await this.#images.find(imageId);
    if (image !== undefined) await this.#containers.letGo(image);
    await this.#images.remove(imageId);
  }

  async prepare(spec: ServiceSpec, standby: 'hot' | 'warm'): Promise<void> {
    checkId(spec.id);
    const there = await this.#containers.inspect(spec.id);
    if (there !== undefined && there.Config.Labels[LABEL.spec] !== specHash(spec))
      throw new AntirioError('conflict', `${spec.id} is there with other settings`, { id: spec.id });
    if (there === undefined) {
      const image = await this.#images.find(spec.imageId);
      if (image === undefined)
        throw new AntirioError('notFound', 'the image is not loaded', { imageId: spec.imageId });
      await this.#containers.create(spec, image, this.user ?? ourUser());
    }
    if (standby === 'hot') await this.start(spec.id);
  }

  async start(id: string): Promise<void> {
    const { state } = await this.#look(id);
    if (state === 'frozen') return this.thaw(id);
    if (state !== 'running') await this.#containers.start(id);
  }

  async stop(id: string): Promise<void> {
    const { state, container } = await this.#look(id);
    if (state !== 'running' && state !== 'frozen') return;
    // Signals reach a paused container only when it goes on
    if (state === 'frozen') await already('thaw a container', container.unpause(), 409);
    await this.#containers.stop(id);
  }

  async freeze(id: string): Promise<void> {
    const { state, container } = await this.#look(id);
    if (state === 'frozen') return;
    if (state !== 'running') throw new AntirioError('conflict', `${id} does not run`, { id, state });
    await asked('freeze a container', container.pause());
  }

  async thaw(id: string): Promise<void> {
    const { state, container } = await this.#look(id);
    if (state === 'running') return;
    if (state !== 'frozen') throw new AntirioError('conflict', `${id} does not run`, { id, state });
    await asked('thaw a container', container.unpause());
  }

  async remove(id: string): Promise<void> {
    await this.#containers.remove(id);
  }

  async stats(id: string): Promise<InstanceStats> {
    const { state, container } = await this.#look(id);
    if (state !== 'running' && state !== 'frozen')
      throw new AntirioError('conflict', `${id} does not run`, { id, state });
    const { memory_stats: memory, cpu_stats: cpu } = await asked(
      'measure a container',
      container.stats({ stream: false, 'one-shot': true }),
    );
    const { usage = 0, stats = {} } = memory as { usage?: number; stats?: Record<string, number> };
    const inactive = stats['total_inactive_file'] ?? stats['inactive_file'] ?? 0;
    return { memoryBytes: Math.max(0, usage - inactive), cpuMs: Math.round(cpu.cpu_usage.total_usage / 1e6) };
  }

  async instance(id: string): Promise<Instance | undefined> {
    const info = await this.#containers.inspect(id);
    if (info !== undefined) return info.State.Status === 'removing' ? undefined : instanceOf(info);
    return this.#containers.planned().find((instance) => instance.id === id);
  }

  async list(): Promise<readonly Instance[]> {
    const filters = { label: [`${LABEL.owner}=${this.#owner}`] };
    const found = await asked('list containers', this.#docker.listContainers({ all: true, filters }));
    const all = await Promise.all(
      found.map(({ Id }) => ifThere('look at a container', this.#docker.getContainer(Id).inspect())),
    );
    const seen = all.flatMap((info) =>
      info === undefined || info.State.Status === 'removing' ? [] : [instanceOf(info)],
    );
    const planned = this.#containers.planned().filter(({ id }) => !seen.some((there) => there.id === id));
    return [...seen, ...planned];
  }

  async logs(id: string, maxBytes = 64 * 1024): Promise<string> {
    const { state, container, hasTerminal } = await this.#look(id);
    if (state === 'created') return '';
    const mixed = await asked(
      'read the output of a container',
      container.logs({ stdout: true, stderr: true, tail: 10_000 }),
    );
    // With a terminal there is one stream, which is told as it is
    const text = hasTerminal ? mixed : Buffer.from(demultiplex(mixed));
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

  /** @throws AntirioError notFound */
  async #look(id: string): Promise<Look> {
    checkId(id);
    const info = await this.#containers.inspect(id);
    if (info !== undefined) {
      const container = this.#docker.getContainer(info.Id);
      return { state: stateOf(info.State.Status), container, hasTerminal: info.Config.Tty };
    }
    const planned = this.#containers.planned().find((instance) => instance.id === id);
    if (planned === undefined) throw new AntirioError('notFound', `no service ${id}`, { id });
    return { state: 'created' };
  }
}

/** Tells the containers of this edge from those of others at the same engine: inside of containers all have the same paths. */
export function ownerOf(dir: string, paths: HostPaths): string {
  return sha256Hex(utf8(paths.onHost(dir))).slice(0, 10);
}

/**
 * Runs images as containers of a Docker Engine (API 1.41 or later) or balenaEngine: untrusted ones too. Containers of an earlier run
 * are removed. @throws AntirioError unavailable when no engine answers.
 */
export async function createDockerRuntime(options: DockerRuntimeOptions): Promise<Runtime> {
  const docker = await openEngine();
  const { dir, clock, log, graceMs = GRACE_MS } = options;
  const paths = await findHostPaths(docker);
  const owner = ownerOf(dir, paths);
  const runtime = new ContainerRuntime({
    kind: 'docker',
    docker,
    images: openDockerImages(docker, dir, log),
    containers: engineContainers(docker, { owner, graceMs, clock, paths }),
    owner,
    log,
  });
  await runtime.removeLeftovers();
  return runtime;
}
