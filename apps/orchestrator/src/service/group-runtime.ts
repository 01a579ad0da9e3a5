import { rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { waitFor, type Log } from '@antirio/host';
import { AntirioError, describeError, isAntirioError, type Clock } from '@antirio/kernel';
import type { Runtime, ServiceSpec } from '@antirio/runtime';

/** One service of a contract beside its own one. */
export interface Companion {
  readonly name: string;
  readonly spec: ServiceSpec & { readonly linksDir: string };
  readonly ready: 'socket' | 'started';
  readonly readyWithinMs: number;
}

/**
 * A runtime whose instances have others beside them that come and go with them: started before, in their order, each once the one before is
 * ready; stopped after, the other way round. Where one of them ends by itself the whole group is stopped, and is started again in order.
 */
export interface GroupRuntime extends Runtime {
  /** Takes these for the instance of this id, in the order in which they are to start. Their images are loaded. */
  prepareGroup(id: string, companions: readonly Companion[]): Promise<void>;
  /** Does it while those beside the instance are stopped, and starts them again in their order; the instance itself goes on. */
  withoutCompanions(id: string, work: () => Promise<void>): Promise<void>;
}

/** Ends like no id of a contract, nor of a version. */
const COMPANION_ID = /^(.+)-s[0-9a-f]{10}$/;

export function socketOf({ name, spec }: Pick<Companion, 'name' | 'spec'>): string {
  return join(spec.linksDir, `${name}.sock`);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    // Whoever listens is not to be surprised: what it says is heard to its end
    socket.once('connect', () => {
      socket.resume().end();
      resolve(true);
    });
    socket.on('error', () => {
      resolve(false);
    });
  });
}

class Group implements GroupRuntime {
  readonly kind: Runtime['kind'];
  readonly user: Runtime['user'];
  readonly #runtime: Runtime;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #groups = new Map<string, readonly Companion[]>();
  /** Instances whose end, or whose companions', is wanted. */
  readonly #ending = new Set<string>();

  constructor(runtime: Runtime, clock: Clock, log: Log) {
    this.kind = runtime.kind;
    this.user = runtime.user;
    this.#runtime = runtime;
    this.#clock = clock;
    this.#log = log;
    runtime.onExit((id) => {
      const main = COMPANION_ID.exec(id)?.[1];
      if (main === undefined || this.#ending.has(main)) return;
      this.#fall(main, id).catch((error: unknown) => {
        if (!isAntirioError(error, 'notFound'))
          this.#log.warn({ instance: main, error: describeError(error) }, 'it could not be stopped');
      });
    });
  }

  /** What needs it cannot go on. */
  async #fall(main: string, id: string): Promise<void> {
    // The news of an end may be older than the next start
    if ((await this.#runtime.instance(id))?.state === 'running') return;
    this.#log.warn({ instance: main, companion: id }, 'a service beside it has ended: all are stopped');
    await this.#runtime.stop(main);
  }

  #of(id: string): readonly Companion[] {
    return this.#groups.get(id) ?? [];
  }

  async #whileEnding(id: string, work: () => Promise<void>): Promise<void> {
    this.#ending.add(id);
    try {
      await work();
    } finally {
      this.#ending.delete(id);
    }
  }

  async prepareGroup(id: string, companions: readonly Companion[]): Promise<void> {
    this.#groups.set(id, companions);
    for (const { spec } of companions) await this.#runtime.prepare(spec, 'warm');
  }

  async #startOne(one: Companion): Promise<void> {
    const { name, spec, ready, readyWithinMs } = one;
    const isUp = (await this.#runtime.instance(spec.id))?.state === 'running';
    // One that was killed leaves its socket behind
    if (!isUp) rmSync(socketOf(one), { force: true });
    await this.#runtime.start(spec.id);
    if (ready === 'started') return;
    const found = await waitFor(this.#clock, readyWithinMs, async () => {
      if (await answers(socketOf(one))) return 'listens';
      return (await this.#runtime.instance(spec.id))?.state === 'exited' ? 'ended' : undefined;
    });
    if (found === 'ended') throw new AntirioError('unavailable', `${name} has ended by itself`, { name });
    if (found === undefined)
      throw new AntirioError('unavailable', `${name} does not listen within ${readyWithinMs} ms`, { name });
  }

  async withoutCompanions(id: string, work: () => Promise<void>): Promise<void> {
    await this.#whileEnding(id, async () => {
      for (const { spec } of this.#of(id).toReversed()) await this.#runtime.stop(spec.id);
      await work();
      for (const one of this.#of(id)) await this.#startOne(one);
    });
  }

  async start(id: string): Promise<void> {
    for (const one of this.#of(id)) await this.#startOne(one);
    await this.#runtime.start(id);
  }

  stop(id: string): Promise<void> {
    return this.#whileEnding(id, async () => {
      await this.#runtime.stop(id);
      for (const { spec } of this.#of(id).toReversed()) await this.#runtime.stop(spec.id);
    });
  }

  async freeze(id: string): Promise<void> {
    await this.#runtime.freeze(id);
    for (const { spec } of this.#of(id).toReversed()) await this.#runtime.freeze(spec.id);
  }

  async thaw(id: string): Promise<void> {
    for (const { spec } of this.#of(id)) await this.#runtime.start(spec.id);
    await this.#runtime.thaw(id);
  }

  remove(id: string): Promise<void> {
    return this.#whileEnding(id, async () => {
      await this.#runtime.remove(id);
      // Also those of a run of ours that this one knows nothing of
      const left = (await this.#runtime.list()).filter((one) => COMPANION_ID.exec(one.id)?.[1] === id);
      const images = new Set(this.#of(id).map(({ spec }) => spec.imageId));
      for (const one of left.toReversed()) {
        await this.#runtime.remove(one.id);
        images.add(one.imageId);
      }
      this.#groups.delete(id);
      for (const imageId of images) await this.#letGo(imageId);
    });
  }

  /** Of another service's, where it is one: that one keeps it. */
  async #letGo(imageId: string): Promise<void> {
    try {
      await this.#runtime.unload(imageId);
    } catch (error) {
      if (!isAntirioError(error, 'conflict')) throw error;
    }
  }

  view: Runtime['view'] = (spec) => this.#runtime.view(spec);
  export: Runtime['export'] = (image) => this.#runtime.export(image);
  load: Runtime['load'] = (archive, expected) => this.#runtime.load(archive, expected);
  loaded: Runtime['loaded'] = (imageId) => this.#runtime.loaded(imageId);
  unload: Runtime['unload'] = (imageId) => this.#runtime.unload(imageId);
  prepare: Runtime['prepare'] = (spec, standby) => this.#runtime.prepare(spec, standby);
  stats: Runtime['stats'] = (id) => this.#runtime.stats(id);
  instance: Runtime['instance'] = (id) => this.#runtime.instance(id);
  list: Runtime['list'] = () => this.#runtime.list();
  logs: Runtime['logs'] = (id, maxBytes) => this.#runtime.logs(id, maxBytes);
  health: Runtime['health'] = () => this.#runtime.health();
  close: Runtime['close'] = () => this.#runtime.close();
  onExit: Runtime['onExit'] = (listener) => this.#runtime.onExit(listener);
}

export function groupRuntime(runtime: Runtime, clock: Clock, log: Log): GroupRuntime {
  return new Group(runtime, clock, log);
}
