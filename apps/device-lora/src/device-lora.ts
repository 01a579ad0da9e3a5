import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceProfile } from '@antirio/edgex-contracts';
import { AntirioError, type Clock, type Random } from '@antirio/kernel';
import {
  createHttpRim,
  repeat,
  type Bus,
  type Health,
  type HttpPeer,
  type HttpRim,
  type Log,
  type Repeating,
  type Service,
} from '@antirio/host';
import { parseDevAddr, type DevEui } from '@antirio/lorawan';
import { createActivation } from './activation.ts';
import { openControl, type ControlMessage } from './control.ts';
import { openDownCounters, type DownCounters } from './downlink/counters.ts';
import { createSender, type DownlinkSender } from './downlink/sender.ts';
import { createDownlinkStore } from './downlink/store.ts';
import { openTransmitter, type Transmitter } from './downlink/transmitter.ts';
import { createJoinServer, type JoinServer } from './join/join-server.ts';
import { addLoraRoutes, lastHeardOf, type LastHeard } from './lora-routes.ts';
import { createMacLayer, type MacLayer } from './mac/mac-layer.ts';
import { createMacStore } from './mac/store.ts';
import { createLatest, type Latest } from './latest.ts';
import { addMetrics } from './metrics.ts';
import { bootstrap } from './north/bootstrap.ts';
import { createPoster, type Poster } from './north/poster.ts';
import type { DeviceLoraOptions } from './options.ts';
import { createJoinStore, type JoinStore } from './join/store.ts';
import { openOwnRing, type OwnRing, type Wanted } from './own-ring.ts';
import { loraEnvironmentSensor } from './profile.ts';
import { addRoutes } from './routes.ts';
import { healthOf, statusOf, type Telling } from './status.ts';
import { openStore } from './database.ts';
import { createUplinkStore, type UplinkStore } from './store.ts';
import { openReader, type Reader } from './uplink/reader.ts';
import type { SessionBook } from './uplink/session-book.ts';
import { answerValidations } from './validation.ts';

export interface DeviceLoraPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly bus: Bus;
  /** `coreData`, `coreMetadata`, and `gatewayBridge` where the ring is the edge's own. */
  readonly peers: Readonly<Record<string, HttpPeer>>;
}

export interface DeviceLora extends Service {
  /** The HTTP port in use, once started; undefined on a unix socket. */
  readonly port: number | undefined;
}

const VERSION = '0.1.0';
const ROOM = 'device-lora';
const OWN = 'own';

interface Room extends DeviceLoraPorts {
  readonly options: DeviceLoraOptions;
  readonly profiles: ReadonlyMap<string, DeviceProfile>;
  /** The newest reading by device and resource. */
  readonly latest: Latest;
  readonly lastHeard: Map<DevEui, LastHeard>;
  /** What was opened; closed in the opposite order. */
  readonly opened: (() => unknown)[];
}

function profilesOf({ profiles }: DeviceLoraOptions): Map<string, DeviceProfile> {
  return new Map([loraEnvironmentSensor, ...profiles].map((profile) => [profile.name, profile]));
}

function peer({ peers }: Room, name: string): HttpPeer {
  const found = peers[name];
  if (found === undefined) throw new AntirioError('badConfig', `device-lora needs the peer ${name}`);
  return found;
}

/** What the ring has to take: the addresses that devices have or had lately, and the JoinRequests of those that join. */
function wantedOf({ devices }: DeviceLoraOptions, joins: JoinStore): Wanted {
  const joining = new Set(
    devices.filter(({ activation }) => activation === 'otaa').map(({ devEui }) => devEui),
  );
  const fixed = devices.flatMap(({ devAddr }) => devAddr ?? []);
  const given = joins.all().flatMap(({ devEui, devAddr }) => (joining.has(devEui) ? devAddr : []));
  return { devices: devices.length, devAddrs: [...new Set([...fixed, ...given])], devEuis: [...joining] };
}

/** The ring of the edge itself is told what is stored; a contract's ring is acknowledged by its owner alone. */
function openRing({ options, peers, log, opened }: Room, joins: JoinStore): OwnRing | undefined {
  const bridge = peers['gatewayBridge'];
  const { prefix } = options;
  if (options.ring !== OWN || prefix !== '' || bridge === undefined) return undefined;
  const ring = openOwnRing({
    bridge,
    ring: OWN,
    prefix,
    log,
    wanted: () => wantedOf(options, joins),
    wasGiven: (devAddr) => joins.wasGiven(parseDevAddr(devAddr)),
  });
  opened.push(() => ring.stop());
  return ring;
}

interface JoinParts {
  readonly joins: JoinStore;
  readonly ring: OwnRing | undefined;
  readonly transmitter: Transmitter;
  readonly counters: DownCounters;
  readonly sessions: () => SessionBook | undefined;
}

/** Joins are served where the ring is ours to fill: elsewhere a device could not be heard with its new address. */
function openJoinServer(room: Room, { ring, counters, ...parts }: JoinParts): JoinServer | undefined {
  if (ring === undefined) return undefined;
  const server = createJoinServer({
    ...room,
    ...parts,
    ensureRing: () => ring.ensure(),
    onOffered: ({ devAddr }) => counters.prepare(devAddr),
  });
  room.opened.push(() => server.close());
  return server;
}

interface ReadingParts {
  readonly store: UplinkStore;
  readonly poster: Poster;
  readonly sender: DownlinkSender;
  readonly mac: MacLayer;
  readonly ring: OwnRing | undefined;
  readonly joinServer: JoinServer | undefined;
}

async function openReading(room: Room, parts: ReadingParts): Promise<Reader> {
  const { profiles, latest, lastHeard, opened } = room;
  const { store, poster, sender, mac, ring, joinServer } = parts;
  const reader = await openReader({
    ...room,
    store,
    poster,
    profileOf: (name) => profiles.get(name),
    onHeard: (heard) => sender.heard(heard),
    onReset: (session) => mac.reset(session),
    onJoin: (join) => joinServer?.heard(join),
    onStored: (heard, readings) => {
      const { device } = heard.session;
      const told = lastHeard.get(device.devEui);
      if (told === undefined || told.at <= heard.uplink.receivedAt)
        lastHeard.set(device.devEui, lastHeardOf(heard));
      latest.set(device.name, readings);
    },
    onCursor: (seq) => ring?.acknowledge(seq),
  });
  opened.push(() => reader.close());
  if (reader.cursor > 0) ring?.acknowledge(reader.cursor);
  return reader;
}

/** Listens; gives the port, undefined for a socket. */
async function listen(
  rim: HttpRim,
  { listen: given, port, bind }: DeviceLoraOptions,
): Promise<number | undefined> {
  const where = given ?? { port, bind };
  if (!('socket' in where)) return rim.listen(where.port, where.bind);
  // left by a process that was killed
  rmSync(where.socket, { force: true });
  await rim.listenOn(where.socket);
  return undefined;
}

/** What core-data refused is tried again now and then: a profile or a device may be there by then. */
function retryParked(store: UplinkStore, poster: Poster, intervalMs: number, log: Log): Repeating {
  return repeat('storing what was refused', intervalMs, log, async () => {
    for (const event of store.parked(100)) {
      const outcome = await poster.tryOnce(event);
      if (outcome.kind === 'stored') store.unpark(event.id);
      else if (outcome.kind === 'unavailable') return;
    }
  });
}

function withoutSecrets({ bus, ...options }: DeviceLoraOptions): unknown {
  if (bus === undefined) return options;
  const { password: _, ...address } = bus;
  return { ...options, bus: address };
}

interface Opened {
  readonly telling: Telling;
  readonly port: number | undefined;
}

async function openAll(room: Room, health: () => Health): Promise<Opened> {
  const { options, bus, clock, random, log, profiles, latest, opened } = room;
  const { serviceName, prefix, region } = options;
  const db = openStore(join(options.dataDir, ROOM, 'device-lora.db'));
  opened.push(() => db.close());
  const store = createUplinkStore(db);
  const downlinks = createDownlinkStore(db);
  const poster = createPoster({ coreData: peer(room, 'coreData'), ...options.reading });
  const highestUsed = (devAddr: string): number | undefined => downlinks.highestUsed(devAddr);
  const counters = await openDownCounters({ bus, prefix, clock, random, log, highestUsed });
  opened.push(() => counters.close());
  const transmitter = await openTransmitter({ bus, prefix, region, random });
  opened.push(() => transmitter.close());
  const mac = createMacLayer({ options, store: createMacStore(db), clock, log });
  const { answerUplinks, sendDownlinks } = options;
  const sender = createSender({
    ...{ transmitter, sendDownlinks, answerUplinks, store: downlinks },
    ...{ mac, counters, clock, log },
  });
  const joins = createJoinStore(db);
  const ring = openRing(room, joins);
  const joinServer = openJoinServer(room, {
    joins,
    ring,
    transmitter,
    counters,
    sessions: () => activation.sessions,
  });
  const reader = await openReading(room, { store, poster, sender, mac, ring, joinServer });
  const activation = createActivation({ options, reader, counters, store, joins, log });
  const retrying = retryParked(store, poster, options.reading.parkedRetryMs, log);
  opened.push(() => retrying.stop());

  const config = (): unknown => withoutSecrets(options);
  const rim = createHttpRim({ serviceKey: serviceName, version: VERSION, config, health, log, clock });
  // asked for from the moment that the service listens, which is before all of it is there
  const current: { telling?: Telling } = {};
  const status = (): unknown => ({
    ...(current.telling === undefined ? { state: 'shadow' } : statusOf(current.telling)),
    version: VERSION,
    ring: options.ring,
  });
  addRoutes(rim, {
    devices: options.devices,
    profileOf: (name) => profiles.get(name),
    latest: (device, resource) => latest.get(device, resource),
    sender,
    downlinks,
    checkMaySend: (device) => activation.checkMaySend(device),
    devAddrOf: ({ devEui }) => activation.sessions?.currentOf(devEui)?.devAddr,
    status,
    clock,
    random,
  });
  addLoraRoutes(rim, {
    ...{ devices: options.devices, lastHeard: room.lastHeard, mac, sender, downlinks },
    sessions: () => activation.sessions,
    checkMaySend: (device) => activation.checkMaySend(device),
  });
  addMetrics(rim.metrics, { reader, sender, mac, joinServer });
  const port = await listen(rim, options);
  opened.push(() => rim.close());
  const registration = await register(room, port);
  const telling: Telling = { activation, reader, sender, joinServer, poster, store, registration };
  current.telling = telling;
  if (options.startState === 'reading' && options.secretsFile !== undefined)
    await activation.activate(options.secretsFile);
  const onControl = (message: ControlMessage): Promise<void> =>
    message.type === 'standdown' ? activation.standDown() : activation.activate(message.secretsFile);
  const control = await openControl({ bus, prefix, serviceName, log, onControl, status });
  opened.push(() => control.close());
  return { telling, port };
}

async function register(room: Room, port: number | undefined): Promise<Telling['registration']> {
  const { options, bus, log, profiles, opened } = room;
  const { serviceName, prefix, devices } = options;
  const validations = await answerValidations(bus, prefix, serviceName);
  opened.push(() => validations.close());
  const wanted = new Set([
    ...devices.map(({ profileName }) => profileName),
    ...options.profiles.map(({ name }) => name),
  ]);
  const registration = bootstrap({
    coreMetadata: peer(room, 'coreMetadata'),
    serviceName,
    baseAddress: `http://${options.bind}:${port ?? options.port}`,
    profiles: [...profiles.values()].filter(({ name }) => wanted.has(name)),
    devices,
    log,
  });
  opened.push(() => registration.stop());
  return registration;
}

/** The LoRaWAN device service: sessions, readings, downlinks. In an edge, or as a customer's image at another one. */
export function createDeviceLora(options: DeviceLoraOptions, ports: DeviceLoraPorts): DeviceLora {
  const log = ports.log.child({ room: options.serviceName });
  const opened: (() => unknown)[] = [];
  const room: Room = {
    ...ports,
    log,
    options,
    profiles: profilesOf(options),
    latest: createLatest(),
    lastHeard: new Map(),
    opened,
  };
  let running: Opened | undefined;
  const health = (): Health =>
    running === undefined
      ? { service: { ok: false, detail: 'not started' } }
      : { bus: ports.bus.health(), ...healthOf(running.telling) };
  return {
    name: options.serviceName,
    async start() {
      running = await openAll(room, health);
      const { state } = running.telling.activation;
      log.info({ port: running.port, state, devices: options.devices.length }, 'listening');
    },
    async stop() {
      running = undefined;
      for (const close of opened.splice(0).reverse()) await close();
    },
    health,
    get port() {
      return running?.port;
    },
  };
}
