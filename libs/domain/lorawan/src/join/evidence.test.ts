import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createAes128 } from '@antirio/kernel';
import {
  appKeyOf,
  buildJoinAccept,
  deriveSessionKeys,
  devAddrOf,
  eu868,
  MAX_NONCE_RANGES,
  newDevNonces,
  openJoinAccept,
  parseDevEui,
  sessionFingerprint,
  sessionOfJoin,
  uniteDevNonces,
  useDevNonce,
  type AppKey,
  type DevNonces,
} from '../index.ts';

const uint = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 });
const appKey = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(appKeyOf);
const accepts = fc.record({
  joinNonce: uint(24),
  netId: uint(24),
  devAddr: uint(32).map(devAddrOf),
  dlSettings: fc.record({ rx1DrOffset: fc.nat(7), rx2DataRate: fc.nat(15) }),
  rxDelay: fc.integer({ min: 1, max: 15 }),
  cfList: fc.option(fc.constant(eu868.cfList([868_800_000])), { nil: undefined }),
});
const DEV_EUI = parseDevEui('00000000000000a1');

function requestOf(key: AppKey, devNonce: number): Uint8Array {
  const bytes = new Uint8Array(23);
  bytes.set([0xa1], 9);
  bytes.set([devNonce & 0xff, devNonce >> 8], 17);
  bytes.set(createAes128(key).cmac(bytes.subarray(0, 19)).subarray(0, 4), 19);
  return bytes;
}

describe('a join by its bytes on air', () => {
  test('says all that the JoinAccept was made of, to who has the key, and nothing to others', () => {
    fc.assert(
      fc.property(appKey, appKey, accepts, (key, other, { cfList, ...fields }) => {
        fc.pre(Buffer.compare(key, other) !== 0);
        const bytes = buildJoinAccept(key, { ...fields, cfList });
        expect(openJoinAccept(key, bytes)).toEqual(cfList === undefined ? fields : { ...fields, cfList });
        expect(openJoinAccept(other, bytes)).toBeUndefined();
      }),
    );
  });

  test('gives the session that its device has', () => {
    fc.assert(
      fc.property(appKey, accepts, uint(16), (key, fields, devNonce) => {
        const onAir = { joinRequest: requestOf(key, devNonce), joinAccept: buildJoinAccept(key, fields) };
        const keys = deriveSessionKeys(key, { ...fields, devNonce });
        expect(sessionOfJoin(onAir, (devEui) => (devEui === DEV_EUI ? key : undefined))).toMatchObject({
          ...keys,
          ...{ devEui: DEV_EUI, devNonce, joinNonce: fields.joinNonce, devAddr: fields.devAddr },
          session: sessionFingerprint(keys.nwkSKey, fields.devAddr),
        });
      }),
    );
  });

  test('whatever bit is another, it is none, and no crash', () => {
    fc.assert(
      fc.property(appKey, accepts, uint(16), fc.nat(), fc.boolean(), (key, fields, devNonce, bit, first) => {
        const joinRequest = requestOf(key, devNonce);
        const joinAccept = buildJoinAccept(key, fields);
        const bytes = first ? joinRequest : joinAccept;
        const at = bit % (bytes.length * 8);
        bytes[at >> 3] = (bytes[at >> 3] ?? 0) ^ (1 << (at & 7));
        expect(typeof sessionOfJoin({ joinRequest, joinAccept }, () => key)).toBe('string');
      }),
    );
  });

  test('bytes of any length are refused', () => {
    const any = fc.uint8Array({ maxLength: 64 });
    fc.assert(
      fc.property(appKey, any, any, (key, joinRequest, joinAccept) => {
        expect(typeof sessionOfJoin({ joinRequest, joinAccept }, () => key)).toBe('string');
      }),
    );
    expect(
      sessionOfJoin(
        { joinRequest: requestOf(appKeyOf(new Uint8Array(16)), 1), joinAccept: new Uint8Array() },
        () => undefined,
      ),
    ).toBe('unknown');
  });
});

describe('DevNonces of two edges', () => {
  const rules = fc.constantFrom<DevNonces['rule']>('counter', 'random');
  const used = fc.array(fc.nat(200), { maxLength: 30 });
  const after = (rule: DevNonces['rule'], nonces: readonly number[]): DevNonces =>
    nonces.reduce<DevNonces>((known, one) => useDevNonce(known, one) ?? known, newDevNonces(rule));

  test('together none that either has accepted is accepted again, however few ranges there is room for', () => {
    const most = fc.constantFrom(1, 3, MAX_NONCE_RANGES);
    fc.assert(
      fc.property(rules, rules, used, used, most, (one, other, first, second, ranges) => {
        const both = uniteDevNonces(after(one, first), after(other, second), ranges);
        expect(both.rule).toBe(one);
        if (both.rule === 'random') expect(both.used.length).toBeLessThanOrEqual(ranges);
        for (const nonce of [...first, ...second]) {
          const mine = first.includes(nonce) && useDevNonce(after(one, first), nonce) === undefined;
          const theirs = second.includes(nonce) && useDevNonce(after(other, second), nonce) === undefined;
          if (mine || theirs) expect(useDevNonce(both, nonce)).toBeUndefined();
        }
      }),
    );
  });

  test('where there is room, what neither has accepted is', () => {
    fc.assert(
      fc.property(used, used, fc.nat(300), (first, second, nonce) => {
        const both = uniteDevNonces(after('random', first), after('random', second));
        const isUsed = first.includes(nonce) || second.includes(nonce);
        expect(useDevNonce(both, nonce) === undefined).toBe(isUsed);
      }),
    );
  });
});
