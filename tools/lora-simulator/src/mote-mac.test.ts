import { describe, expect, test } from '@jest/globals';
import type { SimulatorConfigInput } from './config.ts';
import type { Device } from './devices.ts';
import type { DownlinkFields } from './downlink.test-support.ts';
import type { Mote } from './mote.ts';
import type { Traffic } from './traffic.ts';
import type { DataTransmission } from './transmission.ts';
import { parseConfig } from './config.ts';
import { buildDownlink } from './downlink.test-support.ts';
import { datrOf } from './eu868.ts';
import { decryptFrame, readDownlinkHeader } from './frames.ts';
import { createTraffic } from './traffic.ts';

const attack = { retransmission: 0, replay: 0, bitflip: 0, foreign: 0 };
const gateways = [{ id: '00000000000000aa', port: 1700 }];

interface Played extends DataTransmission {
  readonly at: number;
}

/** One mote, and a network that answers in RX1 of each uplink what `answer` gives. */
function play(
  input: Partial<SimulatorConfigInput>,
  count: number,
  answer: (uplink: Played, index: number) => Partial<DownlinkFields> | undefined = () => undefined,
): { played: Played[]; mote: Mote; traffic: Traffic } {
  const traffic = createTraffic(
    parseConfig({ motes: 1, periodMs: 10_000, adr: 1, attack, gateways, mac: 'answered', ...input }),
  );
  const mote = traffic.motes[0]!;
  const played: Played[] = [];
  let fcnt = 0;
  while (played.length < count) {
    const at = traffic.nextAt();
    if (!Number.isFinite(at)) break;
    const sent = traffic.next();
    if (sent === undefined || !('frame' in sent)) continue;
    played.push({ at, ...sent });
    const radio = { freqMhz: sent.channel.freqMhz, datr: datrOf(sent.spreadingFactor) };
    mote.listenAfter(at, radio);
    const fields = answer({ at, ...sent }, played.length - 1);
    if (fields === undefined) continue;
    const phyPayload = buildDownlink(mote.device as Device, { fcnt, payload: Buffer.alloc(0), ...fields });
    fcnt += 1;
    const header = readDownlinkHeader(phyPayload)!;
    const heardAt = at + mote.parameters.reception.rx1DelayMs;
    expect(mote.receive({ phyPayload, header, at: heardAt, inverted: true, ...radio })).toMatchObject({
      accepted: true,
    });
  }
  return { played, mote, traffic };
}

const fOptsOf = ({ frame }: Played): string => frame.fOpts?.toString('hex') ?? '';

test('a mote obeys LinkADRReq in its next uplink, and answers there', () => {
  const { played } = play({ spreadingFactors: [10] }, 3, (_, index) =>
    index === 0 ? { fOpts: '0352010001' } : undefined,
  );
  expect(played.map(({ spreadingFactor }) => spreadingFactor)).toEqual([10, 7, 7]);
  expect(played.map(fOptsOf)).toEqual(['', '0307', '']);
  expect(played[1]?.phyPayload.subarray(5, 10).toString('hex')).toBe('8201000307');
  expect(played.slice(1).map(({ channel }) => channel.freqMhz)).toEqual([868.1, 868.1]);
});

test('answers that FOpts cannot hold are a frame of their own on port 0', () => {
  const block = '0352010001'.repeat(3);
  const { played, mote } = play({}, 3, (_, index) => (index === 0 ? { fOpts: block } : undefined));
  expect(fOptsOf(played[1]!)).toBe('030703070307');
  const long = play({}, 3, (_, index) =>
    index === 0 ? { fPort: 0, payload: Buffer.from('0352010001'.repeat(8), 'hex') } : undefined,
  );
  const [, answers, reading] = long.played;
  expect(answers?.frame).toMatchObject({ fPort: 0, payload: Buffer.from('0307'.repeat(8), 'hex') });
  const keys = mote.session!.keys;
  expect(decryptFrame(answers!.phyPayload, keys, 1).toString('hex')).toBe('0307'.repeat(8));
  expect(reading?.frame.fPort).toBe(2);
});

test('NbTrans repeats each uplink on and on, until a downlink comes', () => {
  const { played } = play({}, 8, (_, index) => {
    if (index === 0) return { fOpts: '0352ff0003' };
    return index === 5 ? {} : undefined;
  });
  const counters = played.map(({ frame }) => frame.fcnt);
  expect(counters).toEqual([0, 1, 1, 1, 2, 2, 3, 3]);
  expect(played[3]?.phyPayload).toEqual(played[1]?.phyPayload);
});

test('FPending brings the next uplink forward, once', () => {
  const { played } = play({ periodMs: 60_000, jitter: 0 }, 4, (_, index) =>
    index === 0 ? { fPending: true } : undefined,
  );
  const gaps = played.slice(1).map(({ at }, index) => at - played[index]!.at);
  expect(gaps[0]).toBeLessThan(4_000);
  expect(gaps.slice(1)).toEqual([60_000, 60_000]);
});

test('FPending heard just before the next uplink silences no mote', () => {
  const { played } = play({ periodMs: 1_600, jitter: 0 }, 6, (_, index) =>
    index === 0 ? { fPending: true } : undefined,
  );
  expect(played.map(({ frame }) => frame.fcnt)).toEqual([0, 1, 2, 3, 4, 5]);
});

test('a mote that hears nothing sets ADRACKReq, then slows down', () => {
  const { played } = play({ adrAckLimit: 4, adrAckDelay: 2, spreadingFactors: [8] }, 12);
  const asked = played.map(({ phyPayload }) => ((phyPayload[5] ?? 0) & 0x40) !== 0);
  expect(asked).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11].map((index) => index >= 4));
  expect(played.map(({ spreadingFactor }) => spreadingFactor)).toEqual([
    8, 8, 8, 8, 8, 8, 9, 9, 10, 10, 11, 11,
  ]);
});

describe('the duty cycle', () => {
  test('of the law makes uplinks wait', () => {
    const airMs = 56.576;
    const { played } = play({ dutyCycle: true, periodMs: 1_000, spreadingFactors: [7], adr: 0 }, 60);
    const lastAt = new Map<string, number>();
    for (const { at, channel } of played) {
      const band = channel.freqMhz < 868 ? 'L' : 'M';
      const since = at - (lastAt.get(band) ?? -Infinity);
      expect(since).toBeGreaterThan(airMs * 100 - 1);
      lastAt.set(band, at);
    }
  });

  test('of a network too', () => {
    const { played } = play({ periodMs: 1_000, spreadingFactors: [7] }, 12, (_, index) =>
      index === 0 ? { fOpts: '0407' } : undefined,
    );
    const gaps = played.slice(2).map(({ at }, index) => at - played[index + 1]!.at);
    expect(Math.min(...gaps)).toBeGreaterThan(56 * 128);
  });
});

test('a channel of the network is used, also one that no gateway hears', () => {
  const { played } = play({}, 60, (_, index) =>
    index === 0 ? { fOpts: '0708' + 'f08f84' + '50' } : undefined,
  );
  const used = new Set(played.map(({ channel }) => `${String(channel.freqMhz)}/${String(channel.chan)}`));
  expect(used.size).toBe(9);
  expect(used).toContain('868.76/-1');
});
