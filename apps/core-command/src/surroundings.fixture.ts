import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createBroker, createLocalBus, type Broker } from '@antirio/bus';
import {
  createHttpRim,
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  type Bus,
  type HttpPeer,
  type HttpRim,
  type RimAccess,
} from '@antirio/host';
import { AntirioError, uuidV4 } from '@antirio/kernel';
import {
  makeEnvelope,
  systemEventToJson,
  systemEventTopic,
  type SystemEvent,
} from '@antirio/edgex-contracts';
import { coreCommandOptions, createCoreCommand, type CoreCommand } from './index.ts';

export type Json = Record<string, unknown>;

export const ORIGIN = '1602168089665565301';
export const base = { apiVersion: 'v3', statusCode: 200 };

/** A request that the device service got. */
interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly correlation: unknown;
  readonly body: string;
}

/** TLS for those beyond this host. Of the services' addresses it knows that they are called where they are. */
export const withTls: RimAccess = {
  ...{ tls: () => ({}), clientCertificates: false, requireTokens: false },
  ...{ tokens: { scopesOf: () => undefined }, isOwnHost: () => true },
  ...{ credentialsFor: () => undefined, placeOf: (url: string) => ({ url, credentials: undefined }) },
};

const properties = { valueType: 'Float32', readWrite: 'RW' };
const profiles: Record<string, Json> = {
  p: {
    name: 'p',
    deviceResources: [
      { name: 'temperature', properties },
      { name: 'humidity', properties: { ...properties, readWrite: 'R' } },
      { name: 'secret', isHidden: true, properties },
    ],
    deviceCommands: [
      {
        name: 'both',
        readWrite: 'R',
        resourceOperations: [{ deviceResource: 'temperature' }, { deviceResource: 'humidity' }],
      },
      { name: 'humidity', readWrite: 'R', resourceOperations: [{ deviceResource: 'humidity' }] },
      { name: 'hidden', isHidden: true, readWrite: 'R', resourceOperations: [{ deviceResource: 'secret' }] },
    ],
  },
};

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

function need<T>(found: T | undefined): T {
  if (found === undefined) throw new AntirioError('notFound', 'no such thing');
  return found;
}

function checkStore({ metadataFails }: Pick<Surroundings, 'metadataFails'>): void {
  if (metadataFails) throw new AntirioError('internal', 'the store fails');
}

/** A core-command with everything around it: a core-metadata that knows a few things, a device service, and a bus. */
export interface Surroundings {
  seen: Seen[];
  /** What the device service answers. */
  answer: { status: number; type: string; body: string | Uint8Array } | 'never';
  devices: Record<string, Json>;
  services: Record<string, Json>;
  /** From now on core-metadata answers what it is asked with its 500. */
  metadataFails: boolean;
  /** Questions that core-metadata got. */
  questions: string[];
  readonly dataDir: string;
  bus: Bus;
  room: CoreCommand;
  /** Of the room, with `/api/v3`. */
  peer: HttpPeer;
  /** Everything as at the start, with a new room. */
  reset(options?: Json, access?: RimAccess): Promise<void>;
  /** Ends the room. */
  end(): Promise<void>;
  newBus(): void;
  /** Tells of a change as core-metadata does. */
  tell(type: SystemEvent['type'], name: string): Promise<void>;
  close(): Promise<void>;
}

async function listening(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function metadataOf(
  around: Pick<Surroundings, 'devices' | 'services' | 'questions' | 'metadataFails'>,
): HttpRim {
  const options = {
    serviceKey: 'core-metadata',
    version: '0',
    config: () => ({}),
    health: () => ({}),
    log: silentLog,
  };
  const rim = createHttpRim({ ...options, clock: systemClock });
  const one = (path: string, field: string, from: () => Record<string, Json>): void =>
    rim.route('get', `/api/v3/${path}/name/:name`, { summary: '' }, ({ params, request }) => {
      around.questions.push(request.path);
      checkStore(around);
      return { ...base, [field]: need(from()[(params as { name: string }).name]) };
    });
  one('device', 'device', () => around.devices);
  one('deviceservice', 'service', () => around.services);
  one('deviceprofile', 'profile', () => profiles);
  rim.route('get', '/api/v3/device/all', { summary: '' }, ({ request }) => {
    checkStore(around);
    const offset = Number((request.query as Json)['offset']);
    const all = Object.values(around.devices);
    if (offset > all.length) throw new AntirioError('rangeNotSatisfiable', 'out of range');
    return { ...base, totalCount: all.length, devices: all.slice(offset) };
  });
  return rim;
}

function deviceServiceOf(around: Pick<Surroundings, 'seen' | 'answer'>): Server {
  return createServer((request, response) => {
    readText(request).then(
      (body) => {
        const { method, url, headers } = request;
        around.seen.push({ method, url, correlation: headers['x-correlation-id'], body });
        const { answer } = around;
        if (answer === 'never') return;
        response.writeHead(answer.status, { 'content-type': answer.type }).end(answer.body);
      },
      () => response.destroy(),
    );
  });
}

function eventAnswer(): string {
  const reading = {
    apiVersion: 'v3',
    id: '1e6e8a2f-eb14-4649-9e2b-175247911369',
    deviceName: 'd',
    profileName: 'p',
    resourceName: 'temperature',
    valueType: 'Float32',
    value: '2.1e1',
  };
  const text = JSON.stringify({
    ...base,
    event: { ...reading, sourceName: 'both', origin: 0, readings: [{ ...reading, origin: 0 }] },
  });
  return text.replaceAll('"origin":0', `"origin":${ORIGIN}`);
}

/** A room as the tests want it: with short waits. */
function optionsFor(dataDir: string, options: Json): Json {
  return { port: 0, dataDir, service: { requestTimeoutMs: 300 }, maxBusCommands: 4, ...options };
}

export async function openSurroundings(): Promise<Surroundings> {
  const dataDir = mkdtempSync(join(tmpdir(), 'antirio-core-command-'));
  const broker: Broker = createBroker({ secret: systemRandom.bytes(32), listeners: [] }, silentLog);
  await broker.start();
  const around = { seen: [], devices: {}, services: {}, questions: [], dataDir } as unknown as Surroundings;
  const deviceService = deviceServiceOf(around);
  const baseAddress = `${await listening(deviceService)}/some/prefix`;
  const metadata = metadataOf(around);
  const metadataPeer = httpPeer({ url: `http://127.0.0.1:${await metadata.listen(0, '127.0.0.1')}` });
  const peers = { 'core-metadata': metadataPeer };

  return Object.assign(around, {
    newBus() {
      around.bus = createLocalBus(broker, silentLog);
    },
    async reset(options = {}, access?: RimAccess) {
      around.seen = [];
      around.questions = [];
      around.metadataFails = false;
      around.answer = { status: 200, type: 'application/json', body: eventAnswer() };
      const device = { serviceName: 'svc', profileName: 'p', adminState: 'UNLOCKED', operatingState: 'UP' };
      around.devices = {
        d: { ...device, name: 'd' },
        'a/b': { ...device, name: 'a/b', profileName: undefined },
      };
      around.services = { svc: { name: 'svc', adminState: 'UNLOCKED', baseAddress } };
      around.newBus();
      const ports = {
        ...{ clock: systemClock, random: systemRandom, log: silentLog },
        ...{ bus: around.bus, peers, access },
      };
      around.room = createCoreCommand(coreCommandOptions.parse(optionsFor(dataDir, options)), ports);
      await around.room.start();
      around.peer = httpPeer({ url: `http://127.0.0.1:${around.room.port}/api/v3` });
    },
    async end() {
      around.peer.close();
      await around.room.stop();
      await around.bus.close();
    },
    async tell(type, name) {
      const event: SystemEvent = {
        type,
        action: 'update',
        source: 'core-metadata',
        owner: 'svc',
        details: { name },
        timestamp: 1n,
      };
      const text = makeEnvelope(systemEventToJson(event), { correlationID: uuidV4(systemRandom) });
      await around.bus.publish(systemEventTopic(event, 'p'), text, { qos: 1 });
    },
    async close() {
      metadataPeer.close();
      await metadata.close();
      deviceService.closeAllConnections();
      await new Promise((resolve) => deviceService.close(resolve));
      await broker.stop();
      rmSync(dataDir, { recursive: true });
    },
  } satisfies Partial<Surroundings>);
}
