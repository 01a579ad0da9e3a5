import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, test } from '@jest/globals';
import type { SimulatorConfigInput } from './config.ts';
import type { DataTransmission, Transmission, TransmissionKind } from './transmission.ts';
import { parseConfig } from './config.ts';
import { deviceAt, foreignAt } from './devices.ts';
import { micVerifies } from './frames.ts';
import { createTraffic, SHORTEST_INTERVAL_MS } from './traffic.ts';

interface Timed extends DataTransmission {
  readonly at: number;
}

const gateways = [{ id: '00000000000000aa', port: 1700 }];

function play(input: Partial<SimulatorConfigInput>, count: number): Timed[] {
  const traffic = createTraffic(parseConfig({ motes: 10, ...input, gateways }));
  const played: Timed[] = [];
  while (played.length < count) {
    const at = traffic.nextAt();
    const transmission = traffic.next();
    if (transmission !== undefined && 'frame' in transmission) played.push({ at, ...transmission });
  }
  return played;
}

const bytes = ({ phyPayload }: Pick<Transmission, 'phyPayload'>): string => phyPayload.toString('hex');

test('the same seed gives the same transmissions in the same order, another seed others', () => {
  expect(play({ seed: 'a' }, 300)).toEqual(play({ seed: 'a' }, 300));
  expect(play({ seed: 'a' }, 300).map(bytes)).not.toEqual(play({ seed: 'b' }, 300).map(bytes));
});

test('demos and benchmarks depend on it: a configuration of before gives the transmissions of before', () => {
  const hash = createHash('sha256');
  for (const transmission of play({ seed: 'golden', motes: 12, confirmedUplinks: 0.1 }, 3_000)) {
    const { at, id, kind, devEui, channel, spreadingFactor } = transmission;
    hash.update(
      `${String(at)} ${String(id)} ${kind} ${devEui} ${bytes(transmission)} ${String(channel.freqMhz)} ${String(spreadingFactor)}\n`,
    );
  }
  expect(hash.digest('hex')).toBe('0cd93788a8304a1c96499067660ca9926040091570f7d8e07db83137450deb2a');
});

describe('in a long run', () => {
  const config = parseConfig({ seed: 'long', motes: 10, gateways });
  const keyOf = new Map<string, Buffer>();
  let all: Timed[] = [];
  let byId = new Map<number, Timed>();
  const ofKind = (kind: TransmissionKind): Timed[] =>
    all.filter((transmission) => transmission.kind === kind);

  beforeAll(() => {
    all = play({ seed: 'long' }, 4_000);
    byId = new Map(all.map((transmission) => [transmission.id, transmission]));
    for (let index = 0; index < 10; index += 1) {
      for (const device of [deviceAt(config, index), foreignAt(config, index)]) {
        keyOf.set(device.devEui, Buffer.from(device.nwkSKey, 'hex'));
      }
    }
  });

  const verifies = ({ devEui, phyPayload, frame }: DataTransmission): boolean =>
    micVerifies(phyPayload, keyOf.get(devEui) ?? Buffer.alloc(16), frame.fcnt);

  test('ids count the transmissions', () => {
    expect(all.map(({ id }) => id)).toEqual(all.map((_, index) => index + 1));
  });

  test('each kind of attack is about one twentieth of the uplinks', () => {
    const uplinks = ofKind('uplink').length;
    for (const kind of ['retransmission', 'replay', 'bitflip', 'foreign'] as const) {
      expect(ofKind(kind).length / uplinks).toBeGreaterThan(0.03);
      expect(ofKind(kind).length / uplinks).toBeLessThan(0.07);
    }
  });

  test('a mote counts each uplink once and never sends twice within a second', () => {
    for (const devEui of new Set(ofKind('uplink').map((transmission) => transmission.devEui))) {
      const own = ofKind('uplink').filter((transmission) => transmission.devEui === devEui);
      expect(own.map(({ frame }) => frame.fcnt)).toEqual(own.map((_, index) => index));
      const gaps = own.slice(1).map(({ at }, index) => at - (own[index]?.at ?? 0));
      expect(Math.min(...gaps)).toBeGreaterThanOrEqual(SHORTEST_INTERVAL_MS);
    }
  });

  test('uplinks, retransmissions and replays verify under the keys of their device', () => {
    const genuine = all.filter(({ kind }) => kind !== 'bitflip' && kind !== 'foreign');
    expect(genuine.every(verifies)).toBe(true);
  });

  test('a retransmission repeats the bytes 300 to 900 ms later', () => {
    for (const again of ofKind('retransmission')) {
      const first = byId.get(again.frame.firstTxId);
      expect(first?.kind).toBe('uplink');
      expect(bytes(again)).toBe(first && bytes(first));
      expect(again.at - (first?.at ?? 0)).toBeGreaterThanOrEqual(300);
      expect(again.at - (first?.at ?? 0)).toBeLessThanOrEqual(900);
    }
  });

  test('a replay repeats bytes at least two seconds old, some of them long past', () => {
    const ages = ofKind('replay').map((replay) => {
      const first = byId.get(replay.frame.firstTxId);
      expect(bytes(replay)).toBe(first && bytes(first));
      return replay.at - (first?.at ?? 0);
    });
    expect(Math.min(...ages)).toBeGreaterThanOrEqual(2_000);
    expect(Math.max(...ages)).toBeGreaterThan(120_000);
  });

  test('a bit flip differs in one bit, in header or payload, and verifies no more', () => {
    const flipped = ofKind('bitflip').map((flip) => {
      const bit = flip.flippedBit ?? -1;
      const mended = Buffer.from(flip.phyPayload);
      mended.writeUInt8(mended.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect(mended).toEqual(flip.frame.phyPayload);
      return bit >> 3;
    });
    expect(Math.min(...flipped)).toBeLessThan(8);
    expect(Math.max(...flipped)).toBeGreaterThanOrEqual(8);
    // The first byte's type bits may turn it into no data frame at all, which no MIC check ever sees.
    const dataFrames = ofKind('bitflip').filter(({ flippedBit }) => (flippedBit ?? 0) >= 8);
    expect(dataFrames.some(verifies)).toBe(false);
  });

  test('a foreign frame verifies under its own keys only, near the counters of its victim', () => {
    for (const frame of ofKind('foreign')) {
      const victim = ofKind('uplink').findLast(
        ({ devAddr, id }) => devAddr === frame.devAddr && id < frame.id,
      );
      const victimKey = keyOf.get(victim?.devEui ?? '') ?? Buffer.alloc(16);
      expect(verifies(frame)).toBe(true);
      expect(micVerifies(frame.phyPayload, victimKey, frame.frame.fcnt)).toBe(false);
      expect(Math.abs(frame.frame.fcnt - (victim?.frame.fcnt ?? 0))).toBeLessThan(400);
    }
  });
});

test('counters roll over 16 bits, and start where the configuration says', () => {
  const uplinks = play({ motes: 2, fcntUpStart: [0xfffe, 0xffff_fffe] }, 20).filter(
    ({ kind }) => kind === 'uplink',
  );
  const countersOf = (index: number): number[] => {
    const { devEui } = deviceAt(parseConfig({ gateways }), index);
    return uplinks.filter((uplink) => uplink.devEui === devEui).map(({ frame }) => frame.fcnt);
  };
  expect(countersOf(0).slice(0, 4)).toEqual([0xfffe, 0xffff, 0x1_0000, 0x1_0001]);
  expect(countersOf(1).slice(0, 4)).toEqual([0xffff_fffe, 0xffff_ffff, 0, 1]);
});

test('without attacks there are only uplinks', () => {
  const attack = { retransmission: 0, replay: 0, bitflip: 0, foreign: 0 };
  expect(play({ attack }, 200).every(({ kind }) => kind === 'uplink')).toBe(true);
});
