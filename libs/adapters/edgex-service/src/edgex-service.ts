import type { RequestHandler } from 'express';
import type { z } from 'zod';
import { describeError, type Clock, type Random } from '@antirio/kernel';
import {
  announcedHost,
  retry,
  schemeAt,
  type Bus,
  type HttpPeer,
  type HttpRim,
  type Log,
  type RimAccess,
} from '@antirio/host';
import { parseDuration } from '@antirio/edgex-contracts';
import { cors } from './cors.ts';
import { register, type Registered } from './keeper-client.ts';
import { commonWritable, type CommonWritable, type EdgexServiceOptions } from './options.ts';
import { requestTimeout } from './request-timeout.ts';
import { addSecretRoute, openSecrets, secretsPath, withoutSecrets, type Secrets } from './secrets.ts';
import { createTelemetry, type Counters, type Gauge } from './telemetry.ts';
import type { Tree } from './tree.ts';
import { followSection, followWritable, type FollowedWritable } from './writable.ts';

const KEEPER = 'core-keeper';

export interface EdgexServicePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly bus?: Bus | undefined;
  readonly peers?: Readonly<Record<string, HttpPeer>> | undefined;
  /** Whether callers from elsewhere have to speak TLS. */
  readonly access?: RimAccess | undefined;
  /** What the environment says of a section of EdgeX's configuration (`Writable`, `Driver`): that stays, whatever core-keeper has. */
  readonly fromEnvironment?: ((section: string) => Tree) | undefined;
}

/** What is a service's own of its Writable section. */
export interface OwnWritable<S extends z.ZodObject> {
  /** Fields besides those that all services have; those that may be missing are optional. */
  readonly schema: S;
  /** What the room's options say, under EdgeX's names. */
  readonly configured: Readonly<Record<string, unknown>>;
  /** Called with what is in force at the start, and whenever that may have changed; never with wrong values. */
  readonly apply: (values: z.output<S>) => void;
}

export interface EdgexServiceParts<S extends z.ZodObject> {
  /** EdgeX's service key, such as `core-data`. */
  readonly serviceKey: string;
  /** Whether it follows what core-keeper has for all device services, too. */
  readonly isDeviceService?: boolean;
  readonly options: EdgexServiceOptions & { readonly bind: string; readonly dataDir: string };
  readonly ports: EdgexServicePorts;
  readonly writable?: OwnWritable<S>;
  /** Metrics that may be published, besides those that all services have. */
  readonly counters?: Counters | (() => Counters);
  /** The same of what comes and goes. */
  readonly gauges?: () => Iterable<Gauge>;
  /** The room sees to it by itself that requests end in time. */
  readonly endsInTime?: boolean;
}

/** What EdgeX's core services have in common, besides what every room has. */
export interface EdgexService {
  /** For the rim, before all routes: CORS and the request timeout. */
  readonly before: readonly RequestHandler[];
  readonly secrets: Secrets;
  /** For `/config`: the options, and the Writable section as it is in force, where the room knows better with its own. */
  readonly config: (own?: Readonly<Record<string, unknown>>) => unknown;
  addRoutes(rim: HttpRim): void;
  /** Follows core-keeper's Writable section, where there is one. @throws AntirioError badConfig */
  follow(): Promise<void>;
  /** Tells of each change that core-keeper has of a section of this service's configuration, such as `Driver`, until the service stops. */
  followSection(section: string, configured: Tree, changed: (values: Tree) => void): void;
  /** Registers with core-keeper, in the background, at the port that it listens on. */
  register(port: number): void;
  stop(): Promise<void>;
}

const KEEPER_AWAY = { attempts: Infinity, firstDelayMs: 500, maxDelayMs: 30_000 };

/** Says once that it is there, and at the end that it is not any more. */
function registration(log: Log, keeper: HttpPeer, service: Registered): { end(): Promise<void> } {
  const stopping = new AbortController();
  let isRegistered = false;
  const registering = retry({ ...KEEPER_AWAY, signal: stopping.signal }, async (attempt) => {
    try {
      await register(keeper, service, 'UP');
      isRegistered = true;
    } catch (error) {
      if (attempt === 1) log.info({ error: describeError(error) }, 'not registered with core-keeper yet');
      throw error;
    }
  }).catch(() => undefined);
  return {
    async end() {
      stopping.abort();
      await registering;
      // where core-keeper ended before, it finds out by itself
      if (isRegistered) await register(keeper, service, 'HALT').catch(() => undefined);
    },
  };
}

export function createEdgexService<S extends z.ZodObject>(parts: EdgexServiceParts<S>): EdgexService {
  const { serviceKey, options, ports, writable, counters = {}, gauges, endsInTime = false } = parts;
  const { log, fromEnvironment = () => ({}) } = ports;
  const { service, followKeeper } = options;
  const keeper = followKeeper ? ports.peers?.[KEEPER] : undefined;
  const secrets = openSecrets(secretsPath(options.dataDir, serviceKey));
  const telemetry = createTelemetry(
    serviceKey,
    () => ({
      SecuritySecretsRequested: () => secrets.counts.requested,
      SecuritySecretsStored: () => secrets.counts.stored,
      ...(typeof counters === 'function' ? counters() : counters),
    }),
    ports,
    gauges,
  );
  const configuredLevel = log.level;
  let inForce: Readonly<Record<string, unknown>> = {};
  let followed: FollowedWritable | undefined;
  const sections: Promise<FollowedWritable>[] = [];
  let registered: { end(): Promise<void> } | undefined;

  const applyCommon = ({ LogLevel, InsecureSecrets = {}, Telemetry = {} }: CommonWritable): void => {
    secrets.configure(InsecureSecrets);
    const level = LogLevel?.toLowerCase() ?? configuredLevel;
    if (log.level !== level) log.level = level;
    const { Interval = '30s', Metrics = {}, Tags = {} } = Telemetry;
    const intervalMs = (parseDuration(Interval) ?? NaN) / 1e6;
    telemetry.apply({ intervalMs, metrics: Metrics, tags: Tags });
  };
  return {
    before: [cors(service.cors), ...(endsInTime ? [] : [requestTimeout(service.requestTimeoutMs)])],
    secrets,
    config: (own = {}) => ({
      ...options,
      writable: withoutSecrets(options.writable),
      Writable: { ...withoutSecrets(inForce), ...own },
    }),
    addRoutes: (rim) => addSecretRoute(rim, secrets),
    async follow() {
      const schema = commonWritable.extend(writable?.schema.shape ?? {});
      const apply = (values: z.output<typeof schema>): void => {
        inForce = values;
        applyCommon(values);
        writable?.apply(values as unknown as z.output<S>);
      };
      followed = await followWritable(
        {
          serviceKey,
          isDeviceService: parts.isDeviceService ?? false,
          configured: { ...writable?.configured, ...options.writable },
          overriding: fromEnvironment('Writable'),
          schema,
          apply,
        },
        { log, bus: ports.bus, keeper },
      );
    },
    followSection(section, configured, changed) {
      sections.push(
        followSection({ serviceKey, section, configured, overriding: fromEnvironment(section) }, changed, {
          log,
          bus: ports.bus,
          keeper,
        }),
      );
    },
    register(port) {
      if (service.startupMsg !== undefined) log.info(service.startupMsg);
      if (keeper === undefined || serviceKey === KEEPER || !service.register) return;
      const host = service.host ?? announcedHost(options.bind);
      registered ??= registration(log, keeper, {
        serviceId: serviceKey,
        host,
        port,
        scheme: schemeAt(ports.access, host),
        intervalMs: service.healthCheckIntervalMs,
      });
    },
    async stop() {
      telemetry.stop();
      await registered?.end();
      await followed?.stop();
      for (const section of sections.splice(0)) await (await section).stop();
      registered = undefined;
      followed = undefined;
      if (log.level !== configuredLevel) log.level = configuredLevel;
    },
  };
}
