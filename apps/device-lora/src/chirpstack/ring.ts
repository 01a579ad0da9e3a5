import { z } from 'zod';
import { isAntirioError } from '@antirio/kernel';
import { callJson, parseInput, repeat, type Check, type HttpPeer, type Log } from '@antirio/host';
import type { DeviceOptions } from '../options.ts';
import type { KnownDevice } from './store.ts';

/** The ring of ChirpStack's devices at our gateway-bridge, and what is before its topics there. */
export const RING = 'chirpstack';
const PREFIX = 'chirpstack/';
/** An hour of frames of a device that sends one each second; ChirpStack reads them as they come. */
const BUDGET_PER_DEVICE = 3600 * 300;
const LEAST_BUDGET = 1 << 20;
const MOST_BUDGET = 1 << 26;
const EVERY_MS = 5000;

const ringSchema = z.looseObject({
  devAddrs: z.array(z.string()),
  prefix: z.string(),
  last: z.int().default(0),
  acknowledged: z.int().default(0),
  incarnation: z.string().optional(),
});

export interface ChirpStackRingPorts {
  readonly bridge: HttpPeer;
  readonly devices: readonly DeviceOptions[];
  readonly deviceOf: (device: DeviceOptions) => KnownDevice | undefined;
  readonly log: Log;
}

/** Sees to it that our gateway-bridge gives ChirpStack its devices' frames, and takes its downlinks to them. */
export interface ChirpStackRing {
  check(): Check;
  stop(): Promise<void>;
}

export function openChirpStackRing({ bridge, devices, deviceOf, log }: ChirpStackRingPorts): ChirpStackRing {
  const path = `/api/v3/ring/${RING}`;
  let failing: string | undefined = 'the ring of ChirpStack is not there yet';

  const wanted = (): string[] => {
    const addresses = devices.flatMap((device) => deviceOf(device)?.devAddr ?? device.devAddr ?? []);
    return [...new Set(addresses)].sort();
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
    if (found?.prefix !== PREFIX || devAddrs.join() !== found.devAddrs.toSorted().join()) {
      const budgetBytes = Math.min(Math.max(devices.length * BUDGET_PER_DEVICE, LEAST_BUDGET), MOST_BUDGET);
      const json = { devAddrs, budgetBytes, prefix: PREFIX, deliver: true, encoding: 'protobuf', retainS: 0 };
      await callJson(bridge, { method: 'PUT', path, json });
    }
    // delivered as they came: who was away then hears the next ones
    if (found?.incarnation !== undefined && found.last > found.acknowledged) {
      const json = { through: found.last, incarnation: found.incarnation };
      await callJson(bridge, { method: 'POST', path: `${path}/acknowledge`, json });
    }
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
    stop: () => work.stop(),
  };
}
