import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Counter, Gauge } from 'prom-client';
import type { DeviceProfile, Reading } from '@antirio/edgex-contracts';
import { AntirioError, describeError, type Clock, type Random } from '@antirio/kernel';
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
import { openControl, readSecrets, type Control, type ControlMessage } from './control.ts';
import { openDownCounters, type DownCounters } from './downlink/counters.ts';
import { openSender, type DownlinkSender } from './downlink/sender.ts';
import { createDownlinkStore } from './downlink/store.ts';
import { bootstrap, type Bootstrap } from './north/bootstrap.ts';
import { createPoster } from './north/poster.ts';
import type { DeviceLoraOptions, DeviceOptions } from './options.ts';
import { openOwnRing, type OwnRing } from './own-ring.ts';
import { loraEnvironmentSensor } from './profile.ts';
import { addRoutes } from './routes.ts';
import { createUplinkStore, openStore, type Counted } from './store.ts';
import { openReader, type Reader } from './uplink/reader.ts';
import { openSessions, type Sessions } from './uplink/sessions.ts';
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

export const VERSION = '0.1.0';
const ROOM = 'device-lora';
const OWN = 'own';

interface Parts {
  readonly reader: Reader;
  readonly sender: DownlinkSender;
  readonly counters: DownCounters;
  readonly registration: Bootstrap;
  readonly control: Control;
  readonly uplinks: ReturnType<typeof createUplinkStore>;
  readonly north: ReturnType<typeof createPoster>;
}

/** The LoRaWAN device service: sessions, readings, downlinks. In an edge, or as a customer's image at another one. */
export function createDeviceLora(options: DeviceLoraOptions, ports: DeviceLoraPorts): DeviceLora {
  const { clock, random, bus } = ports;
  const log = ports.log.child({ room: options.serviceName });
  const { serviceName, prefix, region } = options;
  const profiles = new Map<string, DeviceProfile>([[loraEnvironmentSensor.name, loraEnvironmentSensor]]);
  for (const profile of options.profiles) profiles.set(profile.name, profile);
  const latest = new Map<string, Reading>();
  const closers: (() => unknown)[] = [];
  let state: 'shadow' | 'reading' = 'shadow';
  let sessions: Sessions | undefined;
  let running: Parts | undefined;
  let port: number | undefined;
  let problem: string | undefined;

  const peer = (name: string): HttpPeer => {
    const found = ports.peers[name];
    if (found === undefined) throw new AntirioError('badConfig', `device-lora needs the peer ${name}`);
    return found;
  };
  const status = (): unknown => ({
    state,
    version: VERSION,
    ring: options.ring,
    ...progressOf(running),
    problem,
  });
  const health = (): Health => {
    if (running === undefined) return { service: { ok: false, detail: 'not started' } };
    const parked = running.uplinks.parkedCount();
    return {
      bus: bus.health(),
      store: running.reader.check(),
      coreData: running.north.check(),
      coreMetadata: running.registration.check(),
      parked:
        parked === 0 ? { ok: true } : { ok: false, detail: `${parked} events are refused by core-data` },
      keys: problem === undefined ? { ok: true } : { ok: false, detail: problem },
    };
  };

  const activate = (reader: Reader, uplinks: Parts['uplinks'], secretsFile: string): void => {
    const secrets = readSecrets(secretsFile);
    sessions = openSessions(secrets, options.devices, uplinks, options.confidentiality);
    const missing = options.devices
      .filter(({ devAddr }) => sessions?.has(devAddr) !== true)
      .map(({ name }) => name);
    if (missing.length > 0) log.warn({ devices: missing }, 'no keys for these devices');
    state = 'reading';
    problem = undefined;
    reader.begin(sessions);
    log.info({ keyVersion: secrets.keyVersion, sessions: secrets.sessions.length }, 'reading');
  };
  const standDown = async (reader: Reader, counters: DownCounters): Promise<void> => {
    state = 'shadow';
    sessions = undefined;
    counters.clear();
    await reader.end();
    log.info('standing down');
  };
  const checkMaySend = (device: DeviceOptions): void => {
    if (!options.sendDownlinks) throw new AntirioError('locked', 'this service sends no downlinks');
    const session = sessions?.get(device.devAddr)?.find((candidate) => candidate.device === device);
    if (session === undefined)
      throw new AntirioError('unavailable', `no session keys of ${device.name} here`);
    if (!session.cipher.readsPayload)
      throw new AntirioError('forbidden', `the AppSKey of ${device.name} is not here`);
  };
  const openRing = (): OwnRing | undefined => {
    if (options.ring !== OWN || prefix !== '') return undefined;
    const bridge = ports.peers['gatewayBridge'];
    if (bridge === undefined) return undefined;
    const devAddrs = [...new Set(options.devices.map(({ devAddr }) => devAddr))];
    const ring = openOwnRing({ bridge, ring: OWN, devAddrs, prefix, log });
    closers.push(() => ring.stop());
    return ring;
  };
  const listen = async (rim: HttpRim): Promise<void> => {
    const where = options.listen ?? { port: options.port, bind: options.bind };
    if ('socket' in where) {
      // left by a process that was killed
      rmSync(where.socket, { force: true });
      await rim.listenOn(where.socket);
    } else port = await rim.listen(where.port, where.bind);
  };
  const baseAddress = (): string => `http://${options.bind}:${port ?? options.port}`;

  const start = async (): Promise<void> => {
    const db = openStore(join(options.dataDir, ROOM, 'device-lora.db'));
    closers.push(() => db.close());
    const uplinks = createUplinkStore(db);
    const downlinks = createDownlinkStore(db);
    const poster = createPoster({ coreData: peer('coreData'), ...options.reading });
    const highestUsed = (devAddr: string): number | undefined => downlinks.highestUsed(devAddr);
    const counters = await openDownCounters({ bus, prefix, clock, random, log, highestUsed });
    closers.push(() => counters.close());
    const { answerUplinks } = options;
    const sender = await openSender({
      bus,
      prefix,
      region,
      answerUplinks,
      store: downlinks,
      counters,
      clock,
      random,
      log,
    });
    closers.push(() => sender.close());
    const ring = openRing();
    const reader = await openReader({
      options,
      bus,
      store: uplinks,
      poster,
      clock,
      log,
      profileOf: (name) => profiles.get(name),
      onHeard: (heard) => {
        if (options.sendDownlinks) sender.heard(heard);
      },
      onStored: (session, readings) => {
        for (const reading of readings) latest.set(`${session.device.name}/${reading.resourceName}`, reading);
      },
      onCursor: (seq) => ring?.acknowledge(seq),
    });
    closers.push(() => reader.close());
    if (reader.cursor > 0) ring?.acknowledge(reader.cursor);
    const parkedRetry = retryParked(uplinks, poster, options.reading.parkedRetryMs, log);
    closers.push(() => parkedRetry.stop());

    const rim = createHttpRim({
      serviceKey: serviceName,
      version: VERSION,
      config: () => withoutSecrets(options),
      health,
      log,
      clock,
    });
    addRoutes(rim, {
      devices: options.devices,
      profileOf: (name) => profiles.get(name),
      latest: (device, resource) => latest.get(`${device}/${resource}`),
      sender,
      downlinks,
      checkMaySend,
      status,
      clock,
      random,
    });
    addMetrics(rim, reader, sender);
    await listen(rim);
    closers.push(() => rim.close());
    const validations = await answerValidations(bus, prefix, serviceName);
    closers.push(() => validations.close());
    const used = new Set(options.devices.map(({ profileName }) => profileName));
    const registration = bootstrap({
      coreMetadata: peer('coreMetadata'),
      serviceName,
      baseAddress: baseAddress(),
      profiles: [...profiles.values()].filter(
        ({ name }) => used.has(name) || options.profiles.some((given) => given.name === name),
      ),
      devices: options.devices,
      log,
    });
    closers.push(() => registration.stop());

    const onControl = async (message: ControlMessage): Promise<void> => {
      if (message.type === 'standdown') await standDown(reader, counters);
      else if (state === 'shadow') tryActivate(message.secretsFile);
    };
    const tryActivate = (secretsFile: string): void => {
      try {
        activate(reader, uplinks, secretsFile);
      } catch (error) {
        problem = describeError(error);
        throw error;
      }
    };
    if (options.startState === 'reading' && options.secretsFile !== undefined)
      tryActivate(options.secretsFile);
    const control = await openControl({ bus, prefix, serviceName, log, onControl, status });
    closers.push(() => control.close());
    running = { reader, sender, counters, registration, control, uplinks, north: poster };
    log.info({ port, state, devices: options.devices.length, cursor: reader.cursor }, 'listening');
    control.tell();
  };
  const stop = async (): Promise<void> => {
    state = 'shadow';
    running = undefined;
    for (const close of closers.splice(0).reverse()) await close();
  };
  return {
    name: serviceName,
    start,
    stop,
    health,
    get port() {
      return port;
    },
  };
}

const OUTCOMES = ['stored', 'parked', 'undecodable', 'otherGateway'] as const;
const REFUSALS = ['badMic', 'replay', 'retransmission', 'unknown', 'conflict', 'malformed'] as const;

const countsOf = (
  counts: Readonly<Partial<Record<Counted, number>>>,
  names: readonly Counted[],
): Readonly<Record<string, number>> => Object.fromEntries(names.map((name) => [name, counts[name] ?? 0]));

function progressOf(parts: Parts | undefined): Readonly<Record<string, unknown>> {
  if (parts === undefined) return { cursor: 0, ...countsOf({}, OUTCOMES), refused: countsOf({}, REFUSALS) };
  const { reader, sender, north } = parts;
  const counts = reader.counts();
  const { cursor, behind } = reader;
  const refused = countsOf(counts, REFUSALS);
  return {
    cursor,
    behind,
    ...countsOf(counts, OUTCOMES),
    refused,
    downlinks: sender.counts(),
    north: north.check(),
  };
}

function withoutSecrets({ bus, ...options }: DeviceLoraOptions): unknown {
  if (bus === undefined) return options;
  const { password: _, ...address } = bus;
  return { ...options, bus: address };
}

/** What core-data refused is tried again now and then: a profile or a device may be there by then. */
function retryParked(
  store: ReturnType<typeof createUplinkStore>,
  poster: ReturnType<typeof createPoster>,
  intervalMs: number,
  log: Log,
): Repeating {
  return repeat('storing what was refused', intervalMs, log, async () => {
    for (const event of store.parked(100)) {
      const outcome = await poster.tryOnce(event);
      if (outcome.kind === 'stored') store.unpark(event.id);
      else if (outcome.kind === 'unavailable') return;
    }
  });
}

function addMetrics(rim: HttpRim, reader: Reader, sender: DownlinkSender): void {
  const registers = [rim.metrics];
  const counts = (
    name: string,
    help: string,
    read: () => Readonly<Record<string, number | undefined>>,
  ): void => {
    new Counter({
      name: `antirio_lora_${name}_total`,
      help,
      labelNames: ['what'],
      registers,
      collect() {
        this.reset();
        for (const [what, value] of Object.entries(read())) this.inc({ what }, value ?? 0);
      },
    });
  };
  counts('frames', 'frames by what became of them, since the first start', () => reader.counts());
  counts('downlinks', 'downlinks by what became of them', () => sender.counts());
  new Gauge({
    name: 'antirio_lora_behind',
    help: 'frames of the ring that are not done with',
    registers,
    collect() {
      this.set(reader.behind);
    },
  });
}
