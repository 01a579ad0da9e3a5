import { describeError, fromUtf8, type Clock } from '@antirio/kernel';
import { parseInput, type Bus, type Log } from '@antirio/host';
import type { NeighbourMargin } from '@antirio/lorawan';
import { NEIGHBOUR_HEARING_TOPIC, neighbourHearing, type NeighbourHearing } from '@antirio/service-contract';

/** What a provider is not told to hear any more is forgotten: its contract's arbitrator tells every minute. */
const VALID_MS = 600_000;
/** Uplinks since the last change that must have been looked at before a provider's silence counts. */
const ENOUGH = 10;

type DeviceHearing = NeighbourHearing['devices'][number];

interface Told {
  readonly at: number;
  readonly devices: ReadonlyMap<string, DeviceHearing>;
}

/** How the edges hear our devices that would serve them in our place. */
export interface Neighbours {
  /** Of the one that hears it worst since an FCnt; undefined where no contract is about the device. */
  marginOf(devAddr: string, since: number): NeighbourMargin | undefined;
  close(): Promise<void>;
}

/** What a provider's report says of a device since its last change. */
export function marginBy({ through, heard }: DeviceHearing, since: number): NeighbourMargin {
  const snrs = heard.flatMap(([fcnt, snr]) => (fcnt >= since ? [snr] : []));
  if (snrs.length > 0) return { heard: 'at', snr: Math.max(...snrs) };
  return { heard: through >= since + ENOUGH - 1 ? 'never' : 'unknown' };
}

const ORDER = { never: 0, unknown: 1, at: 2 } as const;

function worse(one: NeighbourMargin, other: NeighbourMargin): NeighbourMargin {
  if (one.heard === 'at' && other.heard === 'at') return one.snr <= other.snr ? one : other;
  return ORDER[one.heard] <= ORDER[other.heard] ? one : other;
}

export async function openNeighbours(ports: {
  readonly bus: Bus;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
}): Promise<Neighbours> {
  const { bus, clock, log } = ports;
  const told = new Map<string, Told>();
  const onTold = (topic: string, payload: Uint8Array): void => {
    try {
      if (payload.length === 0) {
        told.delete(topic);
        return;
      }
      const { devices } = parseInput(neighbourHearing, JSON.parse(fromUtf8(payload)));
      told.set(topic, {
        at: clock.monotonic(),
        devices: new Map(devices.map((one) => [one.devAddr, one])),
      });
    } catch (error) {
      log.warn({ error: describeError(error) }, 'how a neighbour hears our devices is not understood');
    }
  };
  const subscription = await bus.subscribe(`${NEIGHBOUR_HEARING_TOPIC}/+/+`, onTold);
  return {
    marginOf(devAddr, since) {
      const now = clock.monotonic();
      let found: NeighbourMargin | undefined;
      for (const [topic, { at, devices }] of told) {
        if (now - at > VALID_MS) told.delete(topic);
        const device = now - at > VALID_MS ? undefined : devices.get(devAddr);
        if (device === undefined) continue;
        const margin = marginBy(device, since);
        found = found === undefined ? margin : worse(found, margin);
      }
      return found;
    },
    close: () => subscription.close(),
  };
}
