import { readFileSync } from 'node:fs';
import { buildImage } from '@antirio/content-store';
import type { DemoOptions } from './options.ts';
import { buildWithEngine } from './docker-image.ts';

/** Where the service is in its image. */
export const IMAGE_MAIN = 'app/device-lora.mjs';
const REPO_TAG = 'antirio/lora-device-service:demo';

export interface DeviceImageSpec {
  /** The device service as one file. */
  readonly bundle: string;
  /** Docker archive to be written. */
  readonly archive: string;
  readonly runtime: DemoOptions['runtime'];
}

/**
 * Builds the image of A's device service as a docker archive. For the runtime `process` no engine is needed: the image holds
 * the service alone, its `node` is the host's. Gives what was built, for the reader.
 */
export async function buildDeviceImage({ bundle, archive, runtime }: DeviceImageSpec): Promise<string> {
  if (runtime === 'docker') return buildWithEngine({ bundle, archive, tag: REPO_TAG, main: IMAGE_MAIN });
  const { imageId } = await buildImage(archive, {
    files: [{ path: IMAGE_MAIN, content: readFileSync(bundle) }],
    entrypoint: ['node', `/${IMAGE_MAIN}`],
    workingDir: '/app',
    repoTags: [REPO_TAG],
  });
  return `image ${imageId.slice(0, 12)} of the device service`;
}
