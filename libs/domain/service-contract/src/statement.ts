import { z } from 'zod';
import { concatBytes, sha256, sha256Hex, utf8 } from '@antirio/kernel';
import { protectedDevice } from './terms.ts';

const count = z.int().min(0);

/** What one device's part of an outage amounts to. The digest is over (FCnt, PHYPayload), never over decoded values. */
export const deviceStatement = protectedDevice.extend({
  /** First 8 bytes of HMAC-SHA-256(NwkSKey, DevAddr), hex. */
  session: z.string().regex(/^[0-9a-f]{16}$/),
  first: count,
  last: count,
  count,
  /** FCnts between first and last that the provider never heard. */
  gaps: count,
  digest: z.string().regex(/^[0-9a-f]{64}$/),
});
export type DeviceStatement = z.output<typeof deviceStatement>;

/** One party's word on what was handed back: the genuine frames of the provider's ring from `from` to `through`. */
export const handbackStatement = z.strictObject({
  contractId: z.uuid(),
  /** The provider's epoch, or 0 where keys were opened but no epoch was given. */
  epoch: count,
  from: count,
  through: count,
  devices: z.array(deviceStatement).max(10_000),
});
export type HandbackStatement = z.output<typeof handbackStatement>;

export interface GenuineFrame {
  readonly devEui: string;
  readonly devAddr: string;
  readonly session: string;
  /** 32 bits. */
  readonly fcnt: number;
  readonly phyPayload: Uint8Array;
}

function digestOf(frames: readonly GenuineFrame[]): string {
  const parts = frames.map((frame) => concatBytes(utf8(`${frame.fcnt}:`), sha256(frame.phyPayload)));
  return sha256Hex(...parts);
}

function summarise(frames: readonly GenuineFrame[]): DeviceStatement | undefined {
  const sorted = [...frames].sort((a, b) => a.fcnt - b.fcnt);
  const [first] = sorted;
  const last = sorted.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const { devEui, devAddr, session } = first;
  const gaps = last.fcnt - first.fcnt + 1 - sorted.length;
  return {
    devEui,
    devAddr,
    session,
    first: first.fcnt,
    last: last.fcnt,
    count: sorted.length,
    gaps,
    digest: digestOf(sorted),
  };
}

/** Per device and session, in the order of their ids; a frame that occurs twice counts once. */
export function summariseDevices(frames: readonly GenuineFrame[]): DeviceStatement[] {
  const groups = new Map<string, Map<string, GenuineFrame>>();
  for (const frame of frames) {
    const key = `${frame.devEui}/${frame.session}`;
    const group = groups.get(key) ?? new Map<string, GenuineFrame>();
    group.set(`${frame.fcnt}/${sha256Hex(frame.phyPayload)}`, frame);
    groups.set(key, group);
  }
  return [...groups.keys()].sort().flatMap((key) => summarise([...(groups.get(key)?.values() ?? [])]) ?? []);
}

/** Where two statements differ, in words; empty when they agree. */
export function differences(a: HandbackStatement, b: HandbackStatement): string[] {
  const out: string[] = [];
  for (const key of ['contractId', 'epoch', 'from', 'through'] as const)
    if (a[key] !== b[key]) out.push(`${key}: ${a[key]} against ${b[key]}`);
  const keyOf = (d: DeviceStatement): string => `${d.devEui}/${d.session}`;
  const theirs = new Map(b.devices.map((d) => [keyOf(d), d]));
  for (const mine of a.devices) {
    const other = theirs.get(keyOf(mine));
    theirs.delete(keyOf(mine));
    if (other?.digest !== mine.digest || other.count !== mine.count)
      out.push(`device ${mine.devEui}: ${mine.count} frames against ${other?.count ?? 0}`);
  }
  for (const other of theirs.values()) out.push(`device ${other.devEui}: 0 frames against ${other.count}`);
  return out;
}
