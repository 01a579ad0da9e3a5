import { describe, expect, test } from '@jest/globals';
import loraPacketModule from 'lora-packet';
import type { OtaaDevice } from './devices.ts';
import type { Joining } from './join.ts';
import { parseConfig } from './config.ts';
import { devicesOf } from './devices.ts';
import { buildJoinAccept, readJoinRequest } from './downlink.test-support.ts';
import { createJoining } from './join.ts';
import { joinRetryDelayMs } from './join-back-off.ts';
import { deriveSessionKeys, isJoinAccept, readJoinAccept } from './join-frames.ts';
import { joinedParameters, usableChannels } from './mac-parameters.ts';
import { createRandom } from './random.ts';

const loraPacket = loraPacketModule as unknown as typeof loraPacketModule.default;
const config = parseConfig({ gateways: [{ id: '00000000000000aa', port: 1700 }], otaa: 1 });
const device = devicesOf(config)[0] as OtaaDevice;
const appKey = Buffer.from(device.appKey, 'hex');
const cfListMhz = [867.1, 867.3, 867.5, 0, 867.9];
const radio = { freqMhz: 868.1, datr: 'SF9BW125' };

const joiningWith = (changes: Partial<typeof config> = {}): Joining =>
  createJoining(device, { ...config, ...changes }, createRandom('1', 'join'));

describe('a JoinRequest', () => {
  test('is what the known example of lora-packet says', () => {
    const own: OtaaDevice = {
      ...{ name: 'n', devEui: '003b91b95f3e5a7a', joinEui: '0000000000000000' },
      appKey: '00112233445566778899aabbccddeeff',
    };
    const request = createJoining(own, { ...config, devNonceStart: 0x1234 }, createRandom('1', 'j')).request(
      1,
    );
    expect(request?.phyPayload.subarray(0, 19).toString('hex')).toBe(
      '0000000000000000007a5a3e5fb9913b003412',
    );
  });

  test('verifies under the AppKey, and names the mote', () => {
    const request = joiningWith().request(7);
    const packet = loraPacket.fromWire(request?.phyPayload ?? Buffer.alloc(0));
    expect(loraPacket.verifyMIC(packet, undefined, appKey)).toBe(true);
    expect(readJoinRequest(request?.phyPayload ?? Buffer.alloc(0))).toEqual({
      joinEui: device.joinEui,
      devEui: device.devEui,
      devNonce: 0,
    });
    expect(request).toMatchObject({ firstTxId: 7, attempt: 1 });
  });

  test('has a DevNonce that counts up and is never used again, or one at random', () => {
    const counting = joiningWith({ devNonceStart: 0xfffe });
    expect([1, 2, 3].map((id) => counting.request(id)?.devNonce)).toEqual([0xfffe, 0xffff, undefined]);
    const drawn = joiningWith({ devNonce: 'random' });
    const nonces = Array.from({ length: 50 }, (_, id) => drawn.request(id)?.devNonce ?? -1);
    expect(new Set(nonces).size).toBeGreaterThan(45);
    expect(Math.max(...nonces)).toBeGreaterThan(0x8000);
  });

  test('is repeated less and less often', () => {
    const airMs = 100;
    expect(joinRetryDelayMs(0, airMs, 0)).toBe(10_000);
    expect(joinRetryDelayMs(0, 20, 1)).toBe(20 + 6_500 + 2_000);
    expect(joinRetryDelayMs(3_600_000, airMs, 0)).toBe(100_000);
    expect(joinRetryDelayMs(11 * 3_600_000, airMs, 0)).toBeCloseTo(993_103, 0);
  });
});

describe('a JoinAccept', () => {
  const fields = { joinNonce: 0x010203, devAddr: '01aabbcc', rx1DrOffset: 2, rx2DataRate: 3, rxDelayS: 5 };

  test('is read with the AppKey only', () => {
    const phyPayload = buildJoinAccept(device.appKey, { ...fields, cfListMhz });
    expect(readJoinAccept(appKey, phyPayload)).toEqual({ netId: '000013', cfListMhz, ...fields });
    expect(readJoinAccept(Buffer.alloc(16, 7), phyPayload)).toBeUndefined();
    const short = buildJoinAccept(device.appKey, fields);
    expect(readJoinAccept(appKey, short)).toMatchObject({ cfListMhz: [] });
    expect(short).toHaveLength(17);
    for (let byte = 0; byte < short.length; byte += 1) {
      const forged = Buffer.from(short);
      forged.writeUInt8(forged.readUInt8(byte) ^ 1, byte);
      expect(readJoinAccept(appKey, forged)).toBeUndefined();
    }
  });

  test.each(['', '20', '40'.repeat(17), '20'.repeat(18), '20'.repeat(34)])('is not made of %p', (hex) => {
    expect(isJoinAccept(Buffer.from(hex, 'hex'))).toBe(false);
    expect(readJoinAccept(appKey, Buffer.from(hex, 'hex'))).toBeUndefined();
  });

  test('gives channels and windows', () => {
    const accept = readJoinAccept(appKey, buildJoinAccept(device.appKey, { ...fields, cfListMhz }));
    const parameters = joinedParameters(9, accept!);
    expect(usableChannels(parameters).map(({ freqMhz }) => freqMhz)).toEqual([
      868.1, 868.3, 868.5, 867.1, 867.3, 867.5, 867.9,
    ]);
    expect(parameters.channels[6]).toBeUndefined();
    expect(parameters.reception).toEqual({
      rx1DelayMs: 5_000,
      rx2DelayMs: 6_000,
      rx1DrOffset: 2,
      rx2: { freqMhz: 869.525, datr: 'SF9BW125' },
    });
  });
});

describe('a joining mote', () => {
  const endMs = 1_000;
  const accept = (joinNonce: number): Buffer =>
    buildJoinAccept(device.appKey, { joinNonce, devAddr: '01000001' });
  const onAir = (phyPayload: Buffer, changes: object = {}) => ({
    ...{ phyPayload, at: endMs + 5_000, inverted: true, ...radio },
    ...changes,
  });
  const asked = (): Joining => {
    const joining = joiningWith();
    joining.request(1);
    joining.listenAfter(endMs, radio);
    return joining;
  };

  test('has the keys that its server derives', () => {
    const result = asked().receive(onAir(accept(1)));
    const read = readJoinAccept(appKey, accept(1));
    expect(result).toMatchObject({ accepted: true, window: 'rx1', devNonce: 0 });
    const { NwkSKey, AppSKey } = loraPacket.generateSessionKeys10(
      appKey,
      Buffer.from('000013', 'hex'),
      Buffer.from('000001', 'hex'),
      Buffer.from('0000', 'hex'),
    );
    expect(result).toMatchObject({ keys: { nwkSKey: NwkSKey, appSKey: AppSKey } });
    expect(deriveSessionKeys(appKey, read!, 1).nwkSKey).not.toEqual(NwkSKey);
  });

  test('listens five and six seconds after its request', () => {
    const rx2 = { at: endMs + 6_000, freqMhz: 869.525, datr: 'SF12BW125' };
    expect(asked().receive(onAir(accept(1), rx2))).toMatchObject({ accepted: true, window: 'rx2' });
    const refused = (changes: object): unknown => asked().receive(onAir(accept(1), changes));
    expect(refused({ at: endMs + 1_000 })).toEqual({ accepted: false, reason: 'noWindow' });
    expect(refused({ datr: 'SF7BW125' })).toEqual({ accepted: false, reason: 'noWindow' });
    expect(refused({ inverted: false })).toEqual({ accepted: false, reason: 'polarity' });
  });

  test('takes one JoinAccept, and none that it took before', () => {
    const joining = asked();
    expect(joining.receive(onAir(accept(1)))).toMatchObject({ accepted: true });
    expect(joining.isWaiting).toBe(false);
    expect(joining.receive(onAir(accept(2)))).toEqual({ accepted: false, reason: 'noWindow' });
    joining.begin();
    joining.request(2);
    joining.listenAfter(endMs, radio);
    expect(joining.receive(onAir(accept(1)))).toEqual({ accepted: false, reason: 'joinNonceRepeated' });
    expect(joining.receive(onAir(Buffer.from(accept(2)).fill(1, 1)))).toEqual({
      accepted: false,
      reason: 'joinMic',
    });
    expect(joining.receive(onAir(accept(2)))).toMatchObject({ accepted: true, devNonce: 1 });
  });
});
