import { join } from 'node:path';
import { createEdgexService, edgexStore, type EdgexService } from '@antirio/edgex-service';
import {
  createGroupCommit,
  createHttpRim,
  openDatabase,
  type Database,
  type GroupCommit,
  type Health,
  type HttpRim,
  type Service,
} from '@antirio/host';
import { parseJsonBytes } from '@antirio/edgex-contracts';
import { seedCommonConfig } from './common-config.ts';
import { createHealthChecks } from './health-checks.ts';
import { addKeyRoutes } from './key-routes.ts';
import { createKeyStore } from './key-store.ts';
import type { CoreKeeperOptions } from './options.ts';
import { createRegistrations } from './registrations.ts';
import { addRegistryRoutes } from './registry-routes.ts';
import type { CoreKeeperPorts, Room } from './room.ts';
import { MIGRATIONS } from './schema.ts';

export type { CoreKeeperPorts } from './room.ts';

export interface CoreKeeper extends Service {
  /** The port it listens on, once started. */
  readonly port: number;
}

interface Running {
  readonly db: Database;
  readonly commit: GroupCommit;
  readonly room: Room;
  readonly rim: HttpRim;
  readonly edgex: EdgexService;
}

const VERSION = '4.0.0';

function openRoom(
  options: CoreKeeperOptions,
  ports: CoreKeeperPorts,
): Pick<Running, 'db' | 'commit' | 'room'> {
  const path = join(options.dataDir, 'core-keeper', 'keeper.db');
  const db = openDatabase(path, MIGRATIONS);
  const commit = createGroupCommit({ db, path });
  const store = edgexStore(commit);
  const registrations = createRegistrations(db, options.maxRegistrations);
  const keys = createKeyStore(db, options.maxKeys);
  const checks = createHealthChecks(options, ports, { commit: store, registrations });
  return { db, commit, room: { ports, commit: store, keys, registrations, checks } };
}

/** EdgeX core-keeper: configuration by key, and which services there are. */
export function createCoreKeeper(options: CoreKeeperOptions, ports: CoreKeeperPorts): CoreKeeper {
  const { bus, clock, log } = ports;
  let running: Running | undefined;
  let port = 0;

  const health = async (): Promise<Health> => {
    const store = (await running?.commit.check(clock)) ?? { ok: false, detail: 'not started' };
    return bus === undefined ? { store } : { store, bus: bus.health() };
  };
  return {
    name: 'core-keeper',
    get port() {
      return port;
    },
    health,
    get broken() {
      return running?.commit.broken;
    },
    async start() {
      const { db, commit, room } = openRoom(options, ports);
      const edgex = createEdgexService({ serviceKey: 'core-keeper', options, ports });
      const rim = createHttpRim({
        access: ports.access,
        serviceKey: 'core-keeper',
        version: VERSION,
        config: () => edgex.config(),
        health,
        log,
        parseBody: (bytes) => (bytes.length === 0 ? undefined : parseJsonBytes(bytes)),
        clock,
        maxBodyBytes: options.maxBodyBytes,
        before: edgex.before,
      });
      running = { db, commit, room, rim, edgex };
      edgex.addRoutes(rim);
      addKeyRoutes(rim, room);
      addRegistryRoutes(rim, room);
      for (const known of room.registrations.all()) if (known.status !== 'HALT') room.checks.watch(known);
      const { commonConfig: common } = options;
      const addresses = { ...common, coreKeeperPort: options.port };
      if (common.enabled) await seedCommonConfig(room, addresses, Math.trunc(clock.now()));
      port = await rim.listen(options.port, options.bind);
      // it asks itself, as every service asks it
      await edgex.follow();
    },
    async stop() {
      const was = running;
      running = undefined;
      if (was === undefined) return;
      await was.edgex.stop();
      await was.rim.close();
      await was.room.checks.stop();
      await was.commit.close();
      was.db.close();
    },
  };
}
