import { z } from 'zod';
import { isAntirioError } from '@antirio/kernel';
import { callJson, parseInput, repeat, type HttpPeer, type Log, type Repeating } from '@antirio/host';

const ringSchema = z.looseObject({
  devAddrs: z.array(z.string()),
  budgetBytes: z.int(),
  prefix: z.string(),
  deliver: z.boolean(),
});

/** The edge's own ring: sees to it that it takes our devices, and tells it what is stored. */
export interface OwnRing {
  /** Frames up to here are stored. */
  acknowledge(through: number): void;
  stop(): Promise<void>;
}

export interface OwnRingPorts {
  readonly bridge: HttpPeer;
  readonly ring: string;
  readonly devAddrs: readonly string[];
  readonly prefix: string;
  readonly log: Log;
}

const INTERVAL_MS = 1000;
/** An hour of frames of a device that sends one each second. */
const BUDGET_PER_DEVICE = 3600 * 300;

export function openOwnRing({ bridge, ring, devAddrs, prefix, log }: OwnRingPorts): OwnRing {
  const path = `/api/v3/ring/${ring}`;
  let ensured = false;
  let stored = 0;
  let acknowledged = 0;

  const known = async (): Promise<z.output<typeof ringSchema> | undefined> => {
    try {
      return parseInput(ringSchema, await callJson(bridge, { path }));
    } catch (error) {
      if (isAntirioError(error, 'notFound')) return undefined;
      throw error;
    }
  };
  const ensure = async (): Promise<void> => {
    const found = await known();
    const missing = devAddrs.filter((devAddr) => found?.devAddrs.includes(devAddr) !== true);
    const fits = found?.deliver === true && found.prefix === prefix && missing.length === 0;
    if (!fits) {
      const all = [...new Set([...(found?.devAddrs ?? []), ...devAddrs])];
      const budgetBytes = Math.max(found?.budgetBytes ?? 0, Math.max(1, all.length) * BUDGET_PER_DEVICE);
      await callJson(bridge, {
        method: 'PUT',
        path,
        json: { devAddrs: all, budgetBytes, prefix, deliver: true },
      });
    }
    ensured = true;
  };
  const work: Repeating = repeat('keeping the own ring', INTERVAL_MS, log, async () => {
    if (!ensured) await ensure();
    const through = stored;
    if (through <= acknowledged) return;
    try {
      await callJson(bridge, { method: 'POST', path: `${path}/acknowledge`, json: { through } });
    } catch (error) {
      // somebody removed it
      if (isAntirioError(error, 'notFound')) ensured = false;
      throw error;
    }
    acknowledged = through;
  });
  return {
    acknowledge(through) {
      // a ring that begins anew counts from one again
      if (through < stored) acknowledged = 0;
      stored = through;
    },
    stop: () => work.stop(),
  };
}
