import { z } from 'zod';
import { callJson, parseInput, repeat, type HttpPeer, type Log, type Repeating } from '@antirio/host';
import { autoEvent, multiDevicesResponseSchema, parseDuration } from '@antirio/edgex-contracts';
import { describeError, type Clock } from '@antirio/kernel';
import type { Expired, Expiry } from './expiry.ts';
import type { RetentionOptions } from './options.ts';
import type { Sources } from './sources.ts';

/** What stays of one source of events. Caps of 0 or less and a duration of 0 do not bound. */
interface Policy {
  readonly device: string;
  readonly source: string;
  readonly maxCap: number;
  readonly minCap: number;
  /** Nanoseconds. */
  readonly duration: number;
}

export interface RetentionPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly sources: Sources;
  readonly expiry: Expiry;
  /** Who knows the devices and their auto events. */
  readonly metadata: HttpPeer | undefined;
}

export interface Retention extends Repeating {
  /** Why the last round failed; undefined when it did not. */
  readonly failure: string | undefined;
}

const devicesPage = multiDevicesResponseSchema.pick({ totalCount: true }).extend({
  devices: z.array(z.object({ name: z.string(), autoEvents: z.array(autoEvent).nullish() })),
});

const MAX_ANSWER = 128 << 20;

type Devices = z.output<typeof devicesPage>['devices'];

/** Page by page, each as long as core-metadata's MaxResultCount allows. */
async function devicesOf(metadata: HttpPeer): Promise<Devices> {
  const devices: Devices = [];
  for (;;) {
    const path = `/api/v3/device/all?offset=${devices.length}&limit=-1`;
    const page = parseInput(devicesPage, await callJson(metadata, { path, maxAnswerBytes: MAX_ANSWER }));
    devices.push(...page.devices);
    if (page.devices.length === 0 || devices.length >= page.totalCount) return devices;
  }
}

/** EdgeX takes 0 and an empty duration for "as the defaults say". */
function policiesOf(devices: Devices, defaults: RetentionOptions): Policy[] {
  return devices.flatMap(({ name: device, autoEvents }) =>
    (autoEvents ?? []).map(({ sourceName: source, retention = {} }) => ({
      device,
      source,
      maxCap: retention.maxCap || defaults.defaultMaxCap,
      minCap: retention.minCap || defaults.defaultMinCap,
      duration: parseDuration(retention.duration || defaults.defaultDuration) ?? 0,
    })),
  );
}

/** The origin up to which events go; undefined when all may stay. */
async function boundary(
  { device, source, maxCap, minCap, duration }: Policy,
  sources: Sources,
  now: bigint,
): Promise<bigint | undefined> {
  if (maxCap > 0 && (await sources.eventCount(device, source)) < maxCap) return undefined;
  const until = duration > 0 ? now - BigInt(Math.trunc(duration)) : undefined;
  return sources.originAt(device, source, until, Math.max(minCap, 0));
}

/** Looks at the events of each auto event once in an interval, by EdgeX's rules, and has deleted what need not stay. */
export function createRetention(options: RetentionOptions, ports: RetentionPorts): Retention {
  const { clock, log, sources, expiry, metadata } = ports;
  const intervalMs = (parseDuration(options.interval) ?? 0) / 1e6;
  const others = async (known: readonly Policy[]): Promise<Policy[]> => {
    if (options.appliesTo === 'autoEvents') return [];
    const { defaultMaxCap: maxCap, defaultMinCap: minCap, defaultDuration } = options;
    const covered = new Set(known.map(({ device, source }) => JSON.stringify([device, source])));
    return (await sources.all())
      .filter(({ device, source }) => !covered.has(JSON.stringify([device, source])))
      .map((names) => ({ ...names, maxCap, minCap, duration: parseDuration(defaultDuration) ?? 0 }));
  };
  const run = async (): Promise<void> => {
    const policies = metadata === undefined ? [] : policiesOf(await devicesOf(metadata), options);
    const expired: Expired[] = [];
    for (const policy of [...policies, ...(await others(policies))]) {
      const { device, source } = policy;
      const until = await boundary(policy, sources, BigInt(Math.trunc(clock.now())) * 1_000_000n);
      if (until !== undefined) expired.push({ device, source, until });
    }
    await expiry.expire(expired);
  };
  let failure: string | undefined;
  const round = async (): Promise<void> => {
    try {
      await run();
      failure = undefined;
    } catch (error) {
      failure = describeError(error);
      throw error;
    }
  };
  let starting = true;
  const work = async (): Promise<void> => {
    // as EdgeX: first after an interval
    if (!starting) await round();
    starting = false;
  };
  const never: Repeating = { poke: () => undefined, stop: async () => undefined };
  const repeating = intervalMs > 0 ? repeat('retention', intervalMs, log, work) : never;
  return {
    ...repeating,
    get failure() {
      return failure;
    },
  };
}
