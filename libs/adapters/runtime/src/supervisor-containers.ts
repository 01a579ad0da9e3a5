import type Docker from 'dockerode';
import { waitFor, type Log } from '@antirio/host';
import { AntirioError, describeError, type Clock } from '@antirio/kernel';
import { untilGone, type Containers } from './containers.ts';
import { foldersOf, LABEL, specHash, stateOf } from './docker-container.ts';
import { already, asked, ifThere } from './docker-engine.ts';
import type { HostPaths } from './host-paths.ts';
import type { Instance } from './runtime.ts';
import { serviceNameOf, targetState, volumeNameOf, type Moved, type TargetApp } from './target-state.ts';
import type { Supervisor } from './supervisor.ts';

export interface SupervisorContainersOptions {
  readonly supervisor: Supervisor;
  readonly app: { readonly id: string; readonly base: TargetApp };
  readonly owner: string;
  readonly graceMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly paths: HostPaths;
  /** A number that no earlier release of this device had; durable before it is given. */
  readonly nextNumber: () => number;
}

/** Names as `#release` gives them. */
const RELEASE = /^antirio-.*:r\d+$/;
const APPLIED_MS = 30_000;
const LOOK_MS = 50;
/** Of a supervisor between its word and the engine's. */
const SLACK_MS = 5000;

function plannedInstance({ spec }: Moved): Instance {
  return { id: spec.id, epoch: spec.epoch, imageId: spec.imageId, state: 'created' };
}

/**
 * Containers that a balena supervisor makes, to a target state that is kept here: what it tells of its own cannot be given back to
 * it. Neither "started" nor "stopped" from it means that it is so: the engine is looked at.
 */
class SupervisorContainers implements Containers {
  readonly #docker: Docker;
  readonly #options: SupervisorContainersOptions;
  readonly #moved = new Map<string, Moved>();
  #turn: Promise<void> = Promise.resolve();

  constructor(docker: Docker, options: SupervisorContainersOptions) {
    this.#docker = docker;
    this.#options = options;
  }

  /** What an earlier target state asked for is not it: the supervisor may be making or removing that still. */
  async inspect(id: string): Promise<Docker.ContainerInspectInfo | undefined> {
    const info = await this.#look(id);
    const moved = this.#moved.get(id);
    const isIt = moved !== undefined && info?.Config.Labels[LABEL.spec] === specHash(moved.spec);
    return isIt ? info : undefined;
  }

  planned(): readonly Instance[] {
    return [...this.#moved.values()].map(plannedInstance);
  }

  async create(...[spec, image, user]: Parameters<Containers['create']>): Promise<void> {
    const { owner, paths, nextNumber } = this.#options;
    const earlier = this.#moved.get(spec.id);
    if (earlier !== undefined && specHash(earlier.spec) !== specHash(spec))
      throw new AntirioError('conflict', `${spec.id} is there with other settings`, { id: spec.id });
    if (earlier !== undefined) return this.#apply();
    const number = nextNumber();
    const name = await this.#release(spec.id, image, number);
    const making = { image: name, owner, user, paths };
    this.#moved.set(spec.id, { spec, making, number, running: false });
    try {
      await this.#apply();
    } catch (error) {
      this.#moved.delete(spec.id);
      throw error;
    } finally {
      await this.#removeNames(image, 'but one');
    }
  }

  async start(id: string): Promise<void> {
    const { supervisor, app } = this.#options;
    await supervisor.startService(app.id, serviceNameOf(id));
    await this.#until(id, (info) => info !== undefined && stateOf(info.State.Status) !== 'created', 'start');
    this.#wish(id, true);
  }

  async stop(id: string): Promise<void> {
    const { supervisor, app, graceMs } = this.#options;
    await supervisor.stopService(app.id, serviceNameOf(id));
    const ended = await this.#seen(id, graceMs + SLACK_MS, (info) => !runs(info));
    // Asked and told so, and still there: then it is the engine's turn
    if (ended === undefined) await this.#kill(id);
    this.#wish(id, false);
  }

  async remove(id: string): Promise<void> {
    const { app, clock, supervisor } = this.#options;
    const moved = this.#moved.get(id);
    this.#moved.delete(id);
    const there = await this.#look(id);
    if (moved === undefined && there === undefined) return;
    await this.#apply();
    const look: Containers['inspect'] = (name) => this.#look(name);
    const gone = async (): Promise<true | undefined> => ((await look(id)) === undefined ? true : undefined);
    // What an earlier run of this edge asked for may be in no target state any more
    if ((await waitFor(clock, APPLIED_MS, gone, LOOK_MS)) === undefined) await this.#removeByEngine(id);
    // It may still be making what an earlier target state wanted: containers and volumes that nobody asks for any more
    const applied = async (): Promise<true | undefined> =>
      (await supervisor.isApplied()) ? true : undefined;
    await waitFor(clock, APPLIED_MS, applied, LOOK_MS);
    await untilGone(id, clock, look);
    await this.#removeVolumes(volumesOf(app.id, moved, there));
    if (moved !== undefined) await this.#removeNames(moved.making.image, 'but one');
  }

  async #removeByEngine(id: string): Promise<void> {
    const left = await this.#look(id);
    if (left !== undefined)
      await already(
        'remove a container',
        this.#docker.getContainer(left.Id).remove({ force: true }),
        404,
        409,
      );
  }

  async #look(id: string): Promise<Docker.ContainerInspectInfo | undefined> {
    const label = [`${LABEL.owner}=${this.#options.owner}`, `${LABEL.contract}=${id}`];
    const [found] = await asked(
      'list containers',
      this.#docker.listContainers({ all: true, filters: { label } }),
    );
    if (found === undefined) return undefined;
    return ifThere('look at a container', this.#docker.getContainer(found.Id).inspect());
  }

  /** An image under a name that it never had: one that is given again may be taken for what had it before. */
  async #release(id: string, image: string, number: number): Promise<string> {
    const repo = serviceNameOf(id).toLowerCase();
    await asked('name an image', this.#docker.getImage(image).tag({ repo, tag: `r${number}` }));
    return `${repo}:r${number}`;
  }

  letGo(image: string): Promise<void> {
    return this.#removeNames(image, 'all');
  }

  /** Names of releases that no service has any more. With its last name an engine would remove the image itself. */
  async #removeNames(image: string, which: 'all' | 'but one'): Promise<void> {
    const info = await ifThere('look at an image', this.#docker.getImage(image).inspect());
    const names = info?.RepoTags ?? [];
    const used = new Set([...this.#moved.values()].map(({ making }) => making.image));
    const unused = names.filter((name) => RELEASE.test(name) && !used.has(name));
    const isLast = unused.length === names.length;
    for (const name of which === 'but one' && isLast ? unused.slice(1) : unused)
      await already(
        'remove the name of an image',
        this.#docker.getImage(name).remove({ noprune: true }),
        404,
        409,
      );
  }

  async #removeVolumes(names: readonly string[]): Promise<void> {
    for (const name of names)
      await already('remove a volume', this.#docker.getVolume(name).remove(), 404, 409);
  }

  async #kill(id: string): Promise<void> {
    const info = await this.inspect(id);
    if (info !== undefined && runs(info))
      await already('stop a container', this.#docker.getContainer(info.Id).kill(), 304, 404, 409);
    await this.#until(id, (seen) => !runs(seen), 'stop');
  }

  async #seen(
    id: string,
    ms: number,
    is: (info: Docker.ContainerInspectInfo | undefined) => boolean,
  ): Promise<true | undefined> {
    const met = async (): Promise<true | undefined> => (is(await this.inspect(id)) ? true : undefined);
    return waitFor(this.#options.clock, ms, met, LOOK_MS);
  }

  async #until(
    id: string,
    is: (info: Docker.ContainerInspectInfo | undefined) => boolean,
    what: string,
  ): Promise<void> {
    if ((await this.#seen(id, APPLIED_MS, is)) === undefined)
      throw new AntirioError('unavailable', `the balena supervisor was to ${what} ${id}, and did not`, {
        id,
      });
  }

  /** Whoever starts the supervisor anew finds it as it is now. It is so already: nobody waits for that. */
  #wish(id: string, running: boolean): void {
    const moved = this.#moved.get(id);
    if (moved === undefined || moved.running === running) return;
    this.#moved.set(id, { ...moved, running });
    void this.#apply().catch((error: unknown) => {
      this.#options.log.warn(
        { instance: id, error: describeError(error) },
        'the balena supervisor has an older target state',
      );
    });
  }

  /** Gives the supervisor the whole of it, one after the other. */
  #apply(): Promise<void> {
    const { supervisor, app } = this.#options;
    const done = this.#turn.then(async () =>
      supervisor.setTarget(targetState(await supervisor.local(), app, [...this.#moved.values()])),
    );
    this.#turn = done.catch(() => undefined);
    return done;
  }
}

/** How the engine calls the volumes of a service: of one that an earlier run asked for its container tells. */
function volumesOf(
  app: string,
  moved: Moved | undefined,
  there: Docker.ContainerInspectInfo | undefined,
): string[] {
  const asked = moved === undefined ? [] : foldersOf(moved.spec);
  const mounted = there?.Mounts.flatMap(({ Type: type, Name: name }) =>
    type === 'volume' && name ? [name] : [],
  );
  const own = asked.map(({ name }) => `${app}_${volumeNameOf(moved?.spec.id ?? '', name)}`);
  return [...new Set([...own, ...(mounted ?? [])])];
}

function runs(info: Docker.ContainerInspectInfo | undefined): boolean {
  return info !== undefined && ['running', 'frozen'].includes(stateOf(info.State.Status));
}

export function supervisorContainers(docker: Docker, options: SupervisorContainersOptions): Containers {
  return new SupervisorContainers(docker, options);
}
