import { runService } from '@antirio/edgex-service';
import { AntirioError } from '@antirio/kernel';
import { createDeviceService } from './device-service.ts';
import type { Driver } from './driver.ts';
import { deviceSection, deviceServiceEnvironment, deviceServiceOptions } from './options.ts';

/** What counts where neither a configuration file nor the environment says otherwise. */
export interface Alone {
  readonly serviceName: string;
  readonly port?: number;
  readonly profilesDir?: string;
  readonly devicesDir?: string;
  readonly provisionWatchersDir?: string;
  /** Where the service keeps its secrets (default `./data`). */
  readonly dataDir?: string;
}

function optionsOf({ serviceName, port = 59_999, dataDir = './data', ...folders }: Alone) {
  const { shape } = deviceServiceOptions;
  const { profilesDir, devicesDir, provisionWatchersDir } = deviceSection.shape;
  const device = deviceSection.extend({
    profilesDir: folders.profilesDir === undefined ? profilesDir : profilesDir.default(folders.profilesDir),
    devicesDir: folders.devicesDir === undefined ? devicesDir : devicesDir.default(folders.devicesDir),
    provisionWatchersDir:
      folders.provisionWatchersDir === undefined
        ? provisionWatchersDir
        : provisionWatchersDir.default(folders.provisionWatchersDir),
  });
  return deviceServiceOptions.extend({
    serviceName: shape.serviceName.default(serviceName),
    port: shape.port.unwrap().default(port),
    dataDir: shape.dataDir.default(dataDir),
    device: device.prefault({}),
  });
}

/**
 * Runs a device service as the whole of this process. Its configuration: a file (the first argument, else `EDGEX_CONFIG_FILE`), then the environment under our
 * names (`DEVICE_MINE_PORT` for the service `device-mine`), then under EdgeX's (`SERVICE_PORT`).
 */
export async function runDeviceService(alone: Alone, driver: Driver): Promise<void> {
  await runService({
    serviceKey: alone.serviceName,
    options: optionsOf(alone),
    environment: deviceServiceEnvironment,
    create(options, { bus, ...ports }) {
      if (bus === undefined) throw new AntirioError('badConfig', 'a device service needs the message bus');
      return createDeviceService(options, driver, { ...ports, bus });
    },
  });
}
