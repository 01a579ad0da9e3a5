import type { ContractTerms } from './terms.ts';

/**
 * A customer whose arbitrator lives, and whose other rooms do not. What takes frames in, reads them or keeps them may be a process of
 * its own: dead or hung it says nothing, and the arbitrator's beats would say for ever that all is well.
 */

/** The rooms without which an edge serves nobody. */
export const VITAL_ROOMS = ['gatewayBridge', 'deviceLora', 'coreData'] as const;
export type VitalRoom = (typeof VITAL_ROOMS)[number];

/** Of those that were asked: `well` answers and can store, `refusing` answers and says that it cannot, `silent` gives no answer. */
export type RoomStates = Readonly<Partial<Record<VitalRoom, 'well' | 'refusing' | 'silent'>>>;

interface RoomSense {
  readonly seenAt: number;
  readonly well: boolean;
  /** For how long it has been out, less for how long it was well since; ms, never more than the bound. */
  readonly outMs: number;
}

/** What is remembered of each room that was asked. Forgotten at a restart. */
export type RoomSenses = Readonly<Partial<Record<VitalRoom, RoomSense>>>;

/** Of a longer time between two looks no more counts: nobody knows what was in it, and a machine that slept is not ill. */
const LONGEST_LOOK_MS = 10_000;

/** A time counts against a room where it was out at both its ends, and else for it. */
function sinceThen(before: RoomSense | undefined, well: boolean, now: number, boundMs: number): number {
  if (before === undefined) return 0;
  const passed = Math.min(Math.max(0, now - before.seenAt), LONGEST_LOOK_MS);
  const out = before.well || well ? before.outMs - passed : before.outMs + passed;
  return Math.min(Math.max(0, out), boundMs);
}

/** What is known after a look; a room that was not asked is as it was. */
export function senseRooms(
  known: RoomSenses,
  states: RoomStates | undefined,
  now: number,
  boundMs: number,
): RoomSenses {
  if (states === undefined) return known;
  const asked = VITAL_ROOMS.flatMap((room) => {
    const state = states[room];
    if (state === undefined) return [];
    const well = state === 'well';
    return [[room, { seenAt: now, well, outMs: sinceThen(known[room], well, now, boundMs) }] as const];
  });
  return { ...known, ...Object.fromEntries(asked) };
}

/** Of which that is so. */
function roomsThat(senses: RoomSenses, is: (sense: RoomSense) => boolean): VitalRoom[] {
  return VITAL_ROOMS.filter((room) => {
    const sense = senses[room];
    return sense !== undefined && is(sense);
  });
}

/** Out for as long as the bound. A room that starts again and again is, where it is out for most of the time. */
export function lostRooms(senses: RoomSenses, boundMs: number): VitalRoom[] {
  return roomsThat(senses, ({ well, outMs }) => !well && outMs >= boundMs);
}

/** Out at the last look, for so long. */
export function roomsOutFor(senses: RoomSenses, forMs: number): VitalRoom[] {
  return roomsThat(senses, ({ well, outMs }) => !well && outMs >= forMs);
}

/** Nothing is wrong now with any that was asked. */
export function areRoomsThere(senses: RoomSenses): boolean {
  return roomsThat(senses, ({ well }) => !well).length === 0;
}

/** Surely, and for as long as they were out (but no longer than the bound): nothing is asked back for a room that comes and goes. */
export function areRoomsWell(senses: RoomSenses): boolean {
  const asked = roomsThat(senses, () => true).length > 0;
  return asked && roomsThat(senses, ({ well, outMs }) => !well || outMs > 0).length === 0;
}

/** A set without sensors has nothing to hear: neither the bridge nor LoRa's device service matters to it. */
export function vitalRoomsOf({ set }: Pick<ContractTerms, 'set'>): readonly VitalRoom[] {
  return VITAL_ROOMS.filter((room) => room === 'coreData' || set.devices.length > 0);
}
