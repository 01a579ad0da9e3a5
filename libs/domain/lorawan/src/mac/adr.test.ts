import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  eu868,
  macStep,
  newMacState,
  type MacRequest,
  type MacState,
  type NeighbourMargin,
  type UplinkMacCommand,
} from '../index.ts';

type LinkAdr = Extract<MacRequest, { readonly type: 'linkADRReq' }>;
type Judge = (request: LinkAdr) => Partial<Record<'powerAck' | 'dataRateAck' | 'channelMaskAck', boolean>>;

interface Course {
  readonly state: MacState;
  readonly requests: readonly LinkAdr[];
  readonly notes: readonly string[];
}

interface Link {
  /** SNR in dB at the highest power. */
  readonly snr: (fcnt: number) => number;
  readonly uplinks: number;
  readonly judge?: Judge;
  /** Heard where true. */
  readonly heard?: (fcnt: number) => boolean;
  readonly channels?: readonly number[];
  /** How another edge hears it, with the power that it sends with now. */
  readonly neighbour?: (fcnt: number, txPower: number) => NeighbourMargin;
}

/** A device that obeys, or says no as told, and hears every downlink. */
function run({
  snr,
  uplinks,
  judge = () => ({}),
  heard = () => true,
  channels = [],
  neighbour,
}: Link): Course {
  let state = newMacState(eu868, { channels });
  let sending = { dataRate: 0, txPower: 0 };
  let answers: UplinkMacCommand[] = [];
  const requests: LinkAdr[] = [];
  const notes: string[] = [];
  for (let fcnt = 0; fcnt < uplinks; fcnt++) {
    if (!heard(fcnt)) continue;
    const bestSnr = snr(fcnt) - 2 * sending.txPower;
    const step = macStep(eu868, state, {
      type: 'uplink',
      fcnt,
      dataRate: sending.dataRate,
      bestSnr,
      gatewayCount: 1,
      adr: true,
      adrAckReq: false,
      macCommands: answers,
      ...(neighbour === undefined ? {} : { neighbour: neighbour(fcnt, sending.txPower) }),
    });
    state = step.state;
    notes.push(...step.notes.map(({ type }) => type));
    answers = [];
    for (const command of step.answers) {
      if (command.type !== 'linkADRReq') continue;
      requests.push(command);
      const verdict = { powerAck: true, dataRateAck: true, channelMaskAck: true, ...judge(command) };
      answers.push({ type: 'linkADRAns', ...verdict });
      if (Object.values(verdict).every(Boolean)) sending = command;
    }
  }
  return { state, requests, notes };
}

describe('adaptive data rate', () => {
  test('waits for 20 uplinks, then takes the data rate that the best SNR allows', () => {
    // 15 dB above what SF12 needs after 10 dB of margin: five steps
    const { requests } = run({ snr: (fcnt) => (fcnt === 7 ? 5 : -3), uplinks: 21 });
    expect(requests).toEqual([
      { type: 'linkADRReq', dataRate: 5, txPower: 0, chMask: 7, chMaskCntl: 0, nbTrans: 1 },
    ]);
    expect(run({ snr: () => 5, uplinks: 19 }).requests).toEqual([]);
  });

  test('spends what is left on a lower power, and gives power back when the link gets worse', () => {
    // 11.5 dB are left: three steps of 2 dB each, then one and one more
    const strong = run({ snr: () => 14, uplinks: 120 });
    expect(strong.requests.map(({ dataRate, txPower }) => [dataRate, txPower])).toEqual([
      [5, 3],
      [5, 4],
      [5, 5],
    ]);
    expect(strong.state).toMatchObject({ dataRate: 5, txPower: 5, pending: [] });
    const worse = run({ snr: (fcnt) => (fcnt < 100 ? 14 : 5), uplinks: 200 });
    expect(worse.state).toMatchObject({ dataRate: 5, txPower: 1 });
  });

  test('goes by the smaller margin of both edges, and takes nothing from a device that the other may not hear', () => {
    const strong = { snr: () => 14, uplinks: 200 };
    const at =
      (snr: number): Link['neighbour'] =>
      (_fcnt, txPower) => ({ heard: 'at', snr: snr - 2 * txPower });
    // the neighbour's -3 dB allow five steps, as if our own gateway heard no better
    expect(run({ ...strong, neighbour: at(-3) }).state).toMatchObject({
      dataRate: run({ snr: () => -3, uplinks: 200 }).state.dataRate,
      txPower: 0,
    });
    expect(run({ snr: () => -3, uplinks: 200, neighbour: at(14) }).state.dataRate).toBe(
      run({ snr: () => -3, uplinks: 200 }).state.dataRate,
    );
    expect(run({ ...strong, neighbour: at(14) }).state).toMatchObject({ dataRate: 5, txPower: 5 });
    for (const heard of ['never', 'unknown'] as const)
      expect(run({ ...strong, neighbour: () => ({ heard }) }).requests).toEqual([]);
    // it is heard no more once its power went down: it gets all of it back
    const lost = run({
      ...strong,
      neighbour: (fcnt) => (fcnt < 60 ? { heard: 'at', snr: 14 } : { heard: 'never' }),
    });
    expect(lost.state).toMatchObject({ dataRate: 5, txPower: 0 });
  });

  test('repeats more where frames are lost, and less where none are', () => {
    const lossy = run({ snr: () => 5, uplinks: 200, heard: (fcnt) => fcnt % 3 !== 1 });
    expect(lossy.state.nbTrans).toBe(3);
    const later = run({ snr: () => 5, uplinks: 400, heard: (fcnt) => fcnt > 200 || fcnt % 3 !== 1 });
    expect(later.state.nbTrans).toBe(1);
  });

  test('settles: on a steady link it asks a few times and then never again', () => {
    fc.assert(
      fc.property(fc.integer({ min: -30, max: 20 }), (snr) => {
        const { requests, state } = run({ snr: () => snr, uplinks: 400 });
        expect(requests.length).toBeLessThanOrEqual(6);
        const settings = eu868.dataRate(state.dataRate);
        const margin = snr - 2 * state.txPower - (settings === undefined ? 0 : eu868.requiredSnr(settings));
        if (state.dataRate > 0) expect(margin).toBeGreaterThanOrEqual(10);
      }),
    );
  });

  test('a device that says no is asked for less, and in the end for nothing', () => {
    fc.assert(
      fc.property(fc.nat(5), fc.nat(7), fc.boolean(), fc.nat(20), (most, least, defaultsOnly, snr) => {
        const judge: Judge = ({ dataRate, txPower, chMask }) => ({
          dataRateAck: dataRate <= most,
          powerAck: txPower <= least,
          channelMaskAck: !defaultsOnly || chMask === 7,
        });
        const { state, requests } = run({ snr: () => snr, uplinks: 500, judge, channels: [867_100_000] });
        expect(state.dataRate).toBeLessThanOrEqual(most);
        expect(state.txPower).toBeLessThanOrEqual(least);
        expect(requests.length).toBeLessThanOrEqual(20);
        expect(state.rejected.length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 60 },
    );
  });

  test('a device that never answers is left alone for longer and longer, and is asked again when it does', () => {
    const asked: number[] = [];
    let state = newMacState(eu868);
    const hear = (fcnt: number, macCommands: readonly UplinkMacCommand[] = []): void => {
      const uplink = { fcnt, dataRate: 0, bestSnr: 5, gatewayCount: 1, adr: true, adrAckReq: false };
      const step = macStep(eu868, state, { type: 'uplink', ...uplink, macCommands });
      state = step.state;
      if (step.answers.length > 0) asked.push(fcnt);
    };
    for (let fcnt = 0; fcnt < 3000; fcnt++) hear(fcnt);
    expect(asked).toHaveLength(5 * 8);
    const [first = 0, ...more] = asked.filter((_, i) => i % 5 === 0);
    const waits = more.map((fcnt, i) => fcnt - (more[i - 1] ?? first));
    expect(waits).toEqual([...waits].sort((one, other) => one - other));
    expect(state.adr.silences).toBe(6);
    hear(3000, [{ type: 'linkADRAns', powerAck: true, dataRateAck: true, channelMaskAck: true }]);
    for (let fcnt = 3001; fcnt < 3022; fcnt++) hear(fcnt);
    expect(asked.at(-1)).toBeGreaterThan(3000);
  });

  test('one that slowed down on its own is taken to send at its highest power', () => {
    const { state } = run({ snr: () => 20, uplinks: 60 });
    expect(state).toMatchObject({ dataRate: 5, txPower: 7 });
    const step = macStep(eu868, state, {
      type: 'uplink',
      fcnt: 100,
      dataRate: 4,
      bestSnr: 10,
      gatewayCount: 1,
      adr: true,
      adrAckReq: true,
      macCommands: [],
    });
    expect(step).toMatchObject({
      mustAnswer: true,
      notes: [{ type: 'backedOff', from: 5, to: 4 }],
      state: { dataRate: 4, txPower: 0, adr: { snrs: [10] } },
    });
  });

  test('leaves a device alone that does not give its data rate to the network', () => {
    let state = newMacState(eu868);
    for (let fcnt = 0; fcnt < 40; fcnt++) {
      const { state: next, answers } = macStep(eu868, state, {
        type: 'uplink',
        fcnt,
        dataRate: 2,
        bestSnr: 12,
        gatewayCount: 2,
        adr: false,
        adrAckReq: false,
        macCommands: [],
      });
      expect(answers).toEqual([]);
      state = next;
    }
    expect(state.dataRate).toBe(2);
    expect(state.adr.fcnts).toHaveLength(20);
  });
});
