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
 * How many of these layers, from the lowest up, some image of the engine stands on. An engine knows a layer together with all below it,
 * so one that is there above others is of no use.
 */
export async function layersInCommon(docker: Docker, diffIds: readonly string[]): Promise<number> {
  const images = await asked('list images', docker.listImages());
  const newest = images.sort((a, b) => b.Created - a.Created).slice(0, MAX_IMAGES);
  let most = 0;
  for (let at = 0; at < newest.length && most < diffIds.length; at += AT_ONCE) {
    const some = newest.slice(at, at + AT_ONCE);
    const layers = await Promise.all(
      some.map(({ Id }) => ifThere('look at an image', docker.getImage(Id).inspect())),
    );
    for (const image of layers) most = Math.max(most, commonPrefix(diffIds, image?.RootFS.Layers ?? []));
  }
  return most;
}
