import { isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import {
  createHttpRim,
  issuesOf,
  openableService,
  type Health,
  type HttpPeer,
  type HttpRim,
  type OpenRoom,
  type PortService,
} from '@antirio/host';
import { createEdgexService, type EdgexService } from '@antirio/edgex-service';
import { device, deviceProfile, parseJsonBytes, provisionWatcher } from '@antirio/edgex-contracts';
import type { DeviceSdk, DeviceServicePorts, Driver, NewProvision } from './driver.ts';
import type { DeviceServiceOptions } from './options.ts';
import { createRunning, type Running } from './running.ts';
import { prefixedBus } from './prefixed-bus.ts';
import { readProvision, type Provision } from './provision-files.ts';
import { addCommandRoutes } from './routes.ts';
import { addSearchRoutes } from './search-routes.ts';
import { addServiceFigures, lastConnectedGauges } from './service-figures.ts';
import { createOwnCounters, type OwnCounters } from './metrics.ts';

/** EdgeX's version whose API this is. */
const VERSION = '4.0.0';

/** A device service, in this process. */
export interface DeviceServiceRoom extends PortService {
  /** What the driver is given too; there while the service runs. @throws AntirioError unavailable */
  readonly sdk: DeviceSdk;
  /** For routes of the service's own; to be added before the start. */
  addRoutes(add: (rim: HttpRim) => void): void;
  /** Resolves when core-metadata has the service with all that it brings. */
  registered(): Promise<void>;
}

function metadataOf(peers: DeviceServicePorts['peers']): HttpPeer {
  const peer = peers['core-metadata'] ?? peers['coreMetadata'];
  if (peer === undefined)
    throw new AntirioError('badConfig', 'a device service needs the peer core-metadata');
  return peer;
}

const given = z.object({
  profiles: z.array(deviceProfile).default([]),
  devices: z.array(device).default([]),
  provisionWatchers: z.array(provisionWatcher).default([]),
});

/** @throws AntirioError badConfig */
function provisionOf(options: DeviceServiceOptions, ports: DeviceServicePorts): Provision {
  const { serviceName } = options;
  const states = { adminState: 'UNLOCKED', operatingState: 'UP' };
  const { profiles = [], devices = [], provisionWatchers = [] }: NewProvision = ports.provision ?? {};
  const checked = given.safeParse({
    profiles,
    devices: devices.map((one) => ({ ...states, ...one, serviceName })),
    provisionWatchers: provisionWatchers.map((one) => ({ ...one, serviceName })),
  });
  if (!checked.success)
    throw new AntirioError('badConfig', `bad configuration: provision: ${issuesOf(checked.error)}`);
  const files = readProvision(options.device, serviceName, ports.log);
  return {
    profiles: [...checked.data.profiles, ...files.profiles],
    devices: [...checked.data.devices, ...files.devices],
    watchers: [...checked.data.provisionWatchers, ...files.watchers],
    skipped: files.skipped,
  };
}

async function listen(rim: HttpRim, { socket, port, bind }: DeviceServiceOptions): Promise<number> {
  if (socket === undefined) return rim.listen(port, bind);
  await rim.listenOn(socket);
  return port;
}

const ANY = new Set(['0.0.0.0', '::']);

/** What core-metadata is told, and others call. */
function addressOf({ baseAddress, service, bind }: DeviceServiceOptions, port: number): string {
  if (baseAddress !== undefined) return baseAddress;
  const host = service.host ?? (ANY.has(bind) ? hostname() : bind);
  return `http://${isIPv6(host) ? `[${host}]` : host}:${port}`;
}

const writable = z.object({
  Reading: z.object({ ReadingUnits: z.union([z.boolean(), z.stringbool()]).optional() }).optional(),
});

interface Opening {
  readonly options: DeviceServiceOptions;
  readonly driver: Driver;
  readonly ports: DeviceServicePorts;
  readonly routes: readonly ((rim: HttpRim) => void)[];
}

interface Opened extends OpenRoom {
  readonly running: Running;
}

/** What comes to be while the service opens. */
interface Later {
  readonly running: () => Running;
  readonly counters: () => OwnCounters;
  readonly settings: { readingUnits: boolean };
}

function edgexOf({ options, ports }: Opening, later: Later): EdgexService {
  const parts = (): Running['parts'] => later.running().parts;
  return createEdgexService({
    serviceKey: options.serviceName,
    isDeviceService: true,
    options,
    ports,
    writable: {
      schema: writable,
      configured: {},
      apply({ Reading = {} }) {
        later.settings.readingUnits = Reading.ReadingUnits ?? true;
      },
    },
    counters: () => ({
      EventsSent: () => parts().events.counts.events,
      ReadingsSent: () => parts().events.counts.readings,
      ReadCommandsExecuted: () => parts().commands.counts.read,
      ...later.counters().telemetry(),
    }),
    gauges: () => lastConnectedGauges(parts().cache),
  });
}

function rimOf({ options, ports }: Opening, edgex: EdgexService, health: () => Health): HttpRim {
  const { clock, log } = ports;
  return createHttpRim({
    serviceKey: options.serviceName,
    version: VERSION,
    config: () => edgex.config(),
    health,
    log,
    clock,
    maxBodyBytes: options.maxBodyBytes,
    parseBody: (bytes) => (bytes.length === 0 ? undefined : parseJsonBytes(bytes)),
    before: edgex.before,
  });
}

function addAllRoutes(opening: Opening, rim: HttpRim, { parts }: Running, edgex: EdgexService): void {
  const { options, driver, ports, routes } = opening;
  const { random } = ports;
  const mayDiscover = options.device.discovery.enabled && driver.discover !== undefined;
  addServiceFigures(rim.metrics, parts);
  edgex.addRoutes(rim);
  addCommandRoutes(rim, { commands: parts.commands, random });
  addSearchRoutes(rim, { ...parts, random, mayDiscover });
  for (const add of routes) add(rim);
}

async function openRoom(opening: Opening): Promise<Opened> {
  const { options, ports } = opening;
  const settings = { readingUnits: true };
  const later: Later = { running: () => running, counters: () => counters, settings };
  const provision = provisionOf(options, ports);
  const edgex = edgexOf(opening, later);
  const health = (): Health => running.health();
  const rim = rimOf(opening, edgex, health);
  const counters = createOwnCounters(rim.metrics);
  let port = options.port;
  const running: Running = createRunning({
    ...opening,
    provision,
    settings,
    metadata: metadataOf(ports.peers),
    baseAddress: () => addressOf(options, port),
    secret: (name) => edgex.secrets.get(name),
    countAs: (name) => counters.countAs(name),
  });
  addAllRoutes(opening, rim, running, edgex);
  await edgex.follow();
  try {
    port = await listen(rim, options);
  } catch (error) {
    await edgex.stop();
    throw error;
  }
  running.start();
  if (options.socket === undefined) edgex.register(port);
  return {
    running,
    port,
    health,
    async stop() {
      await edgex.stop();
      await rim.close();
      await running.stop();
    },
  };
}

/**
 * A device service as EdgeX has them: registers itself and what it brings with core-metadata, keeps to what that has, and lets devices be read and written by
 * way of its driver. It starts without core-metadata and without a bus, and goes on when they come.
 */
export function createDeviceService(
  options: DeviceServiceOptions,
  driver: Driver,
  ports: DeviceServicePorts,
): DeviceServiceRoom {
  const bus = options.topicPrefix === '' ? ports.bus : prefixedBus(ports.bus, options.topicPrefix);
  const routes: ((rim: HttpRim) => void)[] = [];
  let opened: Opened | undefined;
  const room = openableService(options.serviceName, options.port, async () => {
    opened = await openRoom({ options, driver, ports: { ...ports, bus }, routes });
    return opened;
  });
  const running = (): Running => {
    if (opened === undefined) throw new AntirioError('unavailable', `${options.serviceName} does not run`);
    return opened.running;
  };
  return {
    name: room.name,
    get port() {
      return room.port;
    },
    get sdk() {
      return running().parts.sdk;
    },
    start: () => room.start(),
    async stop() {
      await room.stop();
      opened = undefined;
    },
    health: () => room.health(),
    addRoutes: (add) => void routes.push(add),
    registered: () => running().registered,
  };
}
