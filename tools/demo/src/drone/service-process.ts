// The entrypoint of the pre-processing service's image: frames of a drone come in, an event of each is stored at the edge that it runs on.
import { fstatSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { createMqttBus } from '@antirio/bus';
import { createDeviceService, deviceServiceOptions, type DeviceServiceRoom } from '@antirio/device-sdk';
import {
  createLog,
  httpPeer,
  loadConfig,
  repeat,
  runAlone,
  systemClock,
  systemRandom,
  type Bus,
  type HttpPeer,
  type Log,
} from '@antirio/host';
import { AntirioError, describeError, fromUtf8 } from '@antirio/kernel';
import { droneProfile } from './frame-event.ts';
import { createPreprocessor, type Preprocessor } from './preprocessor.ts';
import { serviceOptions, serviceSecrets, type ServiceOptions } from './service-options.ts';

const VERSION = '0.1.0';
const STATUS_MS = 500;
const WAITING_BYTES = 16 << 20;

/** Nobody runs on as an orphan: the parent's pipe ends with the parent. */
function endWithParent(): void {
  const stdin = fstatSync(0);
  if (!stdin.isFIFO() && !stdin.isSocket()) return;
  process.stdin.on('end', () => process.exit(0));
  process.stdin.on('error', () => process.exit(0));
  process.stdin.resume();
}

const peerAt = (address: { readonly url: string } | { readonly socket: string }): HttpPeer =>
  httpPeer('url' in address ? { url: address.url } : { socketPath: address.socket });

function busAt(address: ServiceOptions['bus'], log: Log): Bus {
  if ('url' in address) return createMqttBus(address, log);
  const { socket, username, password } = address;
  const login = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
  return createMqttBus({ socketPath: socket, ...login }, log);
}

const control = z.discriminatedUnion('type', [
  z.object({ type: z.literal('activate'), secretsFile: z.string() }),
  z.object({ type: z.literal('standdown') }),
]);

/** Does what the orchestrator says, and says how it is. */
async function follow(
  { serviceName, instance, prefix }: ServiceOptions,
  work: Preprocessor,
  bus: Bus,
  log: Log,
) {
  const base = [
    `${prefix}antirio/service/${serviceName}`,
    ...(instance === undefined ? [] : [instance]),
  ].join('/');
  let problem: string | undefined;
  const tell = (): Promise<void> => {
    const status = { state: work.state, version: VERSION, ...work.figures, problem };
    return bus.publish(`${base}/status`, JSON.stringify(status), { retain: true });
  };
  const telling = repeat('telling the status', STATUS_MS, log, tell);
  const subscription = await bus.subscribe(`${base}/control`, (_topic, payload) => {
    try {
      const order = control.parse(JSON.parse(fromUtf8(payload)));
      if (order.type === 'standdown') work.standDown();
      else {
        const { values } = serviceSecrets.parse(JSON.parse(readFileSync(order.secretsFile, 'utf8')));
        work.activate(values.droneKey);
      }
      problem = undefined;
    } catch (error) {
      // the keys must not be told of, and an error of their shape would
      problem = error instanceof z.ZodError ? 'the order or its keys are malformed' : describeError(error);
      log.error({ problem }, 'an order that cannot be followed');
    }
    telling.poke();
  });
  return async (): Promise<void> => {
    await subscription.close();
    await telling.stop();
  };
}

/** Frames by MQTT: each is acknowledged by a message of its own, once its event is on the disk. */
async function listen({ prefix, drone }: ServiceOptions, work: Preprocessor, bus: Bus, log: Log) {
  const base = `${prefix}drone/${drone.name}`;
  const options = { concurrency: drone.atOnce, maxMessages: 4 * drone.atOnce, maxBytes: WAITING_BYTES };
  const take = async (_topic: string, payload: Uint8Array): Promise<void> => {
    try {
      await bus.publish(`${base}/ack`, JSON.stringify(await work.take(payload)), { qos: 1 });
    } catch (error) {
      // unacknowledged: the drone sends it again, here or to the next edge
      log.debug({ error: describeError(error) }, 'a frame was not taken');
    }
  };
  const subscription = await bus.subscribe(`${base}/frame`, take, options);
  return () => subscription.close();
}

function northOf(options: ServiceOptions, work: Preprocessor, bus: Bus, log: Log): DeviceServiceRoom {
  const { serviceName, prefix, dataDir, listen: where, drone, north } = options;
  const readNothing = (): Promise<never> =>
    Promise.reject(new AntirioError('methodNotAllowed', 'a drone is not asked: it sends by itself'));
  const room = createDeviceService(
    deviceServiceOptions.parse({
      ...{ serviceName, topicPrefix: prefix, dataDir, socket: where.socket },
      ...{ baseAddress: 'http://127.0.0.1:59999', refreshIntervalMs: 600_000 },
      device: { labels: ['drone'], dataTransform: false },
    }),
    { read: readNothing, write: readNothing },
    {
      ...{ clock: systemClock, random: systemRandom, log, bus },
      peers: { coreMetadata: peerAt(north.coreMetadata) },
      provision: {
        profiles: [droneProfile],
        devices: [
          {
            name: drone.name,
            profileName: droneProfile.name,
            protocols: { drone: { flight: drone.flight } },
          },
        ],
      },
    },
  );
  room.addRoutes((rim) => {
    rim.route(
      'post',
      '/api/v3/drone/frame',
      { summary: 'one frame; answered when its event is on the disk', bodyType: 'application/octet-stream' },
      ({ response }) => {
        const bytes: unknown = response.locals['bytes'];
        if (!(bytes instanceof Uint8Array)) throw new AntirioError('invalidInput', 'a frame has bytes');
        return work.take(bytes);
      },
    );
    rim.route('get', '/api/v3/drone', { summary: 'whether it takes frames, and how many came' }, () => ({
      state: work.state,
      ...work.figures,
    }));
  });
  return room;
}

const log = createLog('drone-preprocessor');
endWithParent();
await runAlone(log, () => {
  const folder = process.env['ANTIRIO_RUN_DIR'] ?? '/run/antirio';
  const options = loadConfig(serviceOptions, { file: process.argv[2] ?? join(folder, 'config.json') });
  const bus = busAt(options.bus, log);
  const coreData = peerAt(options.north.coreData);
  const work = createPreprocessor(options, coreData);
  const room = northOf(options, work, bus, log);
  const closing: (() => Promise<void>)[] = [];
  return {
    name: room.name,
    async start() {
      await room.start();
      closing.push(await follow(options, work, bus, log), await listen(options, work, bus, log));
    },
    async stop() {
      for (const close of closing.splice(0)) await close();
      await room.stop();
      await bus.close();
      coreData.close();
    },
    health: () => room.health(),
  };
});
