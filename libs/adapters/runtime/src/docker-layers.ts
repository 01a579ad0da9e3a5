import type Docker from 'dockerode';
import { asked, ifThere } from './docker-engine.ts';

/** Images that are looked at, the newest first: an engine may hold any number. */
const MAX_IMAGES = 256;
const AT_ONCE = 8;

function commonPrefix(a: readonly string[], b: readonly string[]): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}

/**
 * Whether the engine keeps images in containerd (Engine API, SystemInfo.DriverStatus). Such an engine keeps layers as they came, and
 * knows an image by the hash of its manifest.
 */
export async function keepsInContainerd(docker: Docker): Promise<boolean> {
  const { DriverStatus: status } = (await asked('tell of itself', docker.info())) as {
    DriverStatus?: unknown;
  };
  return JSON.stringify(status ?? []).includes('io.containerd.snapshotter');
}

/**
 * How many of these layers, from the lowest up, some image of the engine stands on. An engine knows a layer together with all below it,
 * so one that is there above others is of no use.
 * @param among where only some images count: their names
 */
export async function layersInCommon(
  docker: Docker,
  diffIds: readonly string[],
  among?: readonly string[],
): Promise<number> {
  const names = (among ?? (await newestOf(docker))).slice(0, MAX_IMAGES);
  let most = 0;
  for (let at = 0; at < names.length && most < diffIds.length; at += AT_ONCE) {
    const some = names.slice(at, at + AT_ONCE);
    const images = await Promise.all(
      some.map((name) => ifThere('look at an image', docker.getImage(name).inspect())),
    );
    for (const image of images) most = Math.max(most, commonPrefix(diffIds, image?.RootFS.Layers ?? []));
  }
  return most;
}

async function newestOf(docker: Docker): Promise<string[]> {
  const images = await asked('list images', docker.listImages());
  return images.sort((a, b) => b.Created - a.Created).map(({ Id }) => Id);
}
