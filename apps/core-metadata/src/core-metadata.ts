import { createBusRequests, type BusRequests } from '@antirio/bus-request';
import { createEdgexService, edgexStore, type EdgexService } from '@antirio/edgex-service';
import { createHttpRim, type Health, type HttpRim, type Service } from '@antirio/host';
import { createDeviceValidation } from './device-validation.ts';
import { addDeviceRoutes } from './device-routes.ts';
import { addDeviceServiceRoutes } from './device-service-routes.ts';
import { openEntityStore, type EntityStore } from './entity-store.ts';
import type { CoreMetadataOptions } from './options.ts';
import { parseBody } from './profile-file.ts';
import { addProfilePartRoutes } from './profile-part-routes.ts';
import { addProfileRoutes } from './profile-routes.ts';
import { addProvisionWatcherRoutes } from './provision-watcher-routes.ts';
import type { CoreMetadataPorts, Room } from './room.ts';
import { createSettings, writableSchema, type LiveSettings } from './settings.ts';
import { createTeller } from './system-events.ts';
import { addUnitsRoute } from './units-route.ts';

export type { CoreMetadataPorts } from './room.ts';

export interface CoreMetadata extends Service {
  /** The port it listens on, once started. */
  readonly port: number;
  /**
   * Takes over EdgeX's `Writable` settings: `{ProfileChange: {StrictDeviceProfileChanges, StrictDeviceProfileDeletes}, UoM: {Validation}}`,
   * what is given of them, at any time. @throws AntirioError invalidInput; then nothing has changed.
   */
  applyWritable(writable: unknown): void;
}

interface Running {
  readonly store: EntityStore;
  readonly room: Room;
  readonly rim: HttpRim;
  readonly requests: BusRequests | undefined;
  readonly edgex: EdgexService;
}

const VERSION = '4.0.0';

/** What core-metadata has in common with EdgeX's other services. */
function edgexServiceOf(
  options: CoreMetadataOptions,
  ports: CoreMetadataPorts,
  settings: LiveSettings,
): EdgexService {
  return createEdgexService({
    serviceKey: 'core-metadata',
    options,
    ports,
    writable: {
      schema: writableSchema,
      configured: createSettings(options).shown(),
      apply: (values) => settings.apply(values),
    },
  });
}

function addRoutes(rim: HttpRim, room: Room): void {
  addDeviceServiceRoutes(rim, room);
  addProfileRoutes(rim, room);
  addProfilePartRoutes(rim, room);
  addDeviceRoutes(rim, room);
  addProvisionWatcherRoutes(rim, room);
  addUnitsRoute(rim, room);
}

/** EdgeX core-metadata: which device services, profiles, devices and provision watchers there are. */
export function createCoreMetadata(options: CoreMetadataOptions, ports: CoreMetadataPorts): CoreMetadata {
  const { bus, clock, log } = ports;
  const settings = createSettings(options);
  let running: Running | undefined;
  let port = 0;

  const health = async (): Promise<Health> => {
    const store = (await running?.store.commit.check(clock)) ?? { ok: false, detail: 'not started' };
    return bus === undefined ? { store } : { store, bus: bus.health() };
  };
  const open = async (): Promise<Omit<Running, 'rim' | 'edgex'>> => {
    const store = await openEntityStore(options, ports);
    const requests = bus === undefined ? undefined : createBusRequests(bus, ports);
    const validation = createDeviceValidation(options.deviceValidation, ports, requests);
    const room = {
      options,
      settings,
      ports,
      commit: edgexStore(store.commit),
      entities: store.entities,
      validation,
      tell: createTeller(ports),
    };
    return { store, room, requests };
  };
  return {
    name: 'core-metadata',
    get port() {
      return port;
    },
    health,
    get broken() {
      return running?.store.commit.broken;
    },
    applyWritable: (writable) => settings.apply(writable),
    async start() {
      const opened = await open();
      const edgex = edgexServiceOf(options, ports, settings);
      const rim = createHttpRim({
        access: ports.access,
        serviceKey: 'core-metadata',
        version: VERSION,
        config: () => edgex.config(settings.shown()),
        before: edgex.before,
        health,
        log,
        maxBodyBytes: options.maxBodyBytes,
        parseBody,
        clock,
      });
      running = { ...opened, rim, edgex };
      edgex.addRoutes(rim);
      addRoutes(rim, opened.room);
      await edgex.follow();
      port = await rim.listen(options.port, options.bind);
      edgex.register(port);
    },
    async stop() {
      const was = running;
      running = undefined;
      if (was === undefined) return;
      await was.edgex.stop();
      await was.rim.close();
      await was.requests?.close();
      await was.store.close();
    },
  };
}
