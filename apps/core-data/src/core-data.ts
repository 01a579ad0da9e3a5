import type { Clock, Random } from '@antirio/kernel';
import { createEdgexService, type EdgexService } from '@antirio/edgex-service';
import {
  createGroupCommit,
  createHttpRim,
  type Bus,
  type Check,
  type Database,
  type GroupCommit,
  type Health,
  type HttpPeer,
  type HttpRim,
  type Log,
  type Service,
} from '@antirio/host';
import { createBusIngestion, type BusIngestion } from './bus-ingestion.ts';
import { createDeletions, type Deletions } from './deletions.ts';
import { createEventReader, type EventReader } from './event-reader.ts';
import { createEventWriter, type EventWriter } from './event-writer.ts';
import { openStore, storePath } from './import-events.ts';
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
import { createSources } from './sources.ts';

export interface CoreDataPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
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
  readonly commit: GroupCommit;
  readonly writer: EventWriter;
  readonly reader: EventReader;
  readonly deletions: Deletions;
  readonly measures: Measures;
  readonly settings: LiveSettings;
}

interface Running {
  readonly db: Database;
  readonly room: Room;
  readonly rim: HttpRim;
  readonly ingestion: BusIngestion | undefined;
  readonly retention: Retention;
  readonly forwarding: Forwarding;
  readonly edgex: EdgexService;
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

function openRoom(
  options: CoreDataOptions,
  ports: CoreDataPorts,
  settings: LiveSettings,
): { db: Database; room: Room } {
  const path = storePath(options.dataDir);
  const db = openStore(options.dataDir);
  const writer = createEventWriter(db);
  const { maxPendingEvents, maxPendingBytes, maxBatch } = options;
  const limits = { maxPending: maxPendingEvents, maxPendingBytes, maxBatch };
  const hooks = { beforeCommit: () => writer.beforeCommit(), onRollback: () => writer.onRollback() };
  const commit = createGroupCommit({ db, path, ...limits, ...hooks });
  const deletions = createDeletions(commit, writer, ports.log);
  const measures = createMeasures(commit);
  const reader = createEventReader(db, writer.keys);
  return {
    db,
    room: { options, ports, settings, commit, writer, reader, deletions, measures },
  };
}

/** EdgeX core-data: stores events durably before it acknowledges them, by HTTP and from the bus, and answers queries. */
export function createCoreData(options: CoreDataOptions, ports: CoreDataPorts): CoreData {
  const { bus, clock, log } = ports;
  const settings = createSettings(options);
  let running: Running | undefined;
  let port = 0;

  const checkStore = async (): Promise<Check> =>
    (await running?.room.commit.check(clock)) ?? { ok: false, detail: 'not started' };
  const health = async (): Promise<Health> => {
    const store = await checkStore();
    const failure = running?.retention.failure;
    const retention = {
      ok: true,
      ...(failure === undefined ? {} : { detail: `the last round failed: ${failure}` }),
    };
    const forwarding = running?.forwarding.check() ?? { ok: true };
    if (bus === undefined) return { store, retention, forwarding };
    const ingestion = running?.ingestion?.health() ?? { ok: false, detail: 'not started' };
    return { store, bus: bus.health(), ingestion, retention, forwarding };
  };
  return {
    name: 'core-data',
    get port() {
      return port;
    },
    health,
    get broken() {
      return running?.room.commit.broken;
    },
    applyWritable: (changes) => settings.applyWritable(changes),
    async start() {
      const { db, room } = openRoom(options, ports, settings);
      const edgex = edgexServiceOf(room);
      const rim = createHttpRim({
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
      const forwarding = openForwarding(room, db);
      addForwardingRoutes(rim, forwarding);
      await configureForwarding(forwarding, options);
      await edgex.follow();
      const ingestion = bus === undefined ? undefined : await createBusIngestion(room, bus);
      const retention = createRetention(options.retention, {
        clock,
        log,
        sources: createSources(db),
        deletions: room.deletions,
        metadata: ports.peers?.['core-metadata'],
      });
      running = { db, room, rim, ingestion, retention, forwarding, edgex };
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
      await was.forwarding.stop();
      await was.retention.stop();
      await was.room.deletions.stop();
      await was.room.commit.close();
      was.db.close();
    },
  };
}
