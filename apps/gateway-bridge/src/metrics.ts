import { Counter, Gauge, type Registry } from 'prom-client';
import type { FenceKeeper } from './fence/fence.ts';
import type { Downlinks } from './downlink/downlinks.ts';
import type { GatewayLoad } from './downlink/duty-cycle.ts';
import type { Delivery } from './bus/delivery.ts';
import type { Rings } from './ring/rings.ts';
import type { Forwarders } from './semtech/forwarders.ts';
import { kernelDrops } from './semtech/kernel-drops.ts';

export interface Metered {
  readonly rings: Rings;
  readonly fence: FenceKeeper;
  readonly delivery: Delivery;
  readonly downlinks: Downlinks;
  readonly forwarders: Forwarders;
  /** Frames that belong to no ring, and frames that no ring takes, by kind. */
  readonly unmatched: () => Readonly<Record<string, number>>;
  /** Time on air of every gateway that sent something in the last hour. */
  readonly loads: () => readonly GatewayLoad[];
}

/** Everything that was counted, read when it is asked for. */
export function addMetrics(registry: Registry, metered: Metered): void {
  const { rings, fence, delivery, downlinks, forwarders } = metered;
  const registers = [registry];
  const counts = (
    name: string,
    help: string,
    label: string,
    read: () => Readonly<Record<string, number | undefined>>,
  ): void => {
    new Counter({
      name: `antirio_gateway_${name}_total`,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset();
        for (const [key, value] of Object.entries(read())) this.inc({ [label]: key }, value ?? 0);
      },
    });
  };
  const perRing = (
    name: string,
    help: string,
    read: (status: ReturnType<Rings['all']>[number]) => number,
  ): void => {
    new Gauge({
      name: `antirio_ring_${name}`,
      help,
      labelNames: ['ring'],
      registers,
      collect() {
        this.reset();
        for (const held of rings.all()) this.set({ ring: held.ring.id }, read(held));
      },
    });
  };
  counts('ignored', 'datagrams and receptions not taken', 'reason', () => forwarders.ignored());
  counts('unmatched_frames', 'frames kept in no ring', 'kind', metered.unmatched);
  counts('fence_refused', 'downlinks refused by the fence', 'reason', () => fence.refused());
  counts(
    'downlinks_refused',
    'downlinks refused before the fence',
    'reason',
    () => downlinks.counters().refused,
  );
  counts(
    'downlinks_failed',
    'downlinks that the gateway did not send',
    'outcome',
    () => downlinks.counters().failed,
  );
  counts('downlinks', 'downlinks', 'outcome', () => {
    const { sent, reducedPower } = downlinks.counters();
    return { sent, reducedPower };
  });
  counts('published', 'frames on the bus', 'how', () => ({ ...delivery.counters() }));
  perRing('frames', 'frames held', ({ ring }) => ring.status().count);
  perRing('bytes', 'bytes held', ({ ring }) => ring.status().bytes);
  perRing('last_seq', 'newest frame', ({ ring }) => ring.last);
  perRing(
    'dropped_budget',
    'frames dropped: the share of their device was full',
    ({ ring }) => ring.status().dropped.budget,
  );
  perRing(
    'dropped_rate',
    'frames dropped: their device sent too fast',
    ({ ring }) => ring.status().dropped.rate,
  );
  perRing(
    'dropped_slots',
    'frames dropped: too many under one counter',
    ({ ring }) => ring.status().dropped.slots,
  );
  counts(
    'kept_frames_gone',
    'frames of ended contracts that went: before the end, at their time, or before it for want of room',
    'why',
    () => ({ ...rings.keptCounts() }),
  );
  counts('gateway_addresses', "gateways' addresses", 'event', () => {
    const totals = { changed: 0, contested: 0 };
    for (const { addressChanged, addressContested } of forwarders.gateways()) {
      totals.changed += addressChanged;
      totals.contested += addressContested;
    }
    return totals;
  });
  new Gauge({
    name: 'antirio_gateway_gateways',
    help: 'gateways: known, heard of lately, and those that take downlinks',
    labelNames: ['state'],
    registers,
    collect() {
      const all = forwarders.gateways();
      this.set({ state: 'known' }, all.length);
      this.set({ state: 'online' }, all.filter(({ online }) => online).length);
      this.set({ state: 'reachable' }, all.filter(({ reachable }) => reachable).length);
    },
  });
  new Gauge({
    name: 'antirio_gateway_airtime_ratio',
    help: 'time on air in the last hour, as a part of what the band allows',
    labelNames: ['gateway', 'band'],
    registers,
    collect() {
      this.reset();
      for (const { gatewayId, band, usedMs, allowedMs } of metered.loads())
        this.set({ gateway: gatewayId, band }, usedMs / allowedMs);
    },
  });
  new Gauge({
    name: 'antirio_gateway_udp_receive_buffer_bytes',
    help: 'receive buffer as the kernel counts it',
    registers,
    collect() {
      this.set(forwarders.recvBufferBytes);
    },
  });
  new Gauge({
    name: 'antirio_gateway_udp_kernel_drops',
    help: 'datagrams that the kernel threw away: the receive buffer was full',
    registers,
    async collect() {
      const drops = await kernelDrops(forwarders.port);
      if (drops !== undefined) this.set(drops);
    },
  });
}
