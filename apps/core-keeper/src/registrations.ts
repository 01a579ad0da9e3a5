import { z } from 'zod';
import { AntirioError } from '@antirio/kernel';
import type { Database } from '@antirio/host';
import { baseRequest, duration, name, optional } from '@antirio/edgex-contracts';

const status = z.enum(['UP', 'DOWN', 'UNKNOWN', 'HALT']);
export type Status = z.output<typeof status>;

const healthCheck = z.object({
  interval: optional(duration),
  path: optional(z.string().max(1024).startsWith('/')),
  type: z.enum(['http', 'https']),
});

const registration = z.object({
  serviceId: name,
  status: optional(status),
  host: optional(z.string().max(255)),
  port: z.int().min(1).max(65535),
  healthCheck,
});

/** EdgeX's Go clients send `HealthCheck`, and an empty status where they mean none; Go reads either. */
function asGoSends(given: unknown): unknown {
  if (typeof given !== 'object' || given === null) return given;
  const { HealthCheck: check, ...rest } = given as Record<string, unknown>;
  const fields: Record<string, unknown> = check === undefined ? rest : { healthCheck: check, ...rest };
  return fields['status'] === '' ? { ...fields, status: undefined } : fields;
}

export const registrationRequest = baseRequest.extend({
  registration: z.preprocess(asGoSends, registration),
});

const documented = registration.extend({
  created: z.int(),
  modified: z.int(),
  lastConnected: z.int(),
});
export const registrationAnswer = z.object({
  apiVersion: z.string(),
  statusCode: z.int(),
  registration: documented,
});
export const registrationsAnswer = z.object({
  apiVersion: z.string(),
  statusCode: z.int(),
  totalCount: z.int(),
  registrations: z.array(documented),
});

/** A service that wants to be known, and asked for its health. */
export interface Registration {
  readonly serviceId: string;
  readonly status: Status;
  readonly host: string;
  readonly port: number;
  readonly healthCheck: { readonly interval: string; readonly path: string; readonly type: 'http' | 'https' };
  /** Milliseconds since the Unix epoch. */
  readonly created: number;
  readonly modified: number;
  readonly lastConnected: number;
}

export type GivenRegistration = z.output<typeof registration>;

const DEFAULT_INTERVAL = '10s';
const DEFAULT_PATH = '/api/v3/ping';

/** What is stored of a request. */
export function registered(given: GivenRegistration, now: number, before?: Registration): Registration {
  const { interval = DEFAULT_INTERVAL, path = DEFAULT_PATH, type } = given.healthCheck;
  return {
    serviceId: given.serviceId,
    status: given.status ?? 'UNKNOWN',
    host: given.host === undefined || given.host === '' ? 'localhost' : given.host,
    port: given.port,
    healthCheck: { interval, path, type },
    created: before?.created ?? now,
    modified: now,
    lastConnected: before?.lastConnected ?? 0,
  };
}

/** The registrations; every call that writes within a transaction. */
export interface Registrations {
  get(serviceId: string): Registration | undefined;
  all(): readonly Registration[];
  /** @throws AntirioError conflict when it is registered; storageFull when too many are. */
  add(registration: Registration): void;
  replace(registration: Registration): void;
  /** @throws AntirioError notFound */
  remove(serviceId: string): void;
}

function fromRow(row: Record<string, unknown>): Registration {
  return {
    serviceId: row['service_id'] as string,
    status: status.parse(row['status']),
    host: row['host'] as string,
    port: Number(row['port']),
    healthCheck: {
      interval: row['check_interval'] as string,
      path: row['check_path'] as string,
      type: row['check_type'] === 'https' ? 'https' : 'http',
    },
    created: Number(row['created']),
    modified: Number(row['modified']),
    lastConnected: Number(row['last_connected']),
  };
}

export function createRegistrations(db: Database, maxRegistrations: number): Registrations {
  const one = db.prepare('SELECT * FROM registration WHERE service_id = ?');
  const all = db.prepare('SELECT * FROM registration ORDER BY created, service_id');
  const upsert = db.prepare('INSERT OR REPLACE INTO registration VALUES(?,?,?,?,?,?,?,?,?,?)');
  const remove = db.prepare('DELETE FROM registration WHERE service_id = ?');
  const count = db.prepare('SELECT count(*) AS n FROM registration');

  const get = (serviceId: string): Registration | undefined => {
    const row = one.get(serviceId);
    return row === undefined ? undefined : fromRow(row);
  };
  const write = (of: Registration): void => {
    const { interval, path, type } = of.healthCheck;
    const times = [of.created, of.modified, of.lastConnected];
    upsert.run(of.serviceId, of.status, of.host, of.port, interval, path, type, ...times);
  };
  return {
    get,
    all: () => all.all().map(fromRow),
    add(added) {
      if (get(added.serviceId) !== undefined)
        throw new AntirioError('conflict', `service ${added.serviceId} is registered already`);
      if (Number(count.get()?.['n'] ?? 0) >= maxRegistrations)
        throw new AntirioError('storageFull', `more than ${maxRegistrations} services`);
      write(added);
    },
    replace: write,
    remove(serviceId) {
      if (Number(remove.run(serviceId).changes) === 0)
        throw new AntirioError('notFound', `registration of ${serviceId} does not exist`);
    },
  };
}
