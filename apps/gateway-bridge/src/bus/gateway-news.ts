import { z } from 'zod';
import { describeError, type Clock } from '@antirio/kernel';
import { parseInput, type Bus, type Log, type Subscription } from '@antirio/host';
import type { StatReport } from '../semtech/forwarders.ts';
import type { RingSettings } from '../ring/ring.ts';
import { decode, encode } from './encoding.ts';
import { connectionState, statsEvent } from './gateway-events.ts';

/** What the gateways tell of themselves, to the edge's own reader alone. */
export interface GatewayNews {
  stats(report: StatReport): void;
  connection(gatewayId: string, online: boolean): void;
  /** To be called when the own ring is there or has changed. */
  refresh(online: readonly string[]): Promise<void>;
  /** Takes back that a gateway is there which was said before this process began and is not heard of. */
  tidy(): void;
  /** Says that nobody is there any more. */
  close(online: readonly string[]): Promise<void>;
}

export interface GatewayNewsPorts {
  readonly bus: Bus;
  readonly region: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly own: () => RingSettings | undefined;
  readonly isOnline: (gatewayId: string) => boolean;
  /** After so long without a word a gateway is not there. */
  readonly silentMs: number;
}

const stateSchema = z.object({ state: z.enum(['OFFLINE', 'ONLINE']).default('OFFLINE') });
/** Retained messages of others must not fill the memory. */
const MAX_REMEMBERED = 10_000;

export function createGatewayNews(ports: GatewayNewsPorts): GatewayNews {
  const { bus, region, clock, log } = ports;
  /** Said to be there by retained messages; when they were read. */
  const saidOnline = new Map<string, number>();
  let watched: { readonly prefix: string; readonly subscription: Subscription } | undefined;

  const tell = async (name: 'GatewayStats' | 'ConnState', gatewayId: string, message: object) => {
    const own = ports.own();
    if (own?.deliver !== true) return;
    const retain = name === 'ConnState';
    const topic = `${own.prefix}${region}/gateway/${gatewayId}/${retain ? 'state/conn' : 'event/stats'}`;
    try {
      await bus.publish(topic, await encode(own.encoding ?? 'json', name, message), { retain });
    } catch (error) {
      log.debug({ topic, error: describeError(error) }, 'not published');
    }
  };
  const tellState = (gatewayId: string, online: boolean): Promise<void> =>
    tell('ConnState', gatewayId, connectionState(gatewayId, online));
  const onState = async (topic: string, payload: Uint8Array): Promise<void> => {
    const gatewayId = topic.split('/').at(-3) ?? '';
    const { state } = parseInput(stateSchema, await decode('ConnState', payload));
    // what we say ourselves comes back here
    if (state === 'OFFLINE' || ports.isOnline(gatewayId)) saidOnline.delete(gatewayId);
    else if (saidOnline.size < MAX_REMEMBERED) saidOnline.set(gatewayId, clock.monotonic());
  };
  const watch = async (prefix: string | undefined): Promise<void> => {
    if (watched?.prefix === prefix) return;
    await watched?.subscription.close();
    watched = undefined;
    saidOnline.clear();
    if (prefix === undefined) return;
    const subscription = await bus.subscribe(`${prefix}${region}/gateway/+/state/conn`, onState);
    watched = { prefix, subscription };
  };

  return {
    stats: (report) => void tell('GatewayStats', report.gatewayId, statsEvent(report)),
    connection: (gatewayId, online) => void tellState(gatewayId, online),
    async refresh(online) {
      const own = ports.own();
      await watch(own?.deliver === true ? own.prefix : undefined);
      await Promise.all(online.map((gatewayId) => tellState(gatewayId, true)));
    },
    tidy() {
      const now = clock.monotonic();
      for (const [gatewayId, since] of saidOnline) {
        if (ports.isOnline(gatewayId)) saidOnline.delete(gatewayId);
        else if (now - since > ports.silentMs) {
          saidOnline.delete(gatewayId);
          void tellState(gatewayId, false);
        }
      }
    },
    async close(online) {
      await watched?.subscription.close();
      watched = undefined;
      await Promise.all(online.map((gatewayId) => tellState(gatewayId, false)));
    },
  };
}
