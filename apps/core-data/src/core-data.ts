import type { Clock, Random } from '@antirio/kernel';
import { createEdgexService, type EdgexService } from '@antirio/edgex-service';
import {
  createHttpRim,
  type Bus,
  type Health,
  type HttpPeer,
  type HttpRim,
  type Log,
  type Service,
  type RimAccess,
} from '@antirio/host';
import { join } from 'node:path';
import { openArrivalAges, type ArrivalAges } from './arrival-ages.ts';
import { createExpiry } from './expiry.ts';
import { createHeldEvents } from './held-events.ts';
import { createStoreBounds, type StoreBounds } from './store-bounds.ts';
import { createBusIngestion, type BusIngestion } from './bus-ingestion.ts';
import { createDeletions, type Deletions } from './deletions.ts';
import { openEventStore } from './open-event-store.ts';
import type { EventStore } from './event-store.ts';
import { addHoldRoutes, openHolds, type Holds } from './holds.ts';
import { createMeasures, type Measures } from './measures.ts';
import type { CoreDataOptions } from './options.ts';
import { parseBody } from './request-body.ts';
import { addEventPost } from './event-routes.ts';
import { addEventQueries } from './event-queries.ts';
import { addReadingRoutes } from './reading-routes.ts';
import { createRetention, type Retention } from './retention.ts';
import { configureForwarding, openForwarding, type Forwarding } from './forwarding/forwarding.ts';
import { addForwardingRoutes } from './forwarding/routes.ts';
import { createSettings, writable, type LiveSettings } from './settings.ts';

export interface CoreDataPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Who may call by HTTP; without it everybody who reaches the port. */
  readonly access?: RimAccess | undefined;
  readonly bus?: Bus;
  readonly peers?: Readonly<Record<string, HttpPeer>>;
}

export interface CoreData extends Service {
  /** The port it listens on, once started. */
  readonly port: number;
  /** What has changed of EdgeX's `Writable`, while it runs or before. @throws AntirioError invalidInput */
  applyWritable(changes: unknown): void;
}

/** What the parts of the room share while it runs. */
export interface Room {
  readonly options: CoreDataOptions;
  readonly ports: CoreDataPorts;
  readonly store: EventStore;
  readonly deletions: Deletions;
  readonly measures: Measures;
  readonly settings: LiveSettings;
  readonly holds: Holds;
}

interface Running {
  readonly room: Room;
  readonly rim: HttpRim;
  readonly ingestion: BusIngestion | undefined;
  readonly retention: Retaining;
  readonly forwarding: Forwarding;
  readonly edgex: EdgexService;
}

/** What keeps the store from growing. */
interface Retaining {
  readonly policies: Retention;
  readonly bounds: StoreBounds;
  readonly ages: ArrivalAges;
}

const VERSION = '4.0.0';

/** What core-data has in common with EdgeX's other services. */
function edgexServiceOf({ options, ports, settings, measures }: Room): EdgexService {
  const { persistData: PersistData, eventPurge: EventPurge } = options;
  return createEdgexService({
    serviceKey: 'core-data',
    options,
    ports,
    writable: {
      schema: writable,
      configured: { PersistData, EventPurge },
      apply: (values) => settings.applyWritable(values),
    },
    counters: {
      EventsPersisted: () => measures.events,
      ReadingsPersisted: () => measures.readings,
    },
  });
}

async function openRoom(
  options: CoreDataOptions,
  ports: CoreDataPorts,
  settings: LiveSettings,
): Promise<Room> {
  const store = await openEventStore(options, ports);
  const deletions = createDeletions(store, ports.log);
  const holds = openHolds(options.dataDir, ports.clock, ports.log);
  return { options, ports, settings, store, deletions, holds, measures: createMeasures(store) };
}

function storeName({ store }: CoreDataOptions): string {
  return store.kind === 'sqlite' ? store.kind : `${store.url} ${store.keyPrefix}`;
}

/** Before anything is stored, which what is remembered of ages is compared with. */
function beginRetention(room: Room, forwarding: Forwarding): Retaining {
  const { options, ports, store, deletions, holds } = room;
  const { clock, log } = ports;
  const { retention } = options;
  const expiry = createExpiry(retention.deletes, { store, deletions, forwarding, holds });
  const metadata = ports.peers?.['core-metadata'];
  const ages = openArrivalAges(join(options.dataDir, 'core-data', 'ages.db'), clock, {
    of: storeName(options),
    newest: store.arrivals.newest(),
  });
  const heldEvents = createHeldEvents(retention.holds, { store, holds, forwarding, log });
  return {
    policies: createRetention(retention, { clock, log, sources: store.sources, expiry, metadata }),
    bounds: createStoreBounds(retention.bounds, { store, expiry, ages, heldEvents, log }),
    ages,
  };
}

function keepingHealth({ policies, bounds }: Retaining, forwarding: Forwarding): Health {
  const { failure } = policies;
  const detail = failure === undefined ? {} : { detail: `the last round failed: ${failure}` };
  return { retention: { ok: true, ...detail }, bounds: bounds.check(), forwarding: forwarding.check() };
}

async function endRetention({ policies, bounds, ages }: Retaining): Promise<void> {
  await policies.stop();
  await bounds.stop();
  ages.close();
}

/** EdgeX core-data: stores events durably before it acknowledges them, by HTTP and from the bus, and answers queries. */
export function createCoreData(options: CoreDataOptions, ports: CoreDataPorts): CoreData {
  const { bus, clock, log } = ports;
  const settings = createSettings(options);
  let running: Running | undefined;
  let port = 0;

  const health = async (): Promise<Health> => {
    if (running === undefined) return { store: { ok: false, detail: 'not started' } };
    const { room, retention, forwarding, ingestion } = running;
    const store = await room.store.check(clock);
    const kept = keepingHealth(retention, forwarding);
    if (bus === undefined) return { store, ...kept };
    const taking = ingestion?.health() ?? { ok: false, detail: 'not started' };
    return { store, bus: bus.health(), ingestion: taking, ...kept };
  };
  return {
    name: 'core-data',
    get port() {
      return port;
    },
    health,
    get broken() {
      return running?.room.store.broken;
    },
    applyWritable: (changes) => settings.applyWritable(changes),
    async start() {
      const room = await openRoom(options, ports, settings);
      const edgex = edgexServiceOf(room);
      const rim = createHttpRim({
        access: ports.access,
        serviceKey: 'core-data',
        version: VERSION,
        config: () => edgex.config(),
        before: edgex.before,
        health,
        log,
        maxBodyBytes: options.maxEventBytes,
        parseBody,
        clock,
      });
      edgex.addRoutes(rim);
      room.measures.register(rim.metrics);
      addEventPost(rim, room);
      addEventQueries(rim, room);
      addReadingRoutes(rim, room);
      const forwarding = openForwarding(room);
      addForwardingRoutes(rim, forwarding);
      addHoldRoutes(rim, room.holds);
      await configureForwarding(forwarding, options);
      await edgex.follow();
      const retention = beginRetention(room, forwarding);
      retention.bounds.register(rim.metrics);
      const ingestion = bus === undefined ? undefined : await createBusIngestion(room, bus);
      running = { room, rim, ingestion, retention, forwarding, edgex };
      room.deletions.poke();
      port = await rim.listen(options.port, options.bind);
      edgex.register(port);
    },
    async stop() {
      const was = running;
      running = undefined;
      if (was === undefined) return;
      await was.edgex.stop();
      await was.rim.close();
      await was.ingestion?.close();
      await endRetention(was.retention);
      await was.forwarding.stop();
      await was.room.deletions.stop();
      was.room.holds.close();
      await was.room.store.close();
    },
  };
}
