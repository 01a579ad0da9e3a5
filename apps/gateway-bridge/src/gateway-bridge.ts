import { join } from 'node:path';
import { AntirioError, type Clock, type Random } from '@antirio/kernel';
import {
  createHttpRim,
  repeat,
  type Bus,
  type Health,
  type HttpPeer,
  type HttpRim,
  type Log,
  type Repeating,
  type Service,
  type RimAccess,
} from '@antirio/host';
import { eu868 } from '@antirio/lorawan';
import { createCommands, type Commands } from './bus/commands.ts';
import { createDelivery, type Delivery } from './bus/delivery.ts';
import { createGatewayNews, type GatewayNews } from './bus/gateway-news.ts';
import { createAirwaves } from './downlink/airwaves.ts';
import { createDownlinks } from './downlink/downlinks.ts';
import { createLending } from './downlink/lending.ts';
import { openDutyCycle, type DutyCycle } from './downlink/duty-cycle.ts';
import { createJitQueue } from './downlink/jit-queue.ts';
import { openFence, type FenceKeeper } from './fence/fence.ts';
import { createIntake } from './intake.ts';
import { addMetrics } from './metrics.ts';
import { createJoins } from './join/joins.ts';
import type { GatewayBridgeOptions } from './options.ts';
import { createGapFiller, type GapFiller } from './ring/gap-filler.ts';
import { openRings, type Rings } from './ring/rings.ts';
import { createSourceNotes, type SourceNotes } from './ring/source-notes.ts';
import { addRoutes } from './routes.ts';
import { openForwarders, type Forwarders } from './semtech/forwarders.ts';

export interface GatewayBridgePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Who may call by HTTP; without it everybody who reaches the port. */
  readonly access?: RimAccess | undefined;
  readonly bus: Bus;
  /** `edge2edge` is where other edges' rings are reached. */
  readonly peers: Readonly<Record<string, HttpPeer>>;
}

export interface GatewayBridge extends Service {
  /** The ports in use, once started. */
  readonly address: { readonly httpPort: number; readonly udpPort: number } | undefined;
}

const VERSION = '0.1.0';
const TIDY_MS = 1000;
/** The filter of a ring: a hundred thousand DevAddrs, twice where they share. */
const MAX_BODY_BYTES = 4 << 20;
const OWN = 'own';
const ROOM = 'gateway-bridge';

interface Running {
  readonly rim: HttpRim;
  readonly rings: Rings;
  readonly fence: FenceKeeper;
  readonly delivery: Delivery;
  readonly commands: Commands;
  readonly dutyCycle: DutyCycle | undefined;
  readonly news: GatewayNews;
  readonly forwarders: Forwarders;
  readonly fillers: Map<string, { readonly filler: GapFiller; readonly source: string }>;
  readonly tidy: Repeating;
  readonly httpPort: number;
}

/** The edge's radio: gateways' ports, frame logs, the fence before every downlink. */
export function createGatewayBridge(options: GatewayBridgeOptions, ports: GatewayBridgePorts): GatewayBridge {
  const { clock, random, bus } = ports;
  const log = ports.log.child({ room: ROOM });
  const { region } = options;
  let running: Running | undefined;

  const health = (): Health => {
    if (running === undefined) return { service: { ok: false, detail: 'not started' } };
    const { recvBufferBytes } = running.forwarders;
    const small = recvBufferBytes < options.udp.recvBufferBytes;
    return {
      store: running.rings.check(),
      fence: running.fence.check(),
      airtime: running.dutyCycle?.failed === true ? { ok: false, detail: 'cannot be written' } : { ok: true },
      bus: bus.health(),
      udp: { ok: true, ...(small ? { detail: `receive buffer of ${recvBufferBytes} bytes only` } : {}) },
    };
  };
  const openRim = (): HttpRim =>
    createHttpRim({
      access: ports.access,
      serviceKey: ROOM,
      version: VERSION,
      maxBodyBytes: MAX_BODY_BYTES,
      config: () => options,
      health,
      log,
      clock,
    });
  const settleFillers = async (
    fillers: Running['fillers'],
    rings: Rings,
    delivery: Delivery,
    notes: SourceNotes,
  ): Promise<void> => {
    const wanted = new Map(
      rings.all().flatMap(({ ring, source }) => (source === undefined ? [] : [[ring.id, source] as const])),
    );
    for (const [ringId, { filler, source }] of fillers)
      if (JSON.stringify(wanted.get(ringId)) !== source) {
        fillers.delete(ringId);
        await filler.stop();
      }
    const { edge2edge } = ports.peers;
    for (const [ringId, source] of wanted) {
      if (fillers.has(ringId)) continue;
      if (edge2edge === undefined)
        throw new AntirioError('badConfig', 'gap filling needs the peer edge2edge');
      const filler = createGapFiller(ringId, source, {
        ...options.gapFilling,
        rings,
        edge2edge,
        clock,
        log,
        notes,
        onStored: (ring, frame) => delivery.first(ring, frame, undefined),
      });
      fillers.set(ringId, { filler, source: JSON.stringify(source) });
    }
  };

  const start = async (): Promise<void> => {
    const rings = openRings({
      folder: join(options.dataDir, ROOM, 'rings'),
      totalBudgetBytes: options.rings.totalBudgetBytes,
      neighbourhoodBytes: options.rings.neighbourhoodBytes,
      keptMost: options.rings.keptMost,
      segmentBytes: options.rings.segmentBytes,
      framesPerSecond: options.rings.framesPerSecond ?? eu868.framesPerSecond,
      burst: options.rings.burst,
      clock,
      random,
      log,
    });
    const fence = await openFence(join(options.dataDir, ROOM, 'fence'), clock);
    const delivery = createDelivery({
      ...{ bus, region, log },
      tenureOf: (devAddr) => fence.tenureOf(devAddr),
    });
    const joins = createJoins({
      ...options.joins,
      rings,
      clock,
      deliver: (ring, reception, heardAt) => delivery.join(ring, reception, heardAt),
    });
    const intake = createIntake({ rings, plan: eu868, delivery, joins, clock, log });
    const news = createGatewayNews({
      bus,
      region,
      clock,
      log,
      own: () => rings.find(OWN)?.ring.settings,
      isOnline: (gatewayId) => forwarders.isOnline(gatewayId),
      silentMs: options.udp.addressMaxAgeMs,
    });
    const forwarders: Forwarders = await openForwarders({
      ...options.udp,
      clock,
      random,
      log,
      onReceptions: (receptions, contested) => intake.take(receptions, contested),
      onStat: (report) => news.stats(report),
      onConnection: (gatewayId, online) => news.connection(gatewayId, online),
    });
    const online = (): string[] =>
      forwarders.gateways().flatMap((gateway) => (gateway.online ? [gateway.gatewayId] : []));
    const dutyCycle = options.downlinks.dutyCycle
      ? openDutyCycle({ folder: join(options.dataDir, ROOM, 'airtime'), plan: eu868, clock })
      : undefined;
    const jit = createJitQueue(() => clock.monotonic());
    const airwaves = createAirwaves({ plan: eu868, forwarders, jit, dutyCycle, clock });
    const downlinks = createDownlinks({ rings, joins, fence, forwarders, airwaves });
    const commands = createCommands({ bus, region, rings, delivery, downlinks, log });
    const fillers: Running['fillers'] = new Map();
    const { timeoutMs } = options.gapFilling;
    const sources = createSourceNotes({ edge2edge: ports.peers['edge2edge'], clock, timeoutMs });
    const rim = openRim();
    const changed = async (): Promise<void> => {
      const delivered = rings.all().filter(({ ring }) => ring.settings.deliver);
      await commands.listen([...new Set(delivered.map(({ ring }) => ring.settings.prefix))]);
      await settleFillers(fillers, rings, delivery, sources);
      await news.refresh(online());
    };
    addRoutes(rim, {
      rings,
      fence,
      delivery,
      clock,
      forwarders,
      lending: createLending({ rings, fence, downlinks, clock, random }),
      changed,
      edge2edge: ports.peers['edge2edge'],
      commands: () => downlinks.counters(),
      loads: (gatewayId) => dutyCycle?.loads(gatewayId) ?? [],
      sources,
      gapStatus: (ringId) => fillers.get(ringId)?.filler.status(),
      retainS: (ringId) => (ringId === OWN ? options.rings.ownRetainS : options.rings.retainS),
    });
    addMetrics(rim.metrics, {
      rings,
      fence,
      delivery,
      downlinks,
      forwarders,
      unmatched: () => intake.unmatched(),
      loads: () => dutyCycle?.all() ?? [],
    });
    await changed();
    const httpPort = await rim.listen(options.port, options.bind);
    const tidy = repeat('tidying', TIDY_MS, log, async () => {
      forwarders.tidy();
      news.tidy();
      const outcomes = await Promise.allSettled([rings.tidy(), fence.tidy(), dutyCycle?.tidy()]);
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    });
    running = { rim, rings, fence, delivery, commands, dutyCycle, news, forwarders, fillers, tidy, httpPort };
    log.info({ httpPort, udpPort: forwarders.port, rings: rings.all().length }, 'listening');
  };
  const stop = async (): Promise<void> => {
    const ending = running;
    running = undefined;
    if (ending === undefined) return;
    const online = ending.forwarders.gateways().filter((gateway) => gateway.online);
    await ending.forwarders.close();
    await ending.news.close(online.map(({ gatewayId }) => gatewayId));
    await ending.rim.close();
    await Promise.all([...ending.fillers.values()].map(({ filler }) => filler.stop()));
    await ending.tidy.stop();
    await ending.commands.close();
    await ending.delivery.idle();
    await ending.fence.stop();
    await ending.dutyCycle?.close();
    await ending.rings.close();
  };
  return {
    name: ROOM,
    start,
    stop,
    health,
    get address() {
      return running === undefined
        ? undefined
        : { httpPort: running.httpPort, udpPort: running.forwarders.port };
    },
  };
}
