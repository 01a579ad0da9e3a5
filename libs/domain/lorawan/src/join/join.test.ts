import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import loraPacketModule from 'lora-packet';
import { createAes128, fromBase64, isAntirioError, toHex } from '@antirio/kernel';
import {
  appKeyOf,
  buildJoinAccept,
  deriveSessionKeys,
  devAddrOf,
  eu868,
  MAX_NONCE_RANGES,
  newDevNonces,
  parseAppKey,
  parseCfList,
  parseJoinRequest,
  useDevNonce,
  verifyJoinRequest,
  type DevNonces,
} from '../index.ts';

// The published types describe a module with a default export; at run time the module itself is that object.
const oracle = loraPacketModule as unknown as typeof loraPacketModule.default;

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const appKey = bytes(16).map(appKeyOf);
const uint = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 });
const inHex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
const bufferOf = (value: number, length: number): Buffer => Buffer.from(inHex(value, length * 2), 'hex');

const frequency = fc.integer({ min: 8_630_000, max: 8_699_999 }).map((steps) => steps * 100);
const accepts = fc.record({
  joinNonce: uint(24),
  netId: uint(24),
  devAddr: uint(32).map(devAddrOf),
  dlSettings: fc.record({ rx1DrOffset: fc.nat(7), rx2DataRate: fc.nat(15) }),
  rxDelay: fc.integer({ min: 1, max: 15 }),
  cfList: fc.array(frequency, { maxLength: 5 }).map(eu868.cfList),
});

describe('JoinRequest against lora-packet', () => {
  const request = (joinEui: Uint8Array, devEui: Uint8Array, devNonce: number, key: Uint8Array): Uint8Array =>
    oracle
      .fromFields(
        {
          MType: 0,
          AppEUI: Buffer.from(joinEui),
          DevEUI: Buffer.from(devEui),
          DevNonce: bufferOf(devNonce, 2),
        },
        undefined,
        undefined,
        Buffer.from(key),
      )
      .getPHYPayload() as Buffer;

  test('what it builds is read back, and only the right key verifies it', () => {
    fc.assert(
      fc.property(bytes(8), bytes(8), uint(16), appKey, appKey, (joinEui, devEui, devNonce, key, other) => {
        const parsed = parseJoinRequest(request(joinEui, devEui, devNonce, key));
        expect(parsed).toMatchObject({ joinEui: toHex(joinEui), devEui: toHex(devEui), devNonce });
        expect(verifyJoinRequest(key, parsed)).toBe(true);
        if (toHex(key) !== toHex(other)) expect(verifyJoinRequest(other, parsed)).toBe(false);
      }),
      { numRuns: 200 },
    );
  });

  test('a flipped bit never verifies', () => {
    fc.assert(
      fc.property(
        bytes(8),
        uint(16),
        appKey,
        fc.integer({ min: 8, max: 23 * 8 - 1 }),
        (eui, nonce, key, bit) => {
          const bad = Uint8Array.from(request(eui, eui, nonce, key));
          bad[bit >> 3] = (bad[bit >> 3] ?? 0) ^ (1 << (bit & 7));
          expect(verifyJoinRequest(key, parseJoinRequest(bad))).toBe(false);
        },
      ),
    );
  });

  test('other types and lengths are refused', () => {
    const whole = request(new Uint8Array(8), new Uint8Array(8), 1, new Uint8Array(16));
    for (const wrong of [
      whole.subarray(0, 22),
      Uint8Array.from([...whole, 0]),
      Uint8Array.from([0x40, ...whole.subarray(1)]),
      new Uint8Array(),
    ])
      expect(() => parseJoinRequest(wrong)).toThrow(expect.objectContaining({ code: 'invalidInput' }));
  });

  test('one that a mote simulator sent through a packet forwarder', () => {
    expect(parseJoinRequest(fromBase64('AAAAAAAAAAAAAgAAAAAAAKoN5gXmYxI='))).toMatchObject({
      joinEui: '0000000000000000',
      devEui: 'aa00000000000002',
      devNonce: 0xe60d,
    });
  });
});

describe('JoinAccept against lora-packet', () => {
  test('the bytes are the same, whichever of the two builds it', () => {
    fc.assert(
      fc.property(accepts, appKey, (fields, key) => {
        const theirs = oracle.fromFields(
          {
            MType: 1,
            AppNonce: bufferOf(fields.joinNonce, 3),
            NetID: bufferOf(fields.netId, 3),
            DevAddr: Buffer.from(fields.devAddr, 'hex'),
            DLSettings: (fields.dlSettings.rx1DrOffset << 4) | fields.dlSettings.rx2DataRate,
            RxDelay: fields.rxDelay,
            CFList: Buffer.from(fields.cfList ?? []),
          },
          undefined,
          undefined,
          Buffer.from(key),
        );
        expect(toHex(buildJoinAccept(key, fields))).toBe((theirs.getPHYPayload() as Buffer).toString('hex'));
      }),
      { numRuns: 300 },
    );
  });

  test('a device that decrypts it finds every field and a right MIC', () => {
    fc.assert(
      fc.property(accepts, appKey, (fields, key) => {
        const built = Buffer.from(buildJoinAccept(key, fields));
        expect(built).toHaveLength(fields.cfList === undefined ? 17 : 33);
        const clear = oracle.fromWire(oracle.decryptJoinAccept(oracle.fromWire(built), Buffer.from(key)));
        expect(clear.AppNonce?.toString('hex')).toBe(inHex(fields.joinNonce, 6));
        expect(clear.NetID?.toString('hex')).toBe(inHex(fields.netId, 6));
        expect(clear.DevAddr?.toString('hex')).toBe(fields.devAddr);
        expect(clear.getDLSettingsRxOneDRoffset()).toBe(fields.dlSettings.rx1DrOffset);
        expect(clear.getDLSettingsRxTwoDataRate()).toBe(fields.dlSettings.rx2DataRate);
        expect(clear.getRxDelayDel()).toBe(fields.rxDelay);
        expect(toHex(clear.CFList ?? new Uint8Array())).toBe(toHex(fields.cfList ?? new Uint8Array()));
        const covered = oracle.decryptJoinAccept(oracle.fromWire(built), Buffer.from(key)).subarray(0, -4);
        expect(toHex(createAes128(key).cmac(covered).subarray(0, 4))).toBe(clear.MIC?.toString('hex'));
      }),
      { numRuns: 200 },
    );
  });

  test('the session keys are the same', () => {
    fc.assert(
      fc.property(uint(24), uint(24), uint(16), appKey, (joinNonce, netId, devNonce, key) => {
        const theirs = oracle.generateSessionKeys10(
          Buffer.from(key),
          bufferOf(netId, 3),
          bufferOf(joinNonce, 3),
          bufferOf(devNonce, 2),
        );
        const { nwkSKey, appSKey } = deriveSessionKeys(key, { joinNonce, netId, devNonce });
        expect(toHex(nwkSKey)).toBe(theirs.NwkSKey.toString('hex'));
        expect(toHex(appSKey)).toBe(theirs.AppSKey.toString('hex'));
      }),
    );
  });

  test('fields that no JoinAccept carries are refused', () => {
    const key = appKeyOf(new Uint8Array(16));
    const fields = {
      joinNonce: 1,
      netId: 0,
      devAddr: devAddrOf(1),
      dlSettings: { rx1DrOffset: 0, rx2DataRate: 0 },
      rxDelay: 1,
    };
    for (const wrong of [
      { joinNonce: 0x100_0000 },
      { netId: -1 },
      { rxDelay: 0 },
      { dlSettings: { rx1DrOffset: 8, rx2DataRate: 0 } },
      { cfList: new Uint8Array(15) },
    ])
      expect(() => buildJoinAccept(key, { ...fields, ...wrong })).toThrow(
        expect.objectContaining({ code: 'invalidInput' }),
      );
    expect(() => deriveSessionKeys(key, { joinNonce: 0, netId: 0, devNonce: 0x1_0000 })).toThrow(/DevNonce/);
    expect(() => parseAppKey('00'.repeat(15))).toThrow(/32 hex digits/);
  });

  test('a CFList gives back its frequencies', () => {
    fc.assert(
      fc.property(fc.array(frequency, { minLength: 1, maxLength: 5 }), (frequencies) => {
        expect(parseCfList(eu868.cfList(frequencies) ?? new Uint8Array())).toEqual(frequencies);
      }),
    );
    expect(eu868.cfList([])).toBeUndefined();
    expect(() => eu868.cfList([915_000_000])).toThrow(/outside of the region/);
    expect(() => eu868.cfList(Array<number>(6).fill(867_100_000))).toThrow(/at most 5/);
    expect(() => parseCfList(new Uint8Array(16).fill(1))).toThrow(/type 0/);
  });
});

describe('DevNonces', () => {
  const rules = fc.constantFrom<DevNonces['rule']>('counter', 'random');

  test('none is ever accepted twice, also after the memory was written and read', () => {
    fc.assert(
      fc.property(rules, fc.array(fc.oneof(fc.nat(40), uint(16)), { maxLength: 120 }), (rule, drawn) => {
        let memory = newDevNonces(rule);
        const taken = new Set<number>();
        for (const nonce of drawn) {
          const next = useDevNonce(memory, nonce);
          const isNew = rule === 'counter' ? nonce > Math.max(-1, ...taken) : !taken.has(nonce);
          expect(next !== undefined).toBe(isNew);
          if (next === undefined) continue;
          taken.add(nonce);
          memory = JSON.parse(JSON.stringify(next)) as DevNonces;
        }
      }),
    );
  });

  test('the memory of random ones stays bounded, and still takes none twice', () => {
    const before = Array.from({ length: MAX_NONCE_RANGES - 20 }, (_, i) => i * 20 + 10);
    let memory: DevNonces = { rule: 'random', used: before.map((nonce) => [nonce, nonce]) };
    const taken = new Set(before);
    for (let i = 0; i < 100; i++) {
      const nonce = (i * 40_503) & 0xffff;
      const next = useDevNonce(memory, nonce);
      if (taken.has(nonce)) expect(next).toBeUndefined();
      if (next === undefined) continue;
      taken.add(nonce);
      memory = next;
    }
    const ranges = memory.rule === 'random' ? memory.used.length : Infinity;
    expect(ranges).toBeLessThanOrEqual(MAX_NONCE_RANGES);
    expect(taken.size).toBeGreaterThan(MAX_NONCE_RANGES);
    for (const nonce of taken) expect(useDevNonce(memory, nonce)).toBeUndefined();
  });

  test('one that has no 16 bits is refused', () => {
    let thrown: unknown;
    try {
      useDevNonce(newDevNonces('counter'), 65_536);
    } catch (error) {
      thrown = error;
    }
    expect(isAntirioError(thrown, 'invalidInput')).toBe(true);
  });
});
