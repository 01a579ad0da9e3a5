import type { z } from 'zod';
import { AntirioError, errorCodes, uuidV4, type ErrorCode, type Random } from '@antirio/kernel';
import type { HttpCall, HttpPeer, Log } from '@antirio/host';
import {
  API_VERSION,
  device as deviceSchema,
  deviceProfile,
  deviceService,
  parseJsonBytes,
  provisionWatcher,
  stringifyJson,
  type Device,
  type DeviceProfile,
  type DeviceService,
  type ProvisionWatcher,
  type UpdateDevice,
  type UpdateProvisionWatcher,
} from '@antirio/edgex-contracts';

/** The fields of a device that are to change. */
export type DevicePatch = Partial<UpdateDevice> & { readonly name: string };

/** The fields of a provision watcher that are to change. */
export type ProvisionWatcherPatch = Partial<UpdateProvisionWatcher> & { readonly name: string };

/** What became of one item of a request. */
export interface ItemOutcome {
  readonly statusCode: number;
  readonly id?: string;
  readonly message?: string;
}

/** Core-metadata, as far as a device service asks it, by EdgeX's API alone. */
export interface Metadata {
  ping(): Promise<void>;
  devices(serviceName: string): Promise<Device[]>;
  watchers(serviceName: string): Promise<ProvisionWatcher[]>;
  device(name: string): Promise<Device | undefined>;
  service(name: string): Promise<DeviceService | undefined>;
  profile(name: string): Promise<DeviceProfile | undefined>;
  add(kind: Kind, items: readonly object[]): Promise<ItemOutcome[]>;
  patch(kind: Kind, items: readonly object[]): Promise<ItemOutcome[]>;
  /** @throws AntirioError of what became of it, where that is not good */
  patchDevice(device: DevicePatch): Promise<void>;
  /** Puts the profile in place of the one of its name. @throws AntirioError of what became of it */
  putProfile(profile: { readonly name: string }): Promise<void>;
  remove(kind: Exclude<Kind, 'deviceservice'>, name: string): Promise<void>;
}

export type Kind = 'device' | 'deviceprofile' | 'deviceservice' | 'provisionwatcher';

/** What the item of each request is called. */
const FIELD: Readonly<Record<Kind, string>> = {
  device: 'device',
  deviceprofile: 'profile',
  deviceservice: 'service',
  provisionwatcher: 'provisionwatcher',
};
const TIMEOUT_MS = 15_000;
/** A request's items at most: each device may be asked about before it is taken. */
const CHUNK = 100;
const MAX_ENTITIES = 1_000_000;
const name = encodeURIComponent;

export function codeOfStatus(status: number): ErrorCode {
  const found = Object.entries(errorCodes).find(([, known]) => known === status);
  if (found !== undefined) return found[0] as ErrorCode;
  return status >= 500 ? 'unavailable' : 'invalidInput';
}

/** @throws AntirioError where an item was refused */
export function goodOutcome(outcome: ItemOutcome | undefined, what: string): ItemOutcome {
  if (outcome === undefined) throw new AntirioError('unavailable', `core-metadata said nothing of ${what}`);
  if (outcome.statusCode < 300) return outcome;
  const { statusCode, message = `status ${statusCode}` } = outcome;
  throw new AntirioError(codeOfStatus(statusCode), `core-metadata refuses ${what}: ${message}`);
}

const fieldsOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

function outcomeOf(item: unknown): ItemOutcome {
  const { statusCode, id, message } = fieldsOf(item);
  return {
    statusCode: typeof statusCode === 'number' ? statusCode : 500,
    ...(typeof id === 'string' ? { id } : {}),
    ...(typeof message === 'string' ? { message } : {}),
  };
}

interface Ports {
  readonly peer: HttpPeer;
  readonly random: Random;
  readonly log: Log;
  /** Gives up what is under way. */
  readonly signal: AbortSignal;
}

export function createMetadata({ peer, random, log, signal }: Ports): Metadata {
  /** The body, whatever the status. */
  const exchange = async (call: HttpCall): Promise<{ status: number; body: unknown }> => {
    const headers = { 'x-correlation-id': uuidV4(random), ...call.headers };
    const answer = await peer.call({ timeoutMs: TIMEOUT_MS, signal, ...call, headers });
    let body: unknown;
    try {
      body = answer.body.length === 0 ? undefined : parseJsonBytes(answer.body);
    } catch (cause) {
      if (answer.status < 300)
        throw new AntirioError('unavailable', 'core-metadata answered nonsense', {}, cause);
    }
    return { status: answer.status, body };
  };
  const ask = async (call: HttpCall): Promise<unknown> => {
    const { status, body } = await exchange(call);
    if (status < 300) return body;
    const { message } = fieldsOf(body);
    const why = typeof message === 'string' ? message : `status ${status}`;
    throw new AntirioError(
      codeOfStatus(status),
      `core-metadata: ${call.method ?? 'GET'} ${call.path}: ${why}`,
    );
  };
  const sendItems = async (
    method: 'POST' | 'PATCH' | 'PUT',
    kind: Kind,
    items: readonly object[],
  ): Promise<ItemOutcome[]> => {
    const outcomes: ItemOutcome[] = [];
    for (let at = 0; at < items.length; at += CHUNK) {
      const requests = items
        .slice(at, at + CHUNK)
        .map((item) => ({ apiVersion: API_VERSION, requestId: uuidV4(random), [FIELD[kind]]: item }));
      const answer = await ask({
        method,
        path: `/api/v3/${kind}`,
        headers: { 'content-type': 'application/json' },
        body: Buffer.from(stringifyJson(requests)),
      });
      outcomes.push(...(Array.isArray(answer) ? answer : []).map(outcomeOf));
    }
    return outcomes;
  };
  /** An entity of a newer EdgeX that means nothing here does not hide the others. */
  const readable = <S extends z.ZodType>(schema: S, items: unknown): z.output<S>[] =>
    (Array.isArray(items) ? items : []).flatMap((item) => {
      const parsed = schema.safeParse(item);
      if (parsed.success) return [parsed.data];
      log.warn({ name: fieldsOf(item)['name'] }, 'core-metadata has something that is not understood');
      return [];
    });
  /** All pages: core-metadata gives no more than its MaxResultCount at once. */
  const list = async <S extends z.ZodType>(
    path: string,
    field: string,
    schema: S,
  ): Promise<z.output<S>[]> => {
    const all: unknown[] = [];
    while (all.length < MAX_ENTITIES) {
      const answer = fieldsOf(await ask({ path: `/api/v3/${path}?offset=${all.length}&limit=-1` }));
      const page = answer[field];
      if (!Array.isArray(page) || page.length === 0) break;
      all.push(...(page as unknown[]));
      if (typeof answer['totalCount'] !== 'number' || all.length >= answer['totalCount']) break;
    }
    return readable(schema, all);
  };
  const one = async <S extends z.ZodType>(
    path: string,
    field: string,
    schema: S,
  ): Promise<z.output<S> | undefined> => {
    const { status, body } = await exchange({ path: `/api/v3/${path}` });
    if (status === 404) return undefined;
    const [found] = readable(schema, [fieldsOf(body)[field]]);
    if (status >= 300 || found === undefined)
      throw new AntirioError('unavailable', `core-metadata answered ${status} to ${path}`);
    return found;
  };
  return {
    async ping() {
      await ask({ path: '/api/v3/ping', timeoutMs: 2000 });
    },
    devices: (service) => list(`device/service/name/${name(service)}`, 'devices', deviceSchema),
    watchers: (service) =>
      list(`provisionwatcher/service/name/${name(service)}`, 'provisionWatchers', provisionWatcher),
    device: (device) => one(`device/name/${name(device)}`, 'device', deviceSchema),
    service: (service) => one(`deviceservice/name/${name(service)}`, 'service', deviceService),
    profile: (profile) => one(`deviceprofile/name/${name(profile)}`, 'profile', deviceProfile),
    add: (kind, items) => sendItems('POST', kind, items),
    patch: (kind, items) => sendItems('PATCH', kind, items),
    async patchDevice(device) {
      const [outcome] = await sendItems('PATCH', 'device', [device]);
      goodOutcome(outcome, `the change of device ${device.name}`);
    },
    async putProfile(profile) {
      const [outcome] = await sendItems('PUT', 'deviceprofile', [profile]);
      goodOutcome(outcome, `the profile ${profile.name}`);
    },
    async remove(kind, entity) {
      await ask({ method: 'DELETE', path: `/api/v3/${kind}/name/${name(entity)}` });
    },
  };
}
