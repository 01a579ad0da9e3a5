import { sha256Hex, type Clock } from '@antirio/kernel';
import { parseJoinRequest, type DevEui } from '@antirio/lorawan';
import type { DeviceOptions } from '../options.ts';
import type { JoinHeard } from '../uplink/event-up.ts';
import { directoryOf } from '../directory.ts';

/** JoinRequests that a service without root keys could not answer, since the start. Nobody knows whether they are genuine. */
export interface UnservedJoins {
  heard(join: JoinHeard): void;
  /** `devices`: how many different ones asked. */
  counts(): { readonly requests: number; readonly devices: number };
}

/** The same bytes within this time are one transmission, heard by several gateways. */
const ONE_TRANSMISSION_MS = 10_000;
const MAX_RECENT = 256;

export function createUnservedJoins(devices: readonly DeviceOptions[], clock: Clock): UnservedJoins {
  const { byEui } = directoryOf(devices);
  const recent = new Map<string, number>();
  const asked = new Set<DevEui>();
  let requests = 0;
  const isRepeated = (phyPayload: Uint8Array): boolean => {
    const now = clock.monotonic();
    for (const [one, at] of recent)
      if (recent.size >= MAX_RECENT || now - at >= ONE_TRANSMISSION_MS) recent.delete(one);
    const digest = sha256Hex(phyPayload).slice(0, 32);
    const known = recent.has(digest);
    if (!known) recent.set(digest, now);
    return known;
  };
  const devEuiOf = (phyPayload: Uint8Array): DevEui | undefined => {
    try {
      return parseJoinRequest(phyPayload).devEui;
    } catch {
      return undefined;
    }
  };
  return {
    heard({ phyPayload }) {
      const devEui = devEuiOf(phyPayload);
      if (devEui === undefined || byEui.get(devEui)?.activation !== 'otaa' || isRepeated(phyPayload)) return;
      requests += 1;
      asked.add(devEui);
    },
    counts: () => ({ requests, devices: asked.size }),
  };
}
