import { z } from 'zod';
import { createSha256, sha256, toHex, utf8, type RunningSha256 } from '@antirio/kernel';
import { protectedDevice } from './terms.ts';
import { statedVolumes } from './volume-snapshot.ts';

const count = z.int().min(0);
/** Gaps of one device, and of a whole statement, that are named; the others are counted: statements stay short. */
const GAPS_NAMED = 8;
const GAPS_NAMED_IN_ALL = 2000;

/** What one device's part of an outage amounts to. The digest is over (FCnt, PHYPayload), never over decoded values. */
export const deviceStatement = protectedDevice.extend({
  /** First 8 bytes of HMAC-SHA-256(NwkSKey, DevAddr), hex. */
  session: z.string().regex(/^[0-9a-f]{16}$/),
  first: count,
  last: count,
  count,
  /** FCnts between first and last that the provider never heard. */
  gaps: count,
  /** The first of those, each as its first and last FCnt. */
  gapRanges: z
    .array(z.tuple([count, count]))
    .max(GAPS_NAMED)
    .optional(),
  /** How many of `gaps` are in none of `gapRanges`. */
  gapsUnnamed: count.optional(),
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
  /** The provider's: which life of its ring the numbers are of. Only where the terms have `disputeS`: a centre of before refuses it. */
  incarnation: z.string().max(64).optional(),
  /** The volumes that were handed back, where there were any. */
  volumes: statedVolumes.optional(),
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

/** A frame as a statement counts it. */
export interface StatedFrame extends Pick<GenuineFrame, 'devEui' | 'devAddr' | 'session' | 'fcnt'> {
  /** SHA-256 of its PHYPayload. */
  readonly digest: Uint8Array;
}

/** Adds frames up to a statement without keeping any. */
export interface Summary {
  /** Each frame once, those of one device and session together, in the order of (FCnt, digest). */
  add(frame: StatedFrame): void;
  devices(): DeviceStatement[];
}

interface Running {
  readonly of: StatedFrame;
  readonly hash: RunningSha256;
  readonly named: [number, number][];
  last: number;
  count: number;
  gaps: number;
  unnamed: number;
}

const begin = (of: StatedFrame): Running => {
  return { of, hash: createSha256(), named: [], last: of.fcnt - 1, count: 0, gaps: 0, unnamed: 0 };
};

function end({ of, hash, named, last, count, gaps, unnamed }: Running): DeviceStatement {
  const { devEui, devAddr, session, fcnt: first } = of;
  const digest = hash.hex();
  const told = gaps === 0 ? {} : { gapRanges: named, gapsUnnamed: unnamed };
  return { devEui, devAddr, session, first, last, count, gaps, ...told, digest };
}

export function createSummary(): Summary {
  const done: DeviceStatement[] = [];
  let running: Running | undefined;
  let mayName = GAPS_NAMED_IN_ALL;
  const skip = (of: Running, first: number, last: number): void => {
    const length = last - first + 1;
    of.gaps += length;
    if (of.named.length < GAPS_NAMED && mayName > 0) {
      of.named.push([first, last]);
      mayName -= 1;
    } else of.unnamed += length;
  };
  return {
    add(frame) {
      if (running?.of.devEui !== frame.devEui || running.of.session !== frame.session) {
        if (running !== undefined) done.push(end(running));
        running = begin(frame);
      }
      if (frame.fcnt > running.last + 1) skip(running, running.last + 1, frame.fcnt - 1);
      running.last = frame.fcnt;
      running.count += 1;
      running.hash.update(utf8(`${frame.fcnt}:`));
      running.hash.update(frame.digest);
    },
    devices: () => (running === undefined ? done : [...done, end(running)]),
  };
}

/** Per device and session, in the order of their ids; a frame that occurs twice counts once. */
export function summariseDevices(frames: readonly GenuineFrame[]): DeviceStatement[] {
  const distinct = new Map<string, StatedFrame>();
  for (const { devEui, devAddr, session, fcnt, phyPayload } of frames) {
    const digest = sha256(phyPayload);
    const order = `${devEui}/${session}/${String(fcnt).padStart(10, '0')}/${toHex(digest)}`;
    distinct.set(order, { devEui, devAddr, session, fcnt, digest });
  }
  const summary = createSummary();
  for (const [, frame] of [...distinct].sort(([a], [b]) => (a < b ? -1 : 1))) summary.add(frame);
  return summary.devices();
}

/** Where two statements name different volumes, in words. That alone decides nothing about the frames: the provider's signature is on what it gave. */
export function volumeDifferences(
  { volumes: mine }: HandbackStatement,
  { volumes: theirs }: HandbackStatement,
): string[] {
  return mine?.cid === theirs?.cid
    ? []
    : [`volumes: ${mine?.cid ?? 'none'} against ${theirs?.cid ?? 'none'}`];
}

/** Where two statements differ about frames, in words; empty when they agree. */
export function differences(a: HandbackStatement, b: HandbackStatement): string[] {
  const out: string[] = [];
  for (const key of ['contractId', 'epoch', 'from', 'through'] as const)
    if (a[key] !== b[key]) out.push(`${key}: ${a[key]} against ${b[key]}`);
  const keyOf = (d: DeviceStatement): string => `${d.devEui}/${d.session}`;
  const theirs = new Map(b.devices.map((d) => [keyOf(d), d]));
  for (const mine of a.devices) {
    const said = theirs.get(keyOf(mine));
    theirs.delete(keyOf(mine));
    if (said?.digest !== mine.digest || said.count !== mine.count)
      out.push(`device ${mine.devEui}: ${mine.count} frames against ${said?.count ?? 0}`);
  }
  for (const rest of theirs.values()) out.push(`device ${rest.devEui}: 0 frames against ${rest.count}`);
  return out;
}
