import type Docker from 'dockerode';
import { canonicalBytes, sha256Hex } from '@antirio/kernel';
import type { User } from './containers.ts';
import type { HostPaths } from './host-paths.ts';
import {
  volumeEnv,
  type Instance,
  type InstanceState,
  type ServiceSpec,
  type ServiceView,
} from './runtime.ts';

/** The service's folders inside of its container. */
export const CONTAINER_VIEW: ServiceView = {
  runDir: '/run/antirio',
  dataDir: '/var/lib/antirio',
  secretsDir: '/run/antirio-secrets',
};

export const LABEL = {
  contract: 'antirio.contract',
  epoch: 'antirio.epoch',
  /** Which edge's orchestrator made it: several may share an engine. */
  owner: 'antirio.owner',
  image: 'antirio.image',
  spec: 'antirio.spec',
} as const;

export function specHash(spec: ServiceSpec): string {
  return sha256Hex(canonicalBytes(spec)).slice(0, 32);
}

export function containerName(owner: string, id: string): string {
  return `antirio-${owner}-${id}`;
}

const LINKS_DIR = '/run/antirio-links';

const TMP_BYTES = 64 << 20;

/** What a service finds in its environment. */
export function environmentOf(spec: ServiceSpec): Readonly<Record<string, string>> {
  const { runDir, dataDir } = CONTAINER_VIEW;
  const linked: Record<string, string> = spec.linksDir === undefined ? {} : { ANTIRIO_LINKS_DIR: LINKS_DIR };
  const volumes = volumeEnv(spec.volumes, 'path');
  return { HOME: dataDir, ...spec.env, ...volumes, ...linked, ANTIRIO_RUN_DIR: runDir };
}

export function labelsOf(spec: ServiceSpec, owner: string): Readonly<Record<string, string>> {
  return {
    [LABEL.contract]: spec.id,
    [LABEL.epoch]: String(spec.epoch),
    [LABEL.owner]: owner,
    [LABEL.image]: spec.imageId,
    [LABEL.spec]: specHash(spec),
  };
}

/** A folder of this host in a container. */
export interface MountedFolder {
  readonly name: 'run' | 'data' | 'secrets' | 'links' | `volume-${string}`;
  readonly from: string;
  readonly to: string;
  readonly mode: 'rw' | 'ro';
}

export function foldersOf(spec: ServiceSpec): readonly MountedFolder[] {
  const { runDir, dataDir, secretsDir } = CONTAINER_VIEW;
  const links = spec.linksDir;
  return [
    { name: 'run', from: spec.runDir, to: runDir, mode: 'rw' },
    { name: 'data', from: spec.dataDir, to: dataDir, mode: 'rw' },
    { name: 'secrets', from: spec.secretsDir, to: secretsDir, mode: 'ro' },
    ...(links === undefined ? [] : [{ name: 'links', from: links, to: LINKS_DIR, mode: 'rw' } as const]),
    ...(spec.volumes ?? []).map(({ name, hostDir, path }) => {
      return { name: `volume-${name}`, from: hostDir, to: path, mode: 'rw' } as const;
    }),
  ];
}

/** What an engine needs to know besides what is to be run. */
export interface Making {
  /** How the engine knows the image. */
  readonly image: string;
  readonly owner: string;
  readonly user: User;
  readonly paths: HostPaths;
}

/**
 * A container that can reach nothing but its own folders: no capability, no new privileges, no network, a root that is read-only, the
 * limits of its contract. Its stdin stays open, because services end themselves when it closes.
 */
export function containerOptions(spec: ServiceSpec, making: Making): Docker.ContainerCreateOptions {
  const { image, owner, user, paths } = making;
  const { memoryBytes, cpus, pids } = spec.limits;
  return {
    name: containerName(owner, spec.id),
    Image: image,
    User: `${user.uid}:${user.gid}`,
    Env: Object.entries(environmentOf(spec)).map(([name, value]) => `${name}=${value}`),
    Labels: labelsOf(spec, owner),
    OpenStdin: true,
    StdinOnce: false,
    NetworkDisabled: true,
    HostConfig: {
      NetworkMode: 'none',
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Privileged: false,
      ReadonlyRootfs: true,
      Binds: foldersOf(spec).map(({ from, to, mode }) => `${paths.onHost(from)}:${to}:${mode}`),
      Tmpfs: { '/tmp': `rw,noexec,nosuid,nodev,size=${TMP_BYTES},mode=1777` },
      ShmSize: 1 << 20,
      Memory: memoryBytes,
      MemorySwap: memoryBytes,
      NanoCpus: Math.round(cpus * 1e9),
      PidsLimit: pids,
      Ulimits: [
        { Name: 'core', Soft: 0, Hard: 0 },
        { Name: 'nofile', Soft: 4096, Hard: 4096 },
      ],
      LogConfig: { Type: 'json-file', Config: { 'max-size': '1m', 'max-file': '2' } },
      RestartPolicy: { Name: 'no' },
    },
  };
}

/** The engine's word for a container's state as ours. */
export function stateOf(engineState: string): InstanceState {
  if (engineState === 'running' || engineState === 'restarting') return 'running';
  if (engineState === 'paused') return 'frozen';
  return engineState === 'created' ? 'created' : 'exited';
}

export function instanceOf(info: Docker.ContainerInspectInfo): Instance {
  const { Labels: labels } = info.Config;
  const state = stateOf(info.State.Status);
  const { Pid: pid, ExitCode: code, Error: error } = info.State;
  const id = labels[LABEL.contract] ?? '';
  const common = { id, epoch: Number(labels[LABEL.epoch]), imageId: labels[LABEL.image] ?? '', state };
  if (state === 'exited') return { ...common, exit: error === '' ? String(code) : error };
  return pid > 0 ? { ...common, pid } : common;
}
