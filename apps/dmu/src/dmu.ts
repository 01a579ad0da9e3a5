import { createHttpRim, type Health, type Service } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { createLedgerClient } from '@antirio/ledger-http';
import { DemandWork } from './demand-work.ts';
import { startOffering, type Offering } from './offer.ts';
import { VERSION, type DmuOptions, type DmuPorts } from './options.ts';
import { startProvider, type Provider } from './provider.ts';
import { openRooms } from './rooms.ts';
import { addRoutes } from './routes.ts';
import { openDmuStore, type DmuStore } from './store.ts';

/** The decision making unit's room. Its port is known once it is started. */
export interface Dmu extends Service {
  readonly port: number;
}

/** What the routes work on. */
export interface Running {
  readonly store: DmuStore;
  readonly demands: DemandWork;
  readonly provider: Provider;
  readonly offering: Offering;
  stop(): Promise<void>;
}

const LEDGER = '/edge2edge/peer/central/ledger';

/** Negotiated terms name up to 10,000 devices. */
const MAX_BODY_BYTES = 2 << 20;

/** Everything that runs while the room is started. */
function open(options: DmuOptions, ports: DmuPorts): Running {
  const { clock, random, log, identity, peers } = ports;
  const edge2edge = peers['edge2edge'];
  if (edge2edge === undefined) throw new AntirioError('badConfig', 'the dmu needs the peer edge2edge');
  const ledger = createLedgerClient({ peer: edge2edge, prefix: LEDGER, identity, random, log });
  const store = openDmuStore(options.dataDir);
  const common = { options, clock, random, log, identity, ledger, store, rooms: openRooms(peers, ledger) };
  const provider = startProvider({ ...common, contentStore: peers['filecoinInterface'] });
  const offering = startOffering(common);
  const demands = new DemandWork({ ...common, peers, trials: new Map() }, store);
  return {
    store,
    demands,
    provider,
    offering,
    async stop() {
      await Promise.all([demands.stop(), provider.stop(), offering.stop()]);
      store.close();
    },
  };
}

function healthOf(running: Running | undefined): Health {
  if (running === undefined) return { store: { ok: false, detail: 'not started' } };
  // A market that cannot be reached is told, and is no reason not to be ready: demands wait here.
  return { store: { ok: true }, market: { ok: true, detail: running.offering.obstacle() ?? 'reached' } };
}

export function createDmu(options: DmuOptions, given: DmuPorts): Dmu {
  const ports = { ...given, log: given.log.child({ room: 'dmu' }) };
  const { clock, random, log, identity } = ports;
  let running: Running | undefined;
  let port = 0;
  const started = (): Running => {
    if (running === undefined) throw new AntirioError('unavailable', 'the dmu is not started');
    return running;
  };
  const health = (): Health => healthOf(running);
  const rim = createHttpRim({
    access: ports.access,
    serviceKey: 'dmu',
    version: VERSION,
    config: () => ({ ...options, edgeId: identity.edgeId }),
    health,
    log,
    clock,
    maxBodyBytes: MAX_BODY_BYTES,
  });
  addRoutes({ rim, options, clock, random, running: started, deviceLora: ports.peers['deviceLora'] });
  return {
    name: 'dmu',
    get port() {
      return port;
    },
    health,
    async start() {
      running = open(options, ports);
      port = await rim.listen(options.port, options.bind);
    },
    async stop() {
      await rim.close();
      await running?.stop();
      running = undefined;
    },
  };
}
