import { z } from 'zod';
import { isAntirioError, type Clock } from '@antirio/kernel';
import { callJson, parseInput, repeat, type Check, type HttpPeer, type Log } from '@antirio/host';
import { devAddrOf, devAddrValue } from '@antirio/lorawan';
import type { DeviceOptions } from '../options.ts';
import { createReports } from '../reports.ts';
import { createHandedOver, type HandedOverCounts } from './handed-over.ts';
import type { ChirpStackOptions } from './options.ts';
import type { KnownDevice } from './store.ts';

/** The ring of ChirpStack's devices at our gateway-bridge, and what is before its topics there. */
export const RING = 'chirpstack';
const PREFIX = 'chirpstack/';
/** An hour of frames of a device that sends one each second; ChirpStack reads them as they come. */
const BUDGET_PER_DEVICE = 3600 * 300;
const LEAST_BUDGET = 1 << 20;
/** Of each address, for what comes before the next look: what was delivered is acknowledged then. */
const LEAST_SHARE = 1 << 13;
const MOST_BUDGET = 1 << 26;
const EVERY_MS = 5000;

const ringSchema = z.looseObject({
  devAddrs: z.array(z.string()),
  devEuis: z.array(z.string()).default([]),
  prefix: z.string(),
  last: z.int().default(0),
  acknowledged: z.int().default(0),
  incarnation: z.string().optional(),
});

export interface ChirpStackRingPorts {
  readonly bridge: HttpPeer;
  readonly devices: readonly DeviceOptions[];
  /** What it gives to those that join. */
  readonly range: ChirpStackOptions['devAddrRange'];
  readonly deviceOf: (device: DeviceOptions) => KnownDevice | undefined;
  /** Events that ChirpStack told, since the start. */
  readonly told: () => number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Sees to it that our gateway-bridge gives ChirpStack its devices' frames, and takes its downlinks to them. */
export interface ChirpStackRing {
  check(): Check;
  /** Of frames that it gave, since the start. */
  handedOver(): HandedOverCounts;
  stop(): Promise<void>;
}

/** Devices that join are heard with whatever address they are given, so all of these are in the ring. */
function joiningOf({ range, devices }: ChirpStackRingPorts): { devEuis: string[]; devAddrs: string[] } {
  if (range === undefined) return { devEuis: [], devAddrs: [] };
  const first = devAddrValue(range.first);
  const length = devAddrValue(range.last) - first + 1;
  const joining = devices.filter(({ activation }) => activation === 'otaa');
  return {
    devEuis: joining.map(({ devEui }) => devEui).sort(),
    devAddrs: Array.from({ length }, (_, index) => devAddrOf(first + index)),
  };
}

export function openChirpStackRing(ports: ChirpStackRingPorts): ChirpStackRing {
  const { bridge, devices, deviceOf, told, clock, log } = ports;
  const handedOver = createHandedOver(clock);
  const tell = createReports(clock);
  const joining = joiningOf(ports);
  const path = `/api/v3/ring/${RING}`;
  let failing: string | undefined = 'the ring of ChirpStack is not there yet';

  const wanted = (): string[] => {
    const addresses = devices.flatMap((device) => deviceOf(device)?.devAddr ?? device.devAddr ?? []);
    return [...new Set([...addresses, ...joining.devAddrs])].sort();
  };
  const known = async (): Promise<z.output<typeof ringSchema> | undefined> => {
    try {
      return parseInput(ringSchema, await callJson(bridge, { path }));
    } catch (error) {
      if (isAntirioError(error, 'notFound')) return undefined;
      throw error;
    }
  };
  const keep = async (): Promise<void> => {
    const found = await known();
    const devAddrs = wanted();
    const { devEuis } = joining;
    const isRight =
      found?.prefix === PREFIX &&
      devAddrs.join() === found.devAddrs.toSorted().join() &&
      devEuis.join() === found.devEuis.toSorted().join();
    if (!isRight) {
      const budgetBytes = Math.min(
        Math.max(devices.length * BUDGET_PER_DEVICE, devAddrs.length * LEAST_SHARE, LEAST_BUDGET),
        MOST_BUDGET,
      );
      const filter = { devAddrs, devEuis, prefix: PREFIX };
      const json = { ...filter, budgetBytes, deliver: true, encoding: 'protobuf', retainS: 0 };
      await callJson(bridge, { method: 'PUT', path, json });
    }
    // delivered as they came: who was away then hears the next ones, and would refuse older counters after those
    const isMore = found?.incarnation !== undefined && found.last > found.acknowledged;
    if (isMore) {
      const json = { through: found.last, incarnation: found.incarnation };
      await callJson(bridge, { method: 'POST', path: `${path}/acknowledge`, json });
    }
    const frames = handedOver.look(isMore ? found.last - found.acknowledged : 0, told());
    if (frames > 0)
      tell('unheard', (leftOut) =>
        log.warn(
          { frames, leftOut },
          'ChirpStack told of nothing after these frames were handed to it: is it connected?',
        ),
      );
  };
  const work = repeat("keeping ChirpStack's ring", EVERY_MS, log, async () => {
    try {
      await keep();
      failing = undefined;
    } catch (error) {
      failing = 'gateway-bridge does not keep the ring of ChirpStack';
      throw error;
    }
  });
  return {
    check: () => (failing === undefined ? { ok: true } : { ok: false, detail: failing }),
    handedOver: () => handedOver.counts(),
    stop: () => work.stop(),
  };
}
