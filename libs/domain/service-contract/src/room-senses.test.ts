import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { driveCustomer, recorded, terms, tick } from './contract.fixture.ts';
import { mayAsk } from './customer-epochs.ts';
import { createCustomer, type CustomerPhase, type CustomerState } from './customer-state.ts';
import type { Observed, PartyEffect, PartyEvent } from './party.ts';
import {
  areRoomsWell,
  lostRooms,
  senseRooms,
  vitalRoomsOf,
  type RoomSenses,
  type RoomStates,
} from './room-senses.ts';

const { forMs } = terms.deaf;
const LOOK_MS = 2000;
const all = { gatewayBridge: 'well', deviceLora: 'well', coreData: 'well' } as const;
const without = (room: keyof typeof all, how: 'silent' | 'refusing' = 'silent'): RoomStates => ({
  ...all,
  [room]: how,
});

/** Looks at the rooms at these times, and says when any of them was lost. */
function looked(looks: readonly (readonly [number, RoomStates])[], before: RoomSenses = {}) {
  let senses = before;
  const lost: number[] = [];
  for (const [now, states] of looks) {
    senses = senseRooms(senses, states, now, forMs);
    if (lostRooms(senses, forMs).length > 0) lost.push(now);
  }
  return { senses, lost };
}

function regular(from: number, until: number, states: (now: number) => RoomStates) {
  const looks: (readonly [number, RoomStates])[] = [];
  for (let now = from; now <= until; now += LOOK_MS) looks.push([now, states(now)]);
  return looks;
}

describe('the rooms of an edge', () => {
  const room = fc.constantFrom('gatewayBridge' as const, 'deviceLora' as const, 'coreData' as const);
  const how = fc.constantFrom('silent' as const, 'refusing' as const);
  const gaps = fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1, maxLength: 60 });

  test('are not lost while all of them answer, however seldom or often they are asked', () => {
    fc.assert(
      fc.property(gaps, (between) => {
        let now = 0;
        const looks = between.map((gap) => [(now += gap), all] as const);
        expect(looked(looks).lost).toEqual([]);
      }),
    );
  });

  test('are lost within the bound and two looks once one is dead, and not before the bound', () => {
    fc.assert(
      fc.property(room, how, fc.integer({ min: 0, max: 200_000 }), (one, kind, diesAt) => {
        const end = diesAt + forMs + 4 * LOOK_MS;
        const { lost } = looked(regular(0, end, (now) => (now < diesAt ? all : without(one, kind))));
        expect(lost[0]).toBeGreaterThanOrEqual(diesAt + forMs);
        expect(lost[0]).toBeLessThanOrEqual(diesAt + forMs + 2 * LOOK_MS);
      }),
    );
  });

  test('are not lost by starting anew for less than the bound now and then', () => {
    fc.assert(
      fc.property(
        room,
        fc.integer({ min: 1, max: 27 }),
        fc.integer({ min: 0, max: 30 }),
        (one, down, more) => {
          const up = down + 1 + more;
          const states = (now: number): RoomStates =>
            (now / LOOK_MS) % (down + up) < down ? without(one) : all;
          expect(looked(regular(0, 2_000_000, states)).lost).toEqual([]);
        },
      ),
      { numRuns: 50 },
    );
  });

  test('are lost where one starts again and again and is out for most of the time, without going to and fro', () => {
    // five looks down, one up
    const crashing = looked(
      regular(0, 300_000, (now) => ((now / LOOK_MS) % 6 < 5 ? without('coreData') : all)),
    );
    expect(crashing.lost[0]).toBeLessThan(3 * forMs);
    expect(areRoomsWell(crashing.senses)).toBe(false);
    const back = looked(
      regular(302_000, 302_000 + forMs - 14_000, () => all),
      crashing.senses,
    );
    expect(areRoomsWell(back.senses)).toBe(false);
    expect(
      areRoomsWell(
        looked(
          regular(360_000, 370_000, () => all),
          back.senses,
        ).senses,
      ),
    ).toBe(true);
  });

  test('are not lost by a machine that sleeps, nor by one look', () => {
    const asleep = [
      [0, all],
      [2000, without('gatewayBridge')],
      [3_600_000, without('gatewayBridge')],
    ] as const;
    expect(looked(asleep).lost).toEqual([]);
    expect(looked([[0, without('gatewayBridge')]]).lost).toEqual([]);
  });

  test('that were not asked are not judged, and who is asked follows from whether there are sensors', () => {
    expect(lostRooms(senseRooms({}, undefined, forMs, forMs), 0)).toEqual([]);
    expect(areRoomsWell({})).toBe(false);
    expect(vitalRoomsOf(terms)).toEqual(['gatewayBridge', 'deviceLora', 'coreData']);
    expect(vitalRoomsOf({ set: { ...terms.set, service: 'device-lora-north' } })).toEqual(
      vitalRoomsOf(terms),
    );
    expect(vitalRoomsOf({ set: { ...terms.set, service: 'drone', devices: [] } })).toEqual(['coreData']);
  });
});

const seen = (observed: Observed): PartyEvent => ({ type: 'observed', observed });
const causes = (effects: readonly PartyEffect[]): string[] =>
  effects.flatMap((effect) => (effect.type === 'lastGasp' ? [effect.cause] : []));

function customerAt(phase: CustomerPhase): CustomerState {
  return createCustomer(terms, phase, 'boot-a', 0);
}

/** Looks as an arbitrator does, a tick after each look. */
function watched(from: CustomerState, looks: readonly (readonly [number, RoomStates])[]) {
  let state = from;
  const said: (readonly [number, string])[] = [];
  for (const [now, rooms] of looks) {
    state = driveCustomer(state, seen({ rooms }), now).state;
    const turn = driveCustomer(state, tick, now);
    state = turn.state;
    for (const cause of causes(turn.effects)) said.push([now, cause]);
  }
  return { state, said };
}

const guarded = customerAt({ at: 'guarded', epoch: 1 });
const dies = regular(0, forMs + 6000, (now) => (now < 4000 ? all : without('gatewayBridge')));

describe('a customer', () => {
  test('gives its word by itself where its bridge stays dead, and not for a restart of it', () => {
    const { said, state } = watched(guarded, dies);
    expect(said[0]).toEqual([4000 + forMs, 'room']);
    expect(state.phase.at).toBe('guarded');
    const restarted = regular(0, 4 * forMs, (now) => (now % forMs === 4000 ? without('gatewayBridge') : all));
    expect(watched(guarded, restarted).said).toEqual([]);
  });

  test('does not where it is held, or its provider hears nothing either', () => {
    const held = driveCustomer(guarded, { type: 'held', held: true }, 0).state;
    expect(watched(held, dies).said).toEqual([]);
    const degraded = driveCustomer(guarded, recorded({ state: 'DEGRADED' }), 0).state;
    expect(watched(degraded, dies).said).toEqual([]);
  });

  test('asks for its sensors back once its rooms have been there for as long as they were out', () => {
    const away = customerAt({ at: 'recovering', epoch: 2, waits: 'room' });
    const out = watched(away, dies).state;
    expect(mayAsk(out, 70_000)).toBe(false);
    const soon = watched(
      out,
      regular(68_000, 68_000 + forMs - 4000, () => all),
    ).state;
    expect(mayAsk(soon, 130_000)).toBe(false);
    const well = watched(
      soon,
      regular(126_000, 132_000, () => all),
    ).state;
    expect(mayAsk(well, 132_000)).toBe(true);
  });

  test('that waits for nothing does not ask for them while a room is silent', () => {
    const away = customerAt({ at: 'recovering', epoch: 2 });
    expect(mayAsk(away, 10)).toBe(true);
    const { state } = driveCustomer(away, seen({ rooms: without('deviceLora') }), 10);
    expect(mayAsk(state, 20)).toBe(false);
    expect(mayAsk(driveCustomer(state, seen({ rooms: all }), 30).state, 30)).toBe(true);
  });

  test('that starts again while it waits for its rooms still does', () => {
    expect(customerAt({ at: 'recovering', epoch: 2, waits: 'room' }).phase).toMatchObject({ waits: 'room' });
  });
});
