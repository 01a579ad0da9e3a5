import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import {
  announcedUrl,
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
import { within } from './within.ts';
import { createOwnCounters, type OwnCounters } from './metrics.ts';

const OCTETS = 'application/octet-stream';
/** EdgeX's version whose API this is. */
const VERSION = '4.0.0';
/** For telling core-keeper that the service ends. */
const STOP_MS = 2000;

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

function givenBy({ provision = {} }: DeviceServicePorts, serviceName: string): z.output<typeof given> {
  const {
    profiles = [],
    devices = [],
    provisionWatchers = [],
  }: NewProvision = typeof provision === 'function' ? provision() : provision;
  const states = { adminState: 'UNLOCKED', operatingState: 'UP' };
  const checked = given.safeParse({
    profiles,
    devices: devices.map((one) => ({ ...states, ...one, serviceName })),
    provisionWatchers: provisionWatchers.map((one) => ({ ...one, serviceName })),
  });
  if (checked.success) return checked.data;
  throw new AntirioError('badConfig', `bad configuration: provision: ${issuesOf(checked.error)}`);
}

/** @throws AntirioError badConfig */
async function provisionOf(options: DeviceServiceOptions, ports: DeviceServicePorts): Promise<Provision> {
  const { serviceName } = options;
  const { profiles, provisionWatchers } = givenBy(ports, serviceName);
  const files = await readProvision(options.device, serviceName, ports.log);
  return {
    profiles: [...profiles, ...files.profiles],
    devices: () => [...givenBy(ports, serviceName).devices, ...files.devices()],
    watchers: [...provisionWatchers, ...files.watchers],
    skipped: files.skipped,
  };
}

async function listen(rim: HttpRim, { socket, port, bind }: DeviceServiceOptions): Promise<number> {
  if (socket === undefined) return rim.listen(port, bind);
  await rim.listenOn(socket);
  return port;
}

const writable = z.object({
  Reading: z.object({ ReadingUnits: z.union([z.boolean(), z.stringbool()]).optional() }).optional(),
});

interface Opening {
  readonly options: DeviceServiceOptions;
  readonly driver: Driver;
  readonly ports: DeviceServicePorts;
  readonly routes: readonly ((rim: HttpRim) => void)[];
  /** The service at work, while it is. */
  readonly running: () => Running | undefined;
  /** It is at work, or not any more. */
  readonly setRunning: (running: Running | undefined) => void;
}

/** What the service shows of itself, to HTTP and in the telemetry. */
interface Front {
  readonly rim: HttpRim;
  readonly edgex: EdgexService;
  readonly counters: OwnCounters;
  readonly settings: { readingUnits: boolean };
}

function edgexOf(
  { options, ports, running }: Opening,
  settings: Front['settings'],
  counters: () => OwnCounters,
): EdgexService {
  const parts = (): Running['parts'] | undefined => running()?.parts;
  return createEdgexService({
    serviceKey: options.serviceName,
    isDeviceService: true,
    options,
    ports,
    writable: {
      schema: writable,
      configured: {},
      apply({ Reading = {} }) {
        settings.readingUnits = Reading.ReadingUnits ?? true;
      },
    },
    counters: () => ({
      EventsSent: () => parts()?.events.counts.events ?? 0,
      ReadingsSent: () => parts()?.events.counts.readings ?? 0,
      ReadCommandsExecuted: () => parts()?.commands.counts.read ?? 0,
      ...counters().telemetry(),
    }),
    gauges: () => lastConnectedGauges(parts()?.cache),
  });
}

const healthOf = (running: Running, ports: DeviceServicePorts): Health => ({
  ...running.health(),
  ...ports.health?.(),
});

function ownRim({ options, ports, running }: Opening, edgex: EdgexService): HttpRim {
  const { clock, log } = ports;
  return createHttpRim({
    access: ports.access,
    serviceKey: options.serviceName,
    version: VERSION,
    config: () => edgex.config(),
    health: () => {
      const now = running();
      const notStarted = { ok: false, detail: 'not started' };
      return now === undefined ? { [options.serviceName]: notStarted } : healthOf(now, ports);
    },
    log,
    clock,
    maxBodyBytes: options.maxBodyBytes,
    // a route of the service's own may take bytes as they are
    parseBody: (bytes, contentType) =>
      bytes.length === 0 || contentType === OCTETS ? undefined : parseJsonBytes(bytes),
    before: edgex.before,
  });
}

/** The routes outlive one run of the service: what they do is the current run's. */
function openFront(opening: Opening): Front {
  const { options, driver, ports, routes } = opening;
  const settings = { readingUnits: true };
  const edgex = edgexOf(opening, settings, () => counters);
  const rim = ports.front?.rim ?? ownRim(opening, edgex);
  const counters = createOwnCounters(rim.metrics);
  const parts = (): Running['parts'] => atWork(opening).parts;
  const { random } = ports;
  const mayDiscover = options.device.discovery.enabled && driver.discover !== undefined;
  addServiceFigures(rim.metrics, () => opening.running()?.parts);
  edgex.addRoutes(rim);
  addCommandRoutes(rim, { commands: () => parts().commands, random });
  addSearchRoutes(rim, { parts, random, mayDiscover });
  for (const add of routes) add(rim);
  return { rim, edgex, counters, settings };
}

/** @throws AntirioError unavailable */
function atWork({ options, running }: Pick<Opening, 'options' | 'running'>): Running {
  const now = running();
  if (now === undefined) throw new AntirioError('unavailable', `${options.serviceName} does not run`);
  return now;
}

async function openRoom(opening: Opening, { rim, edgex, counters, settings }: Front): Promise<OpenRoom> {
  const { options, ports, setRunning } = opening;
  const { front } = ports;
  let port = options.port;
  const running: Running = createRunning({
    ...opening,
    provision: await provisionOf(options, ports),
    settings,
    metadata: metadataOf(ports.peers),
    baseAddress: () =>
      options.baseAddress ??
      front?.baseAddress() ??
      announcedUrl(ports.access, options.service.host ?? options.bind, port),
    secret: (name) => edgex.secrets.get(name),
    followSection: (section, configured, changed) => edgex.followSection(section, configured, changed),
    onSecretChange: (name, changed) => edgex.secrets.onChange(name, changed),
    countAs: (name) => counters.countAs(name),
  });
  setRunning(running);
  await edgex.follow();
  try {
    if (front === undefined) port = await listen(rim, options);
  } catch (error) {
    setRunning(undefined);
    await edgex.stop();
    throw error;
  }
  running.start();
  if (options.socket === undefined && front === undefined) edgex.register(port);
  return {
    port,
    health: () => healthOf(running, ports),
    async stop() {
      running.halt();
      await Promise.all([within(STOP_MS, edgex.stop()), front === undefined ? rim.close() : undefined]);
      await running.stop();
      setRunning(undefined);
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
  const { socket, baseAddress, topicPrefix } = options;
  if (socket !== undefined && baseAddress === undefined && ports.front === undefined)
    throw new AntirioError(
      'badConfig',
      'a device service on a socket needs baseAddress: core-command could not reach it otherwise',
    );
  const bus = topicPrefix === '' ? ports.bus : prefixedBus(ports.bus, topicPrefix);
  const routes: ((rim: HttpRim) => void)[] = [];
  let running: Running | undefined;
  const opening: Opening = {
    options,
    driver,
    ports: { ...ports, bus },
    routes,
    running: () => running,
    setRunning: (now) => (running = now),
  };
  // a rim that is another's takes routes before it listens only
  const shared = ports.front === undefined ? undefined : openFront(opening);
  const room = openableService(options.serviceName, options.port, () =>
    openRoom(opening, shared ?? openFront(opening)),
  );
  return {
    name: room.name,
    get port() {
      return room.port;
    },
    get sdk() {
      return atWork(opening).parts.sdk;
    },
    start: () => room.start(),
    stop: () => room.stop(),
    health: () => room.health(),
    addRoutes: (add) => void routes.push(add),
    registered: () => atWork(opening).registered,
  };
}
