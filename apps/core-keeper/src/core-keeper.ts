import { createEdgexService, edgexStore, type EdgexService } from '@antirio/edgex-service';
import { createHttpRim, type Health, type HttpRim, type Service } from '@antirio/host';
import { parseJsonBytes } from '@antirio/edgex-contracts';
import { seedCommonConfig } from './common-config.ts';
import { createHealthChecks } from './health-checks.ts';
import { addKeyRoutes } from './key-routes.ts';
import { openKeeperStore, type KeeperStore } from './keeper-store.ts';
import type { CoreKeeperOptions } from './options.ts';
import { addRegistryRoutes } from './registry-routes.ts';
import type { CoreKeeperPorts, Room } from './room.ts';

export type { CoreKeeperPorts } from './room.ts';

export interface CoreKeeper extends Service {
  /** The port it listens on, once started. */
  readonly port: number;
}

interface Running {
  readonly store: KeeperStore;
  readonly room: Room;
  readonly rim: HttpRim;
  readonly edgex: EdgexService;
}

const VERSION = '4.0.0';

async function openRoom(
  options: CoreKeeperOptions,
  ports: CoreKeeperPorts,
): Promise<Pick<Running, 'store' | 'room'>> {
  const store = await openKeeperStore(options, ports);
  const { keys, registrations } = store;
  const commit = edgexStore(store.commit);
  const checks = createHealthChecks(options, ports, { commit, registrations });
  return { store, room: { ports, commit, keys, registrations, checks } };
}

/** EdgeX core-keeper: configuration by key, and which services there are. */
export function createCoreKeeper(options: CoreKeeperOptions, ports: CoreKeeperPorts): CoreKeeper {
  const { bus, clock, log } = ports;
  let running: Running | undefined;
  let port = 0;

  const health = async (): Promise<Health> => {
    const store = (await running?.store.commit.check(clock)) ?? { ok: false, detail: 'not started' };
    return bus === undefined ? { store } : { store, bus: bus.health() };
  };
  return {
    name: 'core-keeper',
    get port() {
      return port;
    },
    health,
    get broken() {
      return running?.store.commit.broken;
    },
    async start() {
      const { store, room } = await openRoom(options, ports);
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
      running = { store, room, rim, edgex };
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
      await was.store.close();
    },
  };
}
