import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { join } from 'node:path';
import { AntirioError, sha256Hex, utf8, type Clock } from '@antirio/kernel';
import { sleep, waitFor, type Log } from '@antirio/host';
import type { BoundedLog } from './bounded-log.ts';
import { sweepControlGroups } from './cgroup.ts';
import { commandOf } from './entrypoint.ts';
import { openImageStore, type ImageStore } from './image-store.ts';
import {
  openChildLog,
  PID_FILE,
  signalGroup,
  signalProcess,
  startChild,
  type RunningChild,
} from './process-child.ts';
import { confinement, isAlive, processStats, type ProcessMark } from './process-table.ts';
import {
  volumeEnv,
  type Instance,
  type InstanceState,
  type LoadedImage,
  type Runtime,
  type ServiceSpec,
} from './runtime.ts';
import { checkId } from './service-id.ts';

export interface ProcessRuntimeOptions {
  /** Images, logs and pid files. */
  readonly dir: string;
  /** Between SIGTERM and SIGKILL (default 5000). */
  readonly graceMs?: number;
  /** Kept of each service's output (default 1 MiB). */
  readonly logBytes?: number;
  /** Limits of one unpacked image (default 8 GiB, 500,000 files). */
  readonly maxImageBytes?: number;
  readonly maxImageFiles?: number;
  readonly clock: Clock;
  readonly log: Log;
}

interface Slot {
  readonly spec: ServiceSpec;
  readonly folder: string;
  readonly output: BoundedLog;
  state: InstanceState;
  child?: RunningChild;
  exit?: string;
}

async function readMark(folder: string): Promise<ProcessMark | undefined> {
  try {
    return JSON.parse(await readFile(join(folder, PID_FILE), 'utf8')) as ProcessMark;
  } catch {
    return undefined;
  }
}

/** Ends what an earlier run left running, found by process id and start time. */
async function removeLeftovers(dir: string, clock: Clock, log: Log): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  for (const name of await readdir(dir)) {
    const folder = join(dir, name);
    const mark = await readMark(folder);
    if (mark !== undefined && isAlive(mark)) {
      log.warn({ instance: name, pid: mark.pid }, 'a service of an earlier run is still there: killed');
      signalGroup(mark.pid, 'SIGKILL');
      if (isAlive(mark)) signalProcess(mark.pid, 'SIGKILL');
      await waitFor(clock, 5000, () => (isAlive(mark) ? undefined : true));
      if (isAlive(mark))
        throw new AntirioError('unavailable', `process ${mark.pid} of an earlier run does not end`);
    }
    await rm(folder, { recursive: true, force: true });
  }
}

function instanceOf({ spec, state, child, exit }: Slot): Instance {
  return {
    id: spec.id,
    epoch: spec.epoch,
    imageId: spec.imageId,
    state,
    ...(child === undefined ? {} : { pid: child.pid }),
    ...(exit === undefined ? {} : { exit }),
  };
}

class ProcessRuntime implements Runtime {
  readonly kind = 'process';
  readonly user = undefined;
  readonly #options: ProcessRuntimeOptions;
  readonly #images: ImageStore;
  readonly #slots = new Map<string, Slot>();
  readonly #listeners: ((id: string) => void)[] = [];

  constructor(options: ProcessRuntimeOptions, images: ImageStore) {
    this.#options = options;
    this.#images = images;
  }

  view(spec: ServiceSpec): ServiceSpec {
    return spec;
  }

  async export(image: string): Promise<never> {
    throw new AntirioError('conflict', 'this edge has no container engine', { image });
  }

  load(archivePath: string, expected?: string): Promise<LoadedImage> {
    return this.#images.load(archivePath, expected);
  }

  async loaded(imageId: string): Promise<boolean> {
    return (await this.#images.get(imageId)) !== undefined;
  }

  async unload(imageId: string): Promise<void> {
    for (const { spec } of this.#slots.values())
      if (spec.imageId === imageId)
        throw new AntirioError('conflict', `${spec.id} uses the image`, { imageId });
    await this.#images.remove(imageId);
  }

  async prepare(spec: ServiceSpec, standby: 'hot' | 'warm'): Promise<void> {
    checkId(spec.id);
    const there = this.#slots.get(spec.id);
    if (there !== undefined && !isDeepStrictEqual(there.spec, spec))
      throw new AntirioError('conflict', `${spec.id} is there with other settings`, { id: spec.id });
    if (there === undefined) {
      if (!(await this.loaded(spec.imageId)))
        throw new AntirioError('notFound', 'the image is not loaded', { imageId: spec.imageId });
      const folder = join(this.#options.dir, 'instances', spec.id);
      const output = openChildLog(folder, this.#options.logBytes ?? 1 << 20);
      this.#slots.set(spec.id, { spec, folder, output, state: 'created' });
    }
    if (standby === 'hot') await this.start(spec.id);
  }

  async start(id: string): Promise<void> {
    const slot = this.#slot(id);
    if (slot.state === 'running') return;
    if (slot.state === 'frozen') return this.thaw(id);
    const image = await this.#images.get(slot.spec.imageId);
    if (image === undefined)
      throw new AntirioError('notFound', 'the image is not loaded', { imageId: slot.spec.imageId });
    const { spec, folder, output } = slot;
    const { limits } = spec;
    const linked: Record<string, string> =
      spec.linksDir === undefined ? {} : { ANTIRIO_LINKS_DIR: spec.linksDir };
    const volumes = volumeEnv(spec.volumes, 'hostDir');
    const env = { HOME: spec.dataDir, ...spec.env, ...volumes, ...linked, ANTIRIO_RUN_DIR: spec.runDir };
    const node = process.execPath;
    const command = commandOf({ ...image, node, memoryBytes: limits.memoryBytes, env, exists: existsSync });
    const groupName = sha256Hex(utf8(folder)).slice(0, 16);
    const child = await startChild({ command, folder, groupName, limits, log: output });
    Object.assign(slot, { child, state: 'running', exit: undefined });
    void child.ended.then((exit) => {
      Object.assign(slot, { child: undefined, state: 'exited', exit });
      for (const listener of this.#listeners) listener(id);
    });
  }

  async stop(id: string): Promise<void> {
    const slot = this.#slot(id);
    const { child } = slot;
    if (child === undefined) return;
    child.signal('SIGTERM');
    // A frozen process hears SIGTERM only when it goes on
    if (slot.state === 'frozen') child.signal('SIGCONT');
    const grace = new AbortController();
    await Promise.race([child.ended, sleep(this.#options.graceMs ?? 5000, grace.signal)]);
    grace.abort();
    child.signal('SIGKILL');
    await child.ended;
  }

  async freeze(id: string): Promise<void> {
    this.#signal(id, 'SIGSTOP', 'frozen');
  }

  async thaw(id: string): Promise<void> {
    this.#signal(id, 'SIGCONT', 'running');
  }

  async remove(id: string): Promise<void> {
    const slot = this.#slots.get(id);
    if (slot === undefined) return;
    slot.child?.signal('SIGKILL');
    await slot.child?.ended;
    await slot.output.close();
    await rm(slot.folder, { recursive: true, force: true });
    this.#slots.delete(id);
  }

  async stats(id: string) {
    const { child } = this.#slot(id);
    const stats = child === undefined ? undefined : processStats(child.pid);
    if (stats === undefined)
      throw new AntirioError('conflict', `${id} does not run, or cannot be measured here`, { id });
    return stats;
  }

  async instance(id: string): Promise<Instance | undefined> {
    const slot = this.#slots.get(id);
    return slot === undefined ? undefined : instanceOf(slot);
  }

  async list(): Promise<readonly Instance[]> {
    return [...this.#slots.values()].map(instanceOf);
  }

  async logs(id: string, maxBytes = 64 * 1024): Promise<string> {
    return this.#slot(id).output.tail(maxBytes);
  }

  onExit(listener: (id: string) => void): void {
    this.#listeners.push(listener);
  }

  async health() {
    const running = [...this.#slots.values()].filter(({ child }) => child !== undefined).length;
    return { ok: true, detail: `${running} child processes; only for images that the operator trusts` };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#slots.keys()].map((id) => this.stop(id)));
    await Promise.all([...this.#slots.keys()].map((id) => this.remove(id)));
  }

  #slot(id: string): Slot {
    const slot = this.#slots.get(id);
    if (slot === undefined) throw new AntirioError('notFound', `no service ${id}`, { id });
    return slot;
  }

  #signal(id: string, signal: NodeJS.Signals, state: 'running' | 'frozen'): void {
    const slot = this.#slot(id);
    if (slot.child === undefined)
      throw new AntirioError('conflict', `${id} does not run`, { id, state: slot.state });
    slot.child.signal(signal);
    slot.state = state;
  }
}

/**
 * Runs Node images as child processes, without a container engine. They are kept apart from this machine by their own folders
 * and limits only, not from its files or network: for images that the operator trusts. None outlives this process.
 */
export async function createProcessRuntime(options: ProcessRuntimeOptions): Promise<Runtime> {
  sweepControlGroups(options.clock.now());
  await removeLeftovers(join(options.dir, 'instances'), options.clock, options.log);
  const images = await openImageStore(join(options.dir, 'images'), {
    maxBytes: options.maxImageBytes ?? 8 * 2 ** 30,
    maxFiles: options.maxImageFiles ?? 500_000,
  });
  const through = confinement();
  options.log.info({ through }, 'services run as child processes: only for images that the operator trusts');
  return new ProcessRuntime(options, images);
}
