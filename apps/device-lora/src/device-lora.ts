import {
  addEventRequestToJson,
  newAddEventRequest,
  stringifyJson,
  type DeviceProfile,
  type Event,
} from '@antirio/edgex-contracts';
import {
  createDeviceService,
  deviceServiceOptions,
  type DeviceServiceOptions,
  type DeviceServiceRoom,
  type NewDevice,
} from '@antirio/device-sdk';
import { AntirioError, type Clock, type Random } from '@antirio/kernel';
import type { Bus, Health, HttpPeer, HttpRim, Log, Service, RimAccess } from '@antirio/host';
import { openChirpStack, type ChirpStack } from './chirpstack/chirpstack.ts';
import { addChirpStackMetrics, addChirpStackRoutes, unseenOf } from './chirpstack/routes.ts';
import { attachToOwnBroker } from './chirpstack/sources.ts';
import { withChirpStack } from './chirpstack/with-chirpstack.ts';
import { addConflictRoutes } from './conflict-routes.ts';
import { openControl, type ControlMessage } from './control.ts';
import { addLoraRoutes } from './lora-routes.ts';
import { addMetrics } from './metrics.ts';
import { addJoinRoutes } from './join/routes.ts';
import { addMacRoutes } from './mac/mac-routes.ts';
import { createLoraDriver } from './north/driver.ts';
import { readFromRings, type DeviceLoraOptions, type DeviceOptions } from './options.ts';
import { loraEnvironmentSensor } from './profile.ts';
import { openSouth, type South } from './south.ts';
import { healthOf, statusOf } from './status.ts';

export interface DeviceLoraPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Who may call by HTTP; without it everybody who reaches the port. */
  readonly access?: RimAccess | undefined;
  readonly bus: Bus;
  /** `coreData`, `coreMetadata`, and `gatewayBridge` where the ring is the edge's own. */
  readonly peers: Readonly<Record<string, HttpPeer>>;
}

export interface DeviceLora extends Service {
  /** The HTTP port in use, once started; undefined on a unix socket. */
  readonly port: number | undefined;
}

const VERSION = '0.1.0';

interface Room extends DeviceLoraPorts {
  readonly options: DeviceLoraOptions;
  readonly profiles: ReadonlyMap<string, DeviceProfile>;
  /** What was opened; closed in the opposite order. */
  readonly opened: (() => unknown)[];
}

function profilesOf({ profiles }: DeviceLoraOptions): Map<string, DeviceProfile> {
  return new Map([loraEnvironmentSensor, ...profiles].map((profile) => [profile.name, profile]));
}

/** The options of the device service that we are on our north side. */
function serviceOptions(options: DeviceLoraOptions): DeviceServiceOptions {
  const { serviceName, prefix, dataDir, bind, port, listen } = options;
  const where = listen ?? { port, bind };
  return deviceServiceOptions.parse({
    serviceName,
    topicPrefix: prefix,
    dataDir,
    // who holds the other end of the socket tells core-metadata where that is
    ...('socket' in where ? { socket: where.socket, baseAddress: `http://${bind}:${port}` } : where),
    // its readings do not wait for core-metadata: what changes there is told by system events, where there are any
    refreshIntervalMs: 600_000,
    // the codecs give what the resources say
    device: { labels: ['lorawan'], dataTransform: false },
  });
}

function deviceOf({ name, profileName, devEui, devAddr, codec, activation }: DeviceOptions): NewDevice {
  const lorawan = { devEUI: devEui, codec, activation, ...(devAddr === undefined ? {} : { devAddr }) };
  return { name, profileName, labels: ['lorawan'], protocols: { lorawan } };
}

function metadataOf({ peers }: Room): HttpPeer {
  const found = peers['coreMetadata'];
  if (found === undefined) throw new AntirioError('badConfig', 'device-lora needs the peer coreMetadata');
  return found;
}

/** Events of commands and auto events go the way of the readings: to core-data, as often as it takes. */
async function store({ poster }: South, serviceName: string, event: Event): Promise<void> {
  const { profileName, deviceName, sourceName } = event;
  const path = [serviceName, profileName, deviceName, sourceName].map(encodeURIComponent).join('/');
  const body = stringifyJson(addEventRequestToJson(newAddEventRequest(event)));
  const posted = await poster.post({ path: `/api/v3/event/${path}`, body }, true);
  if (posted.kind === 'refused') throw new AntirioError('failed', posted.why);
  if (posted.kind === 'stopped') throw new AntirioError('unavailable', 'the service stops');
}

/** The south sides as the north shows them: each device is asked of the network that it is in. */
interface Shown extends ReturnType<typeof withChirpStack> {
  readonly south: South;
  readonly chirpStack: ChirpStack | undefined;
}

/** The north side: an EdgeX device service. */
function createNorth(
  room: Room,
  { south, chirpStack, ...shown }: Shown,
  addRoutes: (rim: HttpRim) => void,
): DeviceServiceRoom {
  const { options, profiles, clock, random, log, bus } = room;
  const { devices, serviceName } = options;
  const wanted = new Set([
    ...devices.map(({ profileName }) => profileName),
    ...options.profiles.map(({ name }) => name),
  ]);
  const driver = createLoraDriver({
    ...{ devices, clock },
    ...south,
    ...shown,
    devAddrOf: ({ devEui }) => south.activation.sessions?.currentOf(devEui)?.devAddr,
  });
  const north = createDeviceService(serviceOptions(options), driver, {
    ...{ clock, random, log, bus, peers: { coreMetadata: metadataOf(room) }, access: room.access },
    provision: () => ({
      profiles: [...profiles.values()].filter(({ name }) => wanted.has(name)),
      devices: devices.map(deviceOf),
    }),
    eventSink: (event) => store(south, serviceName, event),
    health: () => ({
      ...healthOf(south),
      ...(chirpStack === undefined ? {} : { chirpStack: chirpStack.check() }),
    }),
  });
  north.addRoutes(addRoutes);
  return north;
}

/** ChirpStack, where it is the network server of devices. */
function openNetworkServer(room: Room, south: South): ChirpStack | undefined {
  const { chirpStack } = room.options;
  if (chirpStack === undefined) return undefined;
  const opened = openChirpStack({ ...room, chirpStack, south });
  room.opened.push(() => opened.close());
  return opened;
}

interface Opened {
  readonly north: DeviceServiceRoom;
  readonly south: South;
}

async function openAll(room: Room): Promise<Opened> {
  const { options, bus, log, opened } = room;
  const { serviceName, instance, prefix, devices } = options;
  const south = await openSouth({ ...room, options: { ...options, devices: devices.filter(readFromRings) } });
  const { activation } = south;
  const chirpStack = openNetworkServer(room, south);
  const shown: Shown = { ...withChirpStack(south, chirpStack), south, chirpStack };
  const status = (): unknown => ({ ...statusOf(south), version: VERSION, ring: options.ring });
  const north = createNorth(room, shown, (rim) => {
    rim.route('get', '/api/v3/status', { summary: 'what the service tells on the bus' }, () => status());
    addLoraRoutes(rim, {
      ...{ ...south, ...shown, devices },
      sessions: () => activation.sessions,
      ofNetworkServer: (device) => chirpStack?.device(device),
    });
    addMacRoutes(rim, { ...south, devices, writeDown: south.writeMacs, sessions: () => activation.sessions });
    addJoinRoutes(rim, south.joinHome);
    addConflictRoutes(rim, {
      ...{ ...south, devices },
      sessions: () => activation.sessions,
      unseenElsewhere: () => (chirpStack === undefined ? [] : unseenOf(chirpStack)),
    });
    addMetrics(rim.metrics, south);
    if (chirpStack === undefined) return;
    addChirpStackRoutes(rim, chirpStack);
    addChirpStackMetrics(rim.metrics, chirpStack);
  });
  await north.start();
  opened.push(() => north.stop());
  if (options.startState === 'reading' && options.secretsFile !== undefined)
    await activation.activate(options.secretsFile);
  await chirpStack?.begin();
  const onControl = (message: ControlMessage): Promise<void> =>
    message.type === 'standdown' ? activation.standDown() : activation.activate(message.secretsFile);
  const control = await openControl({ bus, prefix, serviceName, instance, log, onControl, status });
  opened.push(() => control.close());
  return { north, south };
}

/**
 * The LoRaWAN device service: sessions, readings, downlinks. In an edge, or as a customer's image at another one.
 * @throws AntirioError badConfig
 */
export function createDeviceLora(options: DeviceLoraOptions, ports: DeviceLoraPorts): DeviceLora {
  const log = ports.log.child({ room: options.serviceName });
  const opened: (() => unknown)[] = [];
  const room: Room = { ...ports, log, options, profiles: profilesOf(options), opened };
  const isOnSocket = options.listen !== undefined && 'socket' in options.listen;
  if (options.chirpStack !== undefined) attachToOwnBroker(options.chirpStack, ports.bus);
  let running: Opened | undefined;
  return {
    name: options.serviceName,
    async start() {
      running = await openAll(room);
      const { state } = running.south.activation;
      log.info({ port: running.north.port, state, devices: options.devices.length }, 'listening');
    },
    async stop() {
      running = undefined;
      for (const close of opened.splice(0).reverse()) await close();
    },
    async health(): Promise<Health> {
      return running === undefined
        ? { service: { ok: false, detail: 'not started' } }
        : running.north.health();
    },
    get port() {
      return isOnSocket ? undefined : running?.north.port;
    },
  };
}
