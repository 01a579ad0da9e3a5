import { existsSync } from 'node:fs';
import { join } from 'node:path';
import {
  createLog,
  httpPeer,
  makeIdentityFile,
  readIdentityFile,
  systemClock,
  systemRandom,
  type Bus,
  type Health,
  type HttpPeer,
  type Log,
  type Repeating,
  type Service,
} from '@antirio/host';
import { AntirioError, describeError, type Identity } from '@antirio/kernel';
import { credentialsOf, openAccess } from './access.ts';
import { brokerUrlOf, roomOptions, urlOf, type EdgeConfig } from './config.ts';
import { warnOfEdgexEnvironment, withEdgexEnvironment } from './edgex-env.ts';
import { lockRoom, type InstanceLock } from './instance-lock.ts';
import type { Peers, RoomPorts, RunnableRoom } from './loaders.ts';
import { ROOM_KEYS, roomOf, type Room } from './rooms.ts';
import { superviseRooms, type Hosted } from './supervisor.ts';

/** Any set of rooms of one edge, in this process. */
export interface EdgeHost extends Service {
  readonly identity: Identity;
  /** Where each of its rooms answers HTTP. */
  readonly urls: Readonly<Record<string, string>>;
}

/** The edge's keys; made where the data folder has none. */
export function openIdentityOf(config: EdgeConfig, log: Log): Identity {
  const path = config.identityFile ?? join(config.dataDir, 'identity.json');
  if (config.identityFile !== undefined || existsSync(path)) return readIdentityFile(path);
  const identity = makeIdentityFile(path);
  log.info({ edgeId: identity.edgeId, path }, 'made a new identity');
  return identity;
}

function causeCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EADDRINUSE' || code === 'EACCES' ? code : causeCode(error.cause);
}

/** What went wrong with a room, and what to do about it. */
function explained(room: Room, config: EdgeConfig, error: unknown): AntirioError {
  const code = causeCode(error);
  const advice =
    code === 'EADDRINUSE'
      ? '. Stop the process that has the port, or choose another --port-offset'
      : code === 'EACCES'
        ? '. This user may not use that port or file'
        : '';
  const ports = Object.values(room.ports).map((port) => port + config.portOffset);
  const about = code === 'EADDRINUSE' ? ` (it uses ${ports.join(', ')})` : '';
  return new AntirioError(
    'unavailable',
    `${room.name} did not start${about}: ${describeError(error)}${advice}`,
    {},
    error,
  );
}

function hasBus(service: Service): service is Service & { readonly bus: Bus } {
  return 'bus' in service;
}

async function openRemoteBus(config: EdgeConfig, log: Log): Promise<Bus> {
  const { createMqttBus } = await import('@antirio/bus');
  const broker = roomOf('broker');
  return createMqttBus({ url: brokerUrlOf(broker, config), ...credentialsOf(config, log)(broker) }, log);
}

/** Every room by its name, and by the same in camel case. */
function peersOf(config: EdgeConfig, log: Log): Peers {
  const credentials = credentialsOf(config, log);
  const named = ROOM_KEYS.flatMap((key) => {
    const room = roomOf(key);
    const peer = httpPeer({ url: urlOf(room, config), credentials: credentials(room) });
    return [[key, peer] as const, [room.name, peer] as const];
  });
  return Object.fromEntries(named) as Record<string, HttpPeer> as Peers;
}

interface HostedRoom extends Hosted {
  readonly room: Room;
}

/** Built but not started: options are checked, stores may be open. */
async function build(
  rooms: readonly RunnableRoom[],
  config: EdgeConfig,
  ports: Omit<RoomPorts, 'bus'>,
): Promise<[Bus, HostedRoom[]]> {
  const loaded = await Promise.all(rooms.map(async (room) => ({ room, module: await room.load() })));
  const checked = loaded.map(({ room, module }) => ({
    room,
    module,
    options: roomOptions(room, module, config, ports.identity.edgeId),
  }));
  const hosted: HostedRoom[] = [];
  let bus: Bus | undefined;
  for (const { room, module, options } of checked) {
    const log = ports.log.child({ room: room.name });
    bus ??= room.key === 'broker' ? undefined : await openRemoteBus(config, ports.log);
    // The broker comes first and takes no bus: it is the one that gives it.
    const build = (): Service => module.build(options, { ...ports, log, bus: bus as Bus });
    const service = build();
    if (room.key === 'broker' && hasBus(service)) bus = service.bus;
    hosted.push({ room, service, build });
  }
  return [bus ?? (await openRemoteBus(config, ports.log)), hosted];
}

/** The rooms of this process. They start in the order of the table, and stop in the opposite one. */
export async function createEdgeHost(given: EdgeConfig, wanted: readonly RunnableRoom[]): Promise<EdgeHost> {
  const rooms = wanted.toSorted((a, b) => ROOM_KEYS.indexOf(a.key) - ROOM_KEYS.indexOf(b.key));
  const config = await withEdgexEnvironment(given, rooms);
  const log = createLog('antirio', config.logLevel);
  if (config !== given) await warnOfEdgexEnvironment(log, config, rooms);
  const locks: InstanceLock[] = [];
  for (const room of rooms) locks.push(await lockRoom(config.dataDir, room.name));
  const identity = openIdentityOf(config, log);
  const access = openAccess(config, log);
  const peers = peersOf(config, log);
  const [bus, hosted] = await build(rooms, config, {
    clock: systemClock,
    random: systemRandom,
    log,
    identity,
    peers,
    access,
  });
  const started: HostedRoom[] = [];
  let supervisor: Repeating | undefined;

  const stop = async (): Promise<void> => {
    await supervisor?.stop();
    supervisor = undefined;
    for (const { service } of started.splice(0).reverse())
      await service
        .stop()
        .catch((error: unknown) =>
          log.error({ room: service.name, error: describeError(error) }, 'did not stop'),
        );
    await bus.close();
    for (const peer of Object.values(peers)) peer.close();
    for (const lock of locks.splice(0)) await lock.release();
  };
  const startRoom = async (one: HostedRoom): Promise<void> => {
    started.push(one);
    try {
      await one.service.start();
    } catch (error) {
      throw explained(one.room, config, error);
    }
  };
  return {
    name: 'antirio',
    identity,
    urls: Object.fromEntries(rooms.map((room) => [room.name, urlOf(room, config)])),
    async start() {
      try {
        for (const one of hosted) await startRoom(one);
        supervisor = superviseRooms({ clock: systemClock, random: systemRandom, log, rooms: hosted });
      } catch (error) {
        await stop();
        throw error;
      }
    },
    async leave() {
      for (const { service } of hosted) await service.leave?.();
    },
    stop,
    async health() {
      const answers = await Promise.all(
        hosted.map(async ({ service }) => [service.name, await service.health()] as const),
      );
      const checks = answers.flatMap(([name, health]) =>
        Object.entries(health).map(([what, check]) => [`${name}.${what}`, check]),
      );
      return Object.fromEntries(checks) as Health;
    },
  };
}
