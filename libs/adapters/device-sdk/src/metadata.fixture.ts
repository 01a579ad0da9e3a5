import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { randomUUID } from 'node:crypto';
import { createBusRequests, type BusRequests } from '@antirio/bus-request';
import { silentLog, systemRandom, type Bus } from '@antirio/host';
import {
  makeEnvelope,
  systemEventTopic,
  validateDeviceTopic,
  type SystemEvent,
} from '@antirio/edgex-contracts';

export type Entity = Record<string, unknown> & { name: string };

export interface Seen {
  readonly method: string;
  /** With query. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: unknown;
}

type Kind = SystemEvent['type'];

const FIELDS: Readonly<Record<Kind, string>> = {
  device: 'device',
  deviceprofile: 'profile',
  deviceservice: 'service',
  provisionwatcher: 'provisionwatcher',
};

/** A core-metadata with EdgeX's manners: system events, and devices that their service is asked about. */
export interface FakeMetadata {
  readonly url: string;
  readonly seen: Seen[];
  readonly entities: Readonly<Record<Kind, Map<string, Entity>>>;
  /** Whether changes are told on the bus. */
  tells: boolean;
  /** Connections are cut. */
  isDown: boolean;
  /** Changes an entity as another client of core-metadata would. */
  put(kind: Kind, entity: Entity): Promise<void>;
  remove(kind: Kind, name: string): Promise<void>;
  close(): Promise<void>;
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return text === '' ? undefined : JSON.parse(text);
}

const PAGE = 50;

export async function openFakeMetadata(bus: Bus): Promise<FakeMetadata> {
  const requests: BusRequests = createBusRequests(bus, { random: systemRandom, log: silentLog });
  const seen: Seen[] = [];
  const entities: FakeMetadata['entities'] = {
    device: new Map(),
    deviceprofile: new Map(),
    deviceservice: new Map(),
    provisionwatcher: new Map(),
  };
  const state = { tells: true, isDown: false };

  const ownersOf = (kind: Kind, entity: Entity): string[] => {
    if (kind === 'deviceservice') return [entity.name];
    if (kind !== 'deviceprofile') return [entity['serviceName'] as string];
    const users = [...entities.device.values()].filter(({ profileName }) => profileName === entity.name);
    return ['core-metadata', ...new Set(users.map(({ serviceName }) => serviceName as string))];
  };
  const tell = async (kind: Kind, action: SystemEvent['action'], entity: Entity): Promise<void> => {
    if (!state.tells) return;
    for (const owner of ownersOf(kind, entity)) {
      const event = { type: kind, action, source: 'core-metadata', owner, details: entity, timestamp: 1n };
      const topic = systemEventTopic(event, (entity['profileName'] as string | undefined) ?? '');
      await bus.publish(topic, makeEnvelope({ apiVersion: 'v3', ...event }, { correlationID: randomUUID() }));
    }
  };
  const validate = async (device: Entity): Promise<string | undefined> => {
    const serviceName = device['serviceName'] as string;
    const answer = await requests
      .request({
        topic: validateDeviceTopic(serviceName),
        serviceName,
        payload: { apiVersion: 'v3', device },
        timeoutMs: 3000,
      })
      .catch(() => ({ errorCode: 1, payload: 'nobody says whether it is right' }));
    return answer.errorCode === 0 ? undefined : String(answer.payload);
  };
  const put = async (kind: Kind, entity: Entity): Promise<void> => {
    const known = entities[kind].get(entity.name);
    const stored = { id: randomUUID(), ...known, ...entity };
    entities[kind].set(entity.name, stored);
    await tell(kind, known === undefined ? 'add' : 'update', stored);
  };
  const addOne = async (kind: Kind, request: Record<string, unknown>): Promise<unknown> => {
    const entity = request[FIELDS[kind]] as Entity;
    const head = { apiVersion: 'v3', requestId: request['requestId'] };
    if (entities[kind].has(entity.name)) return { ...head, statusCode: 409, message: 'is there' };
    const fault = kind === 'device' ? await validate(entity) : undefined;
    if (fault !== undefined) return { ...head, statusCode: 500, message: fault };
    await put(kind, entity);
    return { ...head, statusCode: 201, id: entities[kind].get(entity.name)?.['id'] };
  };
  const patchOne = async (kind: Kind, request: Record<string, unknown>): Promise<unknown> => {
    const entity = request[FIELDS[kind]] as Entity;
    if (!entities[kind].has(entity.name)) return { apiVersion: 'v3', statusCode: 404, message: 'none' };
    await put(kind, entity);
    return { apiVersion: 'v3', statusCode: 200 };
  };
  const remove = async (kind: Kind, name: string): Promise<void> => {
    const entity = entities[kind].get(name);
    entities[kind].delete(name);
    if (entity !== undefined) await tell(kind, 'delete', entity);
  };
  const listOf = (kind: Kind, service: string, query: URLSearchParams): unknown => {
    const all = [...entities[kind].values()].filter(({ serviceName }) => serviceName === service);
    const offset = Number(query.get('offset'));
    const field = kind === 'device' ? 'devices' : 'provisionWatchers';
    return {
      apiVersion: 'v3',
      statusCode: 200,
      totalCount: all.length,
      [field]: all.slice(offset, offset + PAGE),
    };
  };
  const change = async (method: string, kind: Kind, body: unknown): Promise<[number, unknown]> => {
    const outcomes = [];
    for (const one of body as Record<string, unknown>[])
      outcomes.push(await (method === 'POST' ? addOne(kind, one) : patchOne(kind, one)));
    return [207, outcomes];
  };
  const byName = async (method: string, kind: Kind, name: string): Promise<[number, unknown]> => {
    const entity = entities[kind].get(name);
    if (entity === undefined) return [404, { apiVersion: 'v3', statusCode: 404, message: `no ${name}` }];
    if (method === 'DELETE') await remove(kind, name);
    return [200, { apiVersion: 'v3', statusCode: 200, [FIELDS[kind]]: entity }];
  };
  const answer = async (method: string, url: URL, body: unknown): Promise<[number, unknown]> => {
    const [, , , kind = '', ...rest] = url.pathname.split('/').map(decodeURIComponent);
    if (kind === 'ping') return [200, { apiVersion: 'v3', timestamp: '', serviceName: 'core-metadata' }];
    if (method !== 'GET' && method !== 'DELETE') return change(method, kind as Kind, body);
    if (rest[0] === 'service') return [200, listOf(kind as Kind, rest[2] ?? '', url.searchParams)];
    return byName(method, kind as Kind, rest[1] ?? '');
  };
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(request);
    const { method = '', url = '' } = request;
    seen.push({ method, url, headers: request.headers, body });
    const [status, json] = await answer(method, new URL(url, 'http://h'), body);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
  };
  const server: Server = createServer((request, response) => {
    if (state.isDown) request.socket.destroy();
    else serve(request, response).catch(() => response.writeHead(502).end());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    entities,
    put,
    remove,
    get tells() {
      return state.tells;
    },
    set tells(value) {
      state.tells = value;
    },
    get isDown() {
      return state.isDown;
    },
    set isDown(value) {
      state.isDown = value;
    },
    async close() {
      await requests.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
