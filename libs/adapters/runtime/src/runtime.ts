import type { Check } from '@antirio/host';

/** `hot`: runs in shadow. `warm`: started and frozen, or created. `cold`: the verified archive is stored, no more. */
export type Standby = 'hot' | 'warm' | 'cold';

/** The resource vector R' of a contract. */
export interface Limits {
  readonly memoryBytes: number;
  /** Cores; 0.5 is half of one. */
  readonly cpus: number;
  readonly pids: number;
}

export interface SpecVolume {
  readonly name: string;
  readonly hostDir: string;
  /** Where a container has it; a process has `hostDir` itself. */
  readonly path: string;
}

/** One customer's service on this machine. */
export interface ServiceSpec {
  /** The contract's id: letters, digits, `_` and `-`. */
  readonly id: string;
  readonly epoch: number;
  /** As `load` answered it. */
  readonly imageId: string;
  /** Folder of the service's sockets and its `config.json`, on this host. Short: a unix socket's path has 107 bytes at most. */
  readonly runDir: string;
  /** Writable and kept while the contract lives. */
  readonly dataDir: string;
  /** On tmpfs; what is put there later is seen by the service. */
  readonly secretsDir: string;
  /** Shared with the other services of its contract, told as `ANTIRIO_LINKS_DIR`: each listens there under its name. */
  readonly linksDir?: string;
  /** Folders of this host that outlive the service, told as `ANTIRIO_VOLUME_<NAME>`. */
  readonly volumes?: readonly SpecVolume[];
  readonly env: Readonly<Record<string, string>>;
  readonly limits: Limits;
}

/** The same folders as the service sees them. */
export interface ServiceView {
  readonly runDir: string;
  readonly dataDir: string;
  readonly secretsDir: string;
}

export type InstanceState = 'created' | 'running' | 'frozen' | 'exited';

export interface Instance {
  readonly id: string;
  readonly epoch: number;
  readonly imageId: string;
  readonly state: InstanceState;
  /** Process id on this host while it runs or is frozen. */
  readonly pid?: number;
  /** Why it ended: an exit code, a signal's name, or what kept it from starting. */
  readonly exit?: string;
}

export interface InstanceStats {
  readonly memoryBytes: number;
  /** Processor time since the start. */
  readonly cpuMs: number;
}

/** An image that can be run, and what had to be done for it. */
export interface LoadedImage {
  /** `sha256:<hex>` */
  readonly imageId: string;
  /** Layers that were given to the engine or unpacked. */
  readonly loadedLayers: number;
  /** Layers that were there already. */
  readonly skippedLayers: number;
  /** Whether an archive of the missing layers alone was refused, so that the whole one was given. */
  readonly fellBack: boolean;
}

/**
 * Where a customer's services run. Every operation is idempotent: asked again for what is already so, it changes nothing.
 * Operations on one id come one after the other; the caller sees to that.
 */
export interface Runtime {
  readonly kind: 'process' | 'docker' | 'balena';
  /** Whom the services run as, where that is not this process's own user: their folders and secrets must be given to it. */
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
  view(spec: ServiceSpec): ServiceView;
  /**
   * An image of the engine as `docker save` writes it, as it comes: nothing is held.
   *
   * @param image a name with its tag, or an id
   * @throws AntirioError notFound, or conflict where there is no engine
   */
  export(image: string): Promise<AsyncIterable<Uint8Array>>;
  /**
   * Makes a docker archive (`docker save`) runnable. Its image id is the SHA-256 of its configuration, its layers are
   * checked against the configuration's diff_ids.
   *
   * @param expected the image id it must have
   * @throws AntirioError corrupt | invalidInput | tooLarge | unavailable
   */
  load(archivePath: string, expected?: string): Promise<LoadedImage>;
  loaded(imageId: string): Promise<boolean>;
  /** @throws AntirioError conflict while an instance uses it. */
  unload(imageId: string): Promise<void>;
  /**
   * Creates the instance, and for `hot` starts it. A service that is to stand by frozen is started, given the time it needs to
   * be ready, and frozen by the caller, who can see when it is ready.
   *
   * @throws AntirioError notFound when the image is not loaded, conflict when the id is there with another spec.
   */
  prepare(spec: ServiceSpec, standby: 'hot' | 'warm'): Promise<void>;
  /** Starts what is created or has ended, thaws what is frozen. @throws AntirioError notFound | unavailable */
  start(id: string): Promise<void>;
  /** SIGTERM, and SIGKILL when it has not ended after the grace; resolves when it has ended. */
  stop(id: string): Promise<void>;
  /** @throws AntirioError conflict when it does not run. */
  freeze(id: string): Promise<void>;
  /** @throws AntirioError conflict when it neither runs nor is frozen. */
  thaw(id: string): Promise<void>;
  /** Ends it at once if need be and removes what the runtime made for it; the folders of the spec stay. */
  remove(id: string): Promise<void>;
  /** @throws AntirioError notFound | conflict when it does not run. */
  stats(id: string): Promise<InstanceStats>;
  /** One of them; undefined when there is none. */
  instance(id: string): Promise<Instance | undefined>;
  list(): Promise<readonly Instance[]>;
  /** The newest output, stdout and stderr together, at most so many bytes. @throws AntirioError notFound */
  logs(id: string, maxBytes?: number): Promise<string>;
  /** Called after an instance ended, whoever ended it. */
  onExit(listener: (id: string) => void): void;
  health(): Promise<Check>;
  /** Ends and removes every instance. */
  close(): Promise<void>;
}

/** What tells a service where its volumes are. */
export function volumeEnv(
  volumes: readonly SpecVolume[] = [],
  of: 'hostDir' | 'path',
): Record<string, string> {
  const nameOf = (name: string): string => `ANTIRIO_VOLUME_${name.toUpperCase().replaceAll('-', '_')}`;
  return Object.fromEntries(volumes.map((one) => [nameOf(one.name), one[of]]));
}
