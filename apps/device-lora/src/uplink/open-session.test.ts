import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  createFcntSet,
  createSessionCipher,
  eu868,
  macStep,
  newMacState,
  sessionFingerprint,
} from '@antirio/lorawan';
import type { MacState } from '@antirio/lorawan';
import { devAddr, oneDevice } from '../session.fixture.ts';
import { Groups } from './grouped.ts';
import { createMarks } from './marks.ts';
import { commonOf, OpenSession, STATES_AT_HAND } from './open-session.ts';
import { packMac, unpackMac } from './packed-mac.ts';

const { device } = oneDevice();

const heard = fc.record({
  dataRate: fc.nat({ max: 5 }),
  bestSnr: fc.integer({ min: -80, max: 48 }).map((quarters) => quarters / 4),
  gatewayCount: fc.nat({ max: 9 }),
  adr: fc.boolean(),
  adrAckReq: fc.boolean(),
});

/** What the network knows after these uplinks, of a device that answers nothing. */
function after(base: MacState, uplinks: readonly (typeof heard extends fc.Arbitrary<infer H> ? H : never)[]) {
  let state = base;
  for (const [n, uplink] of uplinks.entries())
    state = macStep(eu868, state, {
      ...{ type: 'uplink', fcnt: n * 3, ...uplink, macCommands: [], maxAnswerBytes: 15 },
    }).state;
  return state;
}

describe('packed MAC states', () => {
  test('come back as they were, whatever they are packed against', () => {
    const bases = [
      newMacState(eu868),
      newMacState(eu868, { class: 'C', channels: [867_100_000], adr: false }),
    ];
    fc.assert(
      fc.property(
        fc.array(heard, { maxLength: 30 }),
        fc.constantFrom(...bases),
        fc.constantFrom(...bases),
        (uplinks, from, base) => {
          const state = after(from, uplinks);
          const unpacked = unpackMac(packMac(state, base), base);
          expect(unpacked).toEqual(state);
          if (from === base) expect(unpacked.channels).toBe(base.channels);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('what the base has and the state has not stays away', () => {
    const state = newMacState(eu868);
    const base = { ...state, devStatusAskedAt: 5 };
    expect(Object.keys(unpackMac(packMac(state, base), base))).not.toContain('devStatusAskedAt');
    expect(unpackMac(packMac(base, state), state)).toEqual(base);
  });
});

describe('sessions', () => {
  const newMac = () => newMacState(eu868);
  const sessionsOf = (count: number): OpenSession[] => {
    const common = commonOf({ marks: createMarks({ remembered: () => undefined }), newMac });
    return Array.from({ length: count }, (_, n) => {
      const nwkSKey = new Uint8Array(16).fill(n);
      nwkSKey[0] = n >> 8;
      const cipher = createSessionCipher({ nwkSKey });
      const id = sessionFingerprint(nwkSKey, devAddr);
      const fixed = { id, device, devAddr, cipher, seen: createFcntSet(), digests: undefined };
      return new OpenSession({ ...fixed, standing: 'given' }, common);
    });
  };

  test('keep their MAC states, packed or not, in whatever order they are asked for', () => {
    const sessions = sessionsOf(STATES_AT_HAND + 50);
    const states = sessions.map((_, n) => ({ ...newMacState(eu868), fcntUp: n }));
    expect(sessions.map(({ mac }) => mac)).toEqual(sessions.map(() => undefined));
    for (const [n, session] of sessions.entries()) session.mac = states[n];
    // the newest are at hand, the oldest are other objects by now
    expect(sessions.at(-1)?.mac).toBe(states.at(-1));
    expect(sessions[0]?.mac).not.toBe(states[0]);
    for (let n = 0; n < 3 * sessions.length; n++) {
      const at = (n * 7) % sessions.length;
      expect(sessions[at]?.mac).toEqual(states[at]);
    }
  });

  test('a state that was replaced while another one was packed is the newer one', () => {
    const [first, ...others] = sessionsOf(STATES_AT_HAND + 1);
    if (first === undefined) throw new TypeError('no session');
    const states = [1, 2].map((fcntUp) => ({ ...newMacState(eu868), fcntUp }));
    for (const state of states) {
      first.mac = state;
      for (const other of others) other.mac = newMacState(eu868);
      expect(first.mac).toEqual(state);
    }
    first.mac = undefined;
    expect(first.mac).toBeUndefined();
  });
});

test('values by key keep their order, and leave nothing behind', () => {
  const groups = new Groups<string, { readonly n: number }>();
  const [one, two, three] = [{ n: 1 }, { n: 2 }, { n: 3 }];
  for (const value of [one, two, three]) groups.add('a', value);
  groups.add('b', one);
  expect(groups.get('a')).toEqual([one, two, three]);
  groups.delete('a', two);
  groups.delete('a', one);
  expect([groups.get('a'), groups.get('b'), groups.has('a')]).toEqual([[three], [one], true]);
  groups.delete('a', two);
  groups.delete('a', three);
  expect([groups.get('a'), groups.has('a'), [...groups.keys()]]).toEqual([undefined, false, ['b']]);
});
