import { readFileSync } from 'node:fs';
import { buildImage } from '@antirio/content-store';

/** Where the service is in its image. */
export const DEVICE_MAIN = 'app/device-lora.mjs';
export const DEVICE_TAG = 'antirio/lora-device-service:0.1.0';

/**
 * Packs the bundled device service as a docker archive that holds the service alone: the runtime `process` gives it the host's
 * own `node`. The same bundle makes the same bytes. Gives the image's id.
 */
export async function packDeviceImage(bundle: string, archive: string): Promise<string> {
  const { imageId } = await buildImage(archive, {
    files: [{ path: DEVICE_MAIN, content: readFileSync(bundle) }],
    entrypoint: ['node', `/${DEVICE_MAIN}`],
    workingDir: '/app',
    repoTags: [DEVICE_TAG],
  });
  return imageId;
}
