import { runService } from '@antirio/edgex-service';
import { AntirioError } from '@antirio/kernel';
import { createDeviceService } from './device-service.ts';
import type { Driver } from './driver.ts';
import { deviceServiceEnvironment, deviceServiceOptions } from './options.ts';

/** What counts where neither a configuration file nor the environment says otherwise. */
export interface Alone {
  readonly serviceName: string;
  readonly port?: number;
  readonly profilesDir?: string;
  readonly devicesDir?: string;
  readonly provisionWatchersDir?: string;
  /** Where the service keeps its secrets (default `./data`). */
  readonly dataDir?: string;
  /** What the driver is to know (EdgeX: Driver): the environment overrides each of these by `DRIVER_<KEY>`. */
  readonly driver?: Readonly<Record<string, string>>;
  /** Sections of the service's own, with what they are where nothing else is configured; the environment overrides each key by `<SECTION>_<KEY>`. */
  readonly custom?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** The configuration that the program brings along. */
function defaultsOf({
  serviceName,
  port,
  dataDir,
  driver,
  custom,
  ...folders
}: Alone): Readonly<Record<string, unknown>> {
  return {
    port: port ?? 59_999,
    dataDir: dataDir ?? './data',
    serviceName,
    device: folders,
    driver: driver ?? {},
    custom: custom ?? {},
  };
}

/** EdgeX's sections whose keys are the service's own. */
function sectionsOf({ custom = {} }: Alone): Readonly<Record<string, string>> {
  const own = Object.keys(custom).map((section) => [section, `custom.${section}`]);
  return { ...deviceServiceEnvironment.sections, ...(Object.fromEntries(own) as Record<string, string>) };
}

/** One of several services of this kind: EdgeX's way to name it. */
function instanceOf(serviceName: string, instance = ''): string {
  return instance === '' ? serviceName : `${serviceName}_${instance}`;
}

/**
 * Runs a device service as the whole of this process. Its configuration: a file (the first argument, else `EDGEX_CONFIG_FILE`), then the environment under our
 * names (`DEVICE_MINE_PORT` for the service `device-mine`), then under EdgeX's (`SERVICE_PORT`).
 */
export async function runDeviceService(alone: Alone, driver: Driver): Promise<void> {
  const serviceName = instanceOf(alone.serviceName, process.env['EDGEX_INSTANCE_NAME']);
  await runService({
    serviceKey: serviceName,
    options: deviceServiceOptions,
    defaults: defaultsOf({ ...alone, serviceName }),
    environment: { ...deviceServiceEnvironment, sections: sectionsOf(alone) },
    create(options, { bus, ...ports }) {
      if (bus === undefined) throw new AntirioError('badConfig', 'a device service needs the message bus');
      return createDeviceService(options, driver, { ...ports, bus });
    },
  });
}
