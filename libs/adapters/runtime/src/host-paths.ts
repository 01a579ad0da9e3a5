import { readFileSync } from 'node:fs';
import type Docker from 'dockerode';
import { AntirioError } from '@antirio/kernel';
import { ifThere } from './docker-engine.ts';

/** Where the engine's host has what this process knows by a path of its own. */
export interface HostPaths {
  /** @throws AntirioError badConfig for what lies in no mount of the container that this process runs in. */
  onHost(path: string): string;
}

interface Mount {
  readonly Destination: string;
  readonly Source?: string;
  readonly Type?: string;
}

/** For processes that run on the engine's host themselves. */
export const sameHost: HostPaths = { onHost: (path) => path };

/**
 * The container that this process runs in, from the files that engines mount into each of theirs: also where it has the host's
 * network and name.
 *
 * @param mountInfo content of /proc/self/mountinfo
 */
export function ownContainer(mountInfo: string): string | undefined {
  return /\/containers\/([0-9a-f]{64})\/(?:hostname|hosts|resolv\.conf) /.exec(mountInfo)?.[1];
}

/** By the mounts of a container, as the engine tells them. */
export function pathsByMounts(mounts: readonly Mount[]): HostPaths {
  const deepestFirst = [...mounts].sort((one, other) => other.Destination.length - one.Destination.length);
  return {
    onHost(path) {
      const mount = deepestFirst.find(
        ({ Destination: place }) =>
          path === place || path.startsWith(place.endsWith('/') ? place : `${place}/`),
      );
      if (mount?.Source === undefined || mount.Source === '')
        throw new AntirioError(
          'badConfig',
          `${path} is inside of this container, where other containers cannot see it: mount a volume there, or name a folder of a volume (dataDir, orchestrator.runRoot)`,
          { path },
        );
      return mount.Source + path.slice(mount.Destination.length);
    },
  };
}

/** How the engine's host sees this process's files: an edge may run in a container itself, beside those that it makes. */
export async function findHostPaths(docker: Docker, mountInfo = readMountInfo()): Promise<HostPaths> {
  const id = ownContainer(mountInfo);
  if (id === undefined) return sameHost;
  // Another engine's container: then this process's files are that of the engine's host only by chance, or on purpose
  const info = await ifThere('look at its own container', docker.getContainer(id).inspect());
  return info === undefined ? sameHost : pathsByMounts(info.Mounts);
}

function readMountInfo(): string {
  try {
    return readFileSync('/proc/self/mountinfo', 'utf8');
  } catch {
    return '';
  }
}
