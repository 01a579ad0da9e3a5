import { DEVICE_MAIN, DEVICE_TAG, packDeviceImage } from '@antirio/device-image';
import type { DemoOptions } from './options.ts';
import { buildWithEngine } from './docker-image.ts';

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
  const [name = DEVICE_TAG] = DEVICE_TAG.split(':');
  if (runtime === 'docker') return buildWithEngine({ bundle, archive, name, main: DEVICE_MAIN });
  const imageId = await packDeviceImage(bundle, archive);
  return `image ${imageId.slice(0, 12)} of the device service`;
}
