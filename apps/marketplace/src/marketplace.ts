import { createHttpRim, type Health, type HttpPeer, type HttpRim, type Service } from '@antirio/host';
import { AntirioError, describeError } from '@antirio/kernel';
import { createLedgerClient, type LedgerClient } from '@antirio/ledger-http';
import { addCentralRoutes } from './central-routes.ts';
import { addEdgeRoutes } from './edge-routes.ts';
import { VERSION, type MarketplaceOptions, type MarketplacePorts } from './options.ts';
import { openOrderStore, type OrderStore } from './order-store.ts';
import { startOrderWork, type OrderWork } from './order-work.ts';
import { followOwnMatches, type OwnMatches } from './own-matches.ts';

/** The market's room. Its port is known once it is started. */
export interface Marketplace extends Service {
  readonly port: number;
}

interface Side {
  start(): void;
  stop(): Promise<void>;
  health(): Health | Promise<Health>;
}

function peerNamed({ peers }: MarketplacePorts, name: string): HttpPeer {
  const peer = peers[name];
  if (peer === undefined) throw new AntirioError('badConfig', `the marketplace needs the peer ${name}`);
  return peer;
}

function started<T>(part: T | undefined): T {
  if (part === undefined) throw new AntirioError('unavailable', 'the marketplace is not started');
  return part;
}

function edgeSide(
  options: MarketplaceOptions,
  ports: MarketplacePorts,
  rim: HttpRim,
  ledger: LedgerClient,
): Side {
  const store: OrderStore = openOrderStore(options.dataDir, options.maxOrders);
  const { clock, random, log, identity } = ports;
  const { refreshIntervalMs, retryIntervalMs } = options;
  let work: OrderWork | undefined;
  let matches: OwnMatches | undefined;
  addEdgeRoutes({
    rim,
    store,
    work: () => started(work),
    matches: () => started(matches),
    ledger,
    clock,
    random,
  });
  return {
    start() {
      work = startOrderWork(ledger, store, retryIntervalMs, log);
      const changed = (): Promise<void> => work?.settle() ?? Promise.resolve();
      const now = (): number => clock.now();
      matches = followOwnMatches({
        ledger,
        edge: identity.edgeId,
        now,
        refreshIntervalMs,
        retryIntervalMs,
        log,
        changed,
      });
    },
    async stop() {
      await matches?.stop();
      await work?.stop();
      store.close();
    },
    health() {
      const obstacle = work?.obstacle();
      const readAt = matches?.readAt();
      const detail =
        obstacle ?? (readAt === undefined ? 'the ledger was not read yet' : 'follows the ledger');
      // Orders wait here for a ledger that is away: that is told, and is no reason not to be ready.
      return { store: { ok: true }, ledger: { ok: true, detail } };
    },
  };
}

function centralSide(ports: MarketplacePorts, rim: HttpRim, ledger: LedgerClient): Side {
  addCentralRoutes(rim, ledger, peerNamed(ports, 'ledger'), ports.clock);
  return {
    start: () => undefined,
    stop: () => Promise.resolve(),
    async health() {
      try {
        await ledger.head();
        return { ledger: { ok: true } };
      } catch (error) {
        return { ledger: { ok: false, detail: describeError(error) } };
      }
    },
  };
}

export function createMarketplace(options: MarketplaceOptions, given: MarketplacePorts): Marketplace {
  const log = given.log.child({ room: 'marketplace' });
  const ports = { ...given, log };
  const { identity, random } = ports;
  const central = options.role === 'central';
  const ledger = createLedgerClient({
    peer: peerNamed(ports, central ? 'ledger' : 'edge2edge'),
    prefix: central ? '' : '/edge2edge/peer/central/ledger',
    identity,
    random,
    log,
  });
  let side: Side | undefined;
  let port = 0;
  const health = (): Health | Promise<Health> =>
    side?.health() ?? { store: { ok: false, detail: 'not started' } };
  const rim = createHttpRim({
    access: ports.access,
    serviceKey: 'marketplace',
    version: VERSION,
    config: () => ({ ...options, edgeId: identity.edgeId }),
    health,
    log,
    clock: ports.clock,
  });
  return {
    name: 'marketplace',
    get port() {
      return port;
    },
    health,
    async start() {
      side = central ? centralSide(ports, rim, ledger) : edgeSide(options, ports, rim, ledger);
      side.start();
      port = await rim.listen(options.port, options.bind);
    },
    async stop() {
      await rim.close();
      await side?.stop();
      side = undefined;
    },
  };
}
