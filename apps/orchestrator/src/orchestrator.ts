import { join } from 'node:path';
import { Counter } from 'prom-client';
import { z } from 'zod';
import { parseJsonBytes } from '@antirio/edgex-contracts';
import {
  createHttpRim,
  readFileIfThere,
  repeat,
  type Health,
  type HttpPeer,
  type HttpRim,
  type Repeating,
  type Service,
} from '@antirio/host';
import { AntirioError, fromHex, fromUtf8, type Identity } from '@antirio/kernel';
import { createRuntime, type Runtime } from '@antirio/runtime';
import { baseUrlOf } from './base-url.ts';
import {
  advanceCustomer,
  isUnderWay as customerUnderWay,
  noteCustomerFailure,
} from './flow/customer-flow.ts';
import { addCustomerRoutes } from './flow/customer-routes.ts';
import type { HomePeers } from './flow/bring-home.ts';
import { createFlow, type Flow } from './flow/flows.ts';
import { addGuestEventsRoute } from './flow/guest-events.ts';
import {
  advanceProvider,
  endProvider,
  isDue as providerDue,
  isUnderWay as providerUnderWay,
  noteProviderFailure,
} from './flow/provider-flow.ts';
import { addProviderRoutes } from './flow/provider-routes.ts';
import { addImageRoute } from './image-export.ts';
import { VERSION, type OrchestratorOptions, type OrchestratorPorts } from './options.ts';
import { groupRuntime } from './service/group-runtime.ts';
import { openFolders } from './service/folders.ts';
import { createSecretsKeeper } from './service/secrets.ts';
import type { ServiceRoom } from './service/service-room.ts';
import { addServiceRoutes } from './service/service-routes.ts';
import { createServices, type Services } from './service/services.ts';
import { openStore, type OrchestratorStore } from './store.ts';
import { guestVolumes, type GuestRooms } from './volume/guest-volumes.ts';
import { ownVolumes, type OwnRooms } from './volume/own-volumes.ts';
import { volumeObjects, type VolumeObjects } from './volume/volume-objects.ts';
import { addVolumeRoutes } from './volume/volume-routes.ts';

const OCTETS = 'application/octet-stream';
const ROOM = 'orchestrator';

export interface Orchestrator extends Service {
  /** The port in use, once started. */
  readonly port: number;
}

function peerNamed(peers: Readonly<Record<string, HttpPeer>>, name: string): HttpPeer {
  const peer = peers[name];
  if (peer === undefined)
    throw new AntirioError('badConfig', `the orchestrator needs the peer ${name}`, { name });
  return peer;
}

function readBrokerSecret(dataDir: string): Uint8Array {
  const path = join(dataDir, 'broker', 'secret');
  const text = readFileIfThere(path);
  if (text === undefined)
    throw new AntirioError('unavailable', 'the broker has no secret for contracts yet', { path });
  return fromHex(fromUtf8(text).trim(), 32);
}

const FOR_NEIGHBOURS = {
  POST: /^\/orchestrator\/(?:service_provider\/contract|v1\/guest\/[^/]+\/(?:snapshot|home))$/,
  GET: /^\/orchestrator\/(?:service_provider\/contract\/[^/]+|v1\/guest\/[^/]+\/(?:event\/[^/]+|snapshot))$/,
};

/** Requests of other edges reach these resources only, whatever stands in front of this room. */
function keepNeighboursOut(rim: HttpRim): void {
  rim.app.use((request, _response, next) => {
    const { method, path } = request;
    const open = (method === 'POST' || method === 'GET') && FOR_NEIGHBOURS[method].test(path);
    if (open || request.get('x-antirio-peer') === undefined) next();
    else next(new AntirioError('forbidden', 'not open to other edges'));
  });
}

interface Volumes {
  readonly guests: GuestRooms;
  readonly own: OwnRooms;
}

const VOLUMES_MS = 500;

/** All that exists only between start and stop. */
interface Running {
  readonly store: OrchestratorStore;
  readonly services: Services;
  readonly flows: readonly Flow[];
  readonly rim: HttpRim;
  readonly runtime: Runtime;
  readonly volumes: Volumes;
  readonly working: Repeating[];
}

class OrchestratorRoom implements Orchestrator {
  readonly name = ROOM;
  readonly #options: OrchestratorOptions;
  readonly #ports: OrchestratorPorts;
  readonly #dir: string;
  #running: Running | undefined;
  #port = 0;

  constructor(options: OrchestratorOptions, ports: OrchestratorPorts) {
    this.#options = options;
    this.#ports = { ...ports, log: ports.log.child({ room: ROOM }) };
    this.#dir = join(options.dataDir, ROOM);
  }

  get port(): number {
    return this.#port;
  }

  async start(): Promise<void> {
    const { port, bind, stopGraceMs } = this.#options;
    const { clock, log } = this.#ports;
    const store = openStore(this.#dir);
    try {
      const dir = join(this.#dir, 'runtime');
      const runtime =
        this.#ports.runtime ??
        (await createRuntime(this.#options.runtime, {
          ...{ dir, graceMs: stopGraceMs, clock, log },
          balena: this.#options.balena,
        }));
      this.#running = this.#build(store, runtime);
    } catch (error) {
      store.close();
      throw error;
    }
    const { rim, services, flows } = this.#running;
    this.#port = await rim.listen(port, bind);
    services.start();
    for (const flow of flows) flow.start();
    const { guests, own } = this.#running.volumes;
    this.#running.working.push(
      repeat('volumes of customers', VOLUMES_MS, log, () => guests.advance()),
      repeat('volumes of our service', VOLUMES_MS, log, () => own.advance()),
    );
  }

  async stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.#running = undefined;
    await running.rim.close();
    await Promise.all([...running.flows, ...running.working].map((flow) => flow.stop()));
    await running.services.stop();
    running.store.close();
  }

  async health(): Promise<Health> {
    const running = this.#running;
    if (running === undefined) return { store: { ok: false, detail: 'not started' } };
    const services = await running.services.all();
    const failed = services
      .filter(({ observed }) => observed === 'failed')
      .map(({ contractId }) => contractId);
    return {
      store: { ok: true },
      bus: this.#ports.bus.health(),
      runtime: await running.runtime.health(),
      // A customer's image that does not run is no fault of this edge's
      services: {
        ok: true,
        detail: `${services.length}${failed.length === 0 ? '' : `, failed: ${failed.join(', ')}`}`,
      },
    };
  }

  #build(store: OrchestratorStore, runtime: Runtime): Running {
    const rim = this.#rim();
    const customerFlow = this.#customerFlow(store);
    const providerFlow = this.#providerFlow(store, runtime);
    const volumes = this.#volumes(store, runtime);
    const room = this.#serviceRoom(store, runtime, rim, providerFlow, volumes.guests);
    const services = createServices(room);
    const { clock, random, bus } = this.#ports;
    const options = this.#options;
    keepNeighboursOut(rim);
    addCustomerRoutes(rim, { store, flow: customerFlow, options, clock, random, bus });
    addProviderRoutes(rim, { store, flow: providerFlow, options, clock });
    addServiceRoutes(rim, room, services);
    addImageRoute(rim, runtime);
    const working: Repeating[] = [];
    const poke = (): void => working.forEach((one) => one.poke());
    addVolumeRoutes(rim, { store, services, ...volumes, poke }, () => clock.now());
    addGuestEventsRoute(rim, { store, coreData: room.peers.coreData });
    rim.route('get', '/orchestrator/health', { summary: 'table 4.5', answer: z.unknown() }, () => ({
      'Status Message': `orchestrator v.${VERSION}`,
    }));
    return { store, services, flows: [customerFlow, providerFlow], rim, runtime, volumes, working };
  }

  #rim(): HttpRim {
    return createHttpRim({
      access: this.#ports.access,
      serviceKey: ROOM,
      version: VERSION,
      config: () => this.#options,
      health: () => this.health(),
      log: this.#ports.log,
      clock: this.#ports.clock,
      // Bodies on their way to a foreign service stay as they are
      parseBody: (bytes, contentType) =>
        bytes.length === 0 || contentType === OCTETS ? undefined : parseJsonBytes(bytes),
    });
  }

  #customerFlow(store: OrchestratorStore): Flow {
    const { clock, random, log, peers } = this.#ports;
    const rooms = {
      migration: peerNamed(peers, 'migration'),
      dmu: peerNamed(peers, 'dmu'),
      arbitrator: peerNamed(peers, 'arbitrator'),
    };
    const homePeers = (): HomePeers => ({
      arbitrator: rooms.arbitrator,
      edge2edge: peerNamed(peers, 'edge2edge'),
      coreData: peerNamed(peers, 'coreData'),
    });
    const flow = { store, clock, peers: rooms, homePeers };
    return createFlow({
      name: 'contracts as the customer',
      unfinished: () =>
        store.customers
          .all()
          .filter(customerUnderWay)
          .map(({ id }) => id),
      advance: (id) => advanceCustomer(id, flow),
      failed: (id, error, final) => noteCustomerFailure(id, flow, error, final),
      options: this.#options,
      clock,
      random,
      log,
    });
  }

  #providerFlow(store: OrchestratorStore, runtime: Runtime): Flow {
    const { clock, random, log, peers } = this.#ports;
    const options = this.#options;
    const flow = { store, clock, runtime, peers: { migration: peerNamed(peers, 'migration') } };
    return createFlow({
      name: 'contracts as the provider',
      unfinished: () =>
        store.providers
          .all()
          .filter((contract) => providerUnderWay(contract) && providerDue(contract, clock))
          .map(({ contractId }) => contractId),
      advance: (id) => advanceProvider(id, flow),
      failed: (id, error, final) => noteProviderFailure(id, { store, clock, random, options }, error, final),
      options,
      clock,
      random,
      log,
    });
  }

  #volumes(store: OrchestratorStore, runtime: Runtime): Volumes {
    const { clock, random, log, peers, identity } = this.#ports;
    const signer = (): Identity => {
      if (identity !== undefined) return identity;
      throw new AntirioError('badConfig', 'the orchestrator has no identity to sign snapshots with');
    };
    const objects = (): VolumeObjects => volumeObjects(peerNamed(peers, 'filecoinInterface'));
    const common = { dataDir: this.#dir, objects, identity: signer, clock, random, log };
    return {
      guests: guestVolumes({ ...common, records: store.volumes, user: runtime.user }),
      own: ownVolumes({
        ...common,
        ...{ store, options: this.#options },
        peers: () => ({
          arbitrator: peerNamed(peers, 'arbitrator'),
          edge2edge: peerNamed(peers, 'edge2edge'),
        }),
      }),
    };
  }

  #serviceRoom(
    store: OrchestratorStore,
    runtime: Runtime,
    rim: HttpRim,
    flow: Flow,
    volumes: GuestRooms,
  ): ServiceRoom {
    const options = this.#options;
    const { clock, random, log, bus, peers, access } = this.#ports;
    const folders = openFolders({
      dataDir: this.#dir,
      runRoot: options.runRoot,
      user: runtime.user,
      random,
      log,
    });
    const calls = new Counter({
      name: 'antirio_orchestrator_foreign_calls_total',
      help: 'calls of foreign services to the core services, by what became of them',
      labelNames: ['outcome'],
      registers: [rim.metrics],
    });
    return {
      options,
      store,
      runtime: groupRuntime(runtime, clock, log),
      folders,
      secrets: createSecretsKeeper(folders, runtime.user, options.allowDiskSecrets),
      bus,
      clock,
      random,
      log,
      peers: {
        migration: peerNamed(peers, 'migration'),
        coreData: peerNamed(peers, 'coreData'),
        coreMetadata: peerNamed(peers, 'coreMetadata'),
      },
      brokerSocket: options.brokerSocket ?? join(options.dataDir, 'broker', 'foreign.sock'),
      brokerSecret: () => readBrokerSecret(options.dataDir),
      baseUrl: () => baseUrlOf(options, access, this.#port),
      endContract: (contractId, givenUp) => {
        endProvider(contractId, { store, clock }, givenUp);
        flow.hurry(contractId);
      },
      volumes,
      onForeignCall: (outcome) => calls.inc({ outcome }),
    };
  }
}

/**
 * Runs, moves and stores customers' services: the thesis's orchestrator (section 4.8). As a customer it brings an image from a file
 * to a contract; as a provider it has a customer's image fetched, and brings its service to where the arbitrator wants it.
 */
export function createOrchestrator(options: OrchestratorOptions, ports: OrchestratorPorts): Orchestrator {
  return new OrchestratorRoom(options, ports);
}
