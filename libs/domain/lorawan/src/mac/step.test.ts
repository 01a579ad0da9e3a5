import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  encodeMacCommands,
  eu868,
  macStep,
  MAX_ATTEMPTS,
  newMacState,
  type MacRequest,
  type MacState,
  type MacStep,
  type UplinkHeard,
  type UplinkMacCommand,
} from '../index.ts';
import { deviceModel } from './device-model.fixture.ts';
import { taking, throughTheAir, turns } from './lossy-air.fixture.ts';

const uplink = (fcnt: number, macCommands: readonly UplinkMacCommand[] = []): UplinkHeard => ({
  type: 'uplink',
  fcnt,
  dataRate: 0,
  bestSnr: 0,
  gatewayCount: 1,
  adr: false,
  adrAckReq: false,
  macCommands,
});

const ask = (state: MacState, command: MacRequest): MacState =>
  macStep(eu868, state, { type: 'request', command }).state;
const hear = (state: MacState, fcnt: number, macCommands: readonly UplinkMacCommand[] = []): MacStep =>
  macStep(eu868, state, uplink(fcnt, macCommands));

const rxParamSetup: MacRequest = {
  type: 'rxParamSetupReq',
  rx1DrOffset: 2,
  rx2DataRate: 3,
  frequency: 869_525_000,
};

describe('questions of a device', () => {
  test('LinkCheckReq is told the margin and the gateways, DeviceTimeReq the GPS time', () => {
    const { answers, mustAnswer } = macStep(eu868, newMacState(eu868), {
      ...uplink(1, [{ type: 'linkCheckReq' }, { type: 'deviceTimeReq' }, { type: 'linkCheckReq' }]),
      dataRate: 5,
      bestSnr: 4.3,
      gatewayCount: 3,
      heardAtUnixMs: Date.UTC(2026, 10, 21, 8, 0, 0, 500),
    });
    expect(mustAnswer).toBe(true);
    expect(answers).toEqual([
      { type: 'linkCheckAns', margin: 11, gatewayCount: 3 },
      // 2026-11-21T08:00:18 as if there were no leap seconds, since 1980-01-06
      {
        type: 'deviceTimeAns',
        seconds: Date.UTC(2026, 10, 21, 8, 0, 18) / 1000 - 315_964_800,
        fraction: 128,
      },
    ]);
  });

  test('ADRACKReq is answered, if only by an empty downlink', () => {
    const step = macStep(eu868, newMacState(eu868), { ...uplink(1), adrAckReq: true });
    expect(step).toMatchObject({ mustAnswer: true, answers: [] });
    expect(hear(step.state, 2)).toMatchObject({ mustAnswer: false });
  });

  test('what has no answer here is told of', () => {
    const { notes, mustAnswer } = hear(newMacState(eu868), 1, [
      { type: 'pingSlotInfoReq', periodicity: 1 },
      { type: 'deviceTimeReq' },
    ]);
    expect(notes.map(({ type }) => type)).toEqual(['unanswered', 'unanswered']);
    expect(mustAnswer).toBe(false);
  });

  test('an uplink that is not above the last counter changes nothing', () => {
    const { state } = hear(newMacState(eu868), 5);
    const step = hear(state, 5, [{ type: 'linkCheckReq' }]);
    expect(step).toEqual({ state, answers: [], mustAnswer: false, notes: [{ type: 'stale', fcnt: 5 }] });
  });
});

describe('requests to a device', () => {
  test('one goes again until it is answered, and is given up after the last attempt', () => {
    let state = ask(newMacState(eu868), { type: 'devStatusReq' });
    for (let fcnt = 1; fcnt <= MAX_ATTEMPTS; fcnt++) {
      const step = hear(state, fcnt);
      expect(step).toMatchObject({ answers: [{ type: 'devStatusReq' }], mustAnswer: true, notes: [] });
      state = step.state;
    }
    expect(hear(state, 9)).toMatchObject({
      answers: [],
      notes: [{ type: 'gaveUp' }],
      state: { pending: [] },
    });
    const answered = hear(state, 9, [{ type: 'devStatusAns', battery: 254, margin: -3 }]).state;
    expect(answered).toMatchObject({ pending: [], devStatus: { battery: 254, margin: -3, fcnt: 9 } });
  });

  test('receive parameters change with the answer, and only where the device took all of them', () => {
    const asked = hear(ask(newMacState(eu868), rxParamSetup), 1).state;
    expect(asked).toMatchObject({ rx1DrOffset: 0, rx2: { dataRate: 0 } });
    const ok = { rx1DrOffsetAck: true, rx2DataRateAck: true, channelAck: true } as const;
    const taken = hear(asked, 2, [{ type: 'rxParamSetupAns', ...ok }]);
    expect(taken.state).toMatchObject({ rx1DrOffset: 2, rx2: { dataRate: 3 }, pending: [], rejected: [] });
    expect(taken).toMatchObject({ mustAnswer: true, notes: [{ type: 'accepted' }] });
    const refused = hear(asked, 2, [{ type: 'rxParamSetupAns', ...ok, channelAck: false }]);
    expect(refused.state).toMatchObject({
      rx1DrOffset: 0,
      rx2: { dataRate: 0 },
      pending: [],
      rejected: [{ command: rxParamSetup, answer: { channelAck: false } }],
    });
  });

  test('a repeated answer is answered, counts for nothing new, and holds back the next request of its kind', () => {
    let state = hear(ask(newMacState(eu868), { type: 'rxTimingSetupReq', delay: 3 }), 1).state;
    state = hear(state, 2, [{ type: 'rxTimingSetupAns' }]).state;
    state = ask(state, { type: 'rxTimingSetupReq', delay: 7 });
    const again = hear(state, 3, [{ type: 'rxTimingSetupAns' }]);
    expect(again).toMatchObject({ mustAnswer: true, answers: [], notes: [], state: { rx1DelayS: 3 } });
    const next = hear(again.state, 4);
    expect(next.answers).toEqual([{ type: 'rxTimingSetupReq', delay: 7 }]);
    expect(hear(next.state, 5, [{ type: 'rxTimingSetupAns' }]).state.rx1DelayS).toBe(7);
  });

  test('an answer belongs to what was in flight, not to what replaced it meanwhile', () => {
    let state = hear(ask(newMacState(eu868), { type: 'rxTimingSetupReq', delay: 3 }), 1).state;
    state = ask(ask(state, { type: 'rxTimingSetupReq', delay: 5 }), { type: 'rxTimingSetupReq', delay: 6 });
    expect(state.pending).toHaveLength(2);
    const heard = hear(state, 2, [{ type: 'rxTimingSetupAns' }]);
    expect(heard.state).toMatchObject({
      rx1DelayS: 3,
      pending: [{ command: { delay: 6 }, inFlight: false }],
    });
    expect(hear(state, 2).answers).toEqual([{ type: 'rxTimingSetupReq', delay: 6 }]);
  });

  test('channels come with NewChannelReq in their order, and go with frequency 0', () => {
    const channel = (chIndex: number, frequency: number): MacRequest => ({
      type: 'newChannelReq',
      chIndex,
      frequency,
      minDataRate: 0,
      maxDataRate: 5,
    });
    let state = ask(ask(newMacState(eu868), channel(3, 867_100_000)), channel(5, 867_500_000));
    state = hear(state, 1).state;
    const yes = { type: 'newChannelAns', dataRateRangeAck: true, channelFrequencyAck: true } as const;
    const no = { ...yes, channelFrequencyAck: false };
    state = hear(state, 2, [no, yes]).state;
    expect(state.channels.map((each) => each?.frequency)).toEqual([
      868_100_000,
      868_300_000,
      868_500_000,
      undefined,
      undefined,
      867_500_000,
    ]);
    expect(state.rejected).toMatchObject([{ command: { chIndex: 3 } }]);
    state = hear(ask(state, channel(5, 0)), 3).state;
    state = hear(state, 4, [yes]).state;
    expect(state.channels[5]).toBeNull();
  });

  test('a block of LinkADRReq is taken as a whole or not at all, however many answers there are to it', () => {
    const request: MacRequest = {
      type: 'linkADRReq',
      dataRate: 5,
      txPower: 2,
      chMask: 5,
      chMaskCntl: 0,
      nbTrans: 2,
    };
    const asked = hear(ask(newMacState(eu868), request), 1).state;
    const yes = { type: 'linkADRAns', powerAck: true, dataRateAck: true, channelMaskAck: true } as const;
    const taken = hear(asked, 2, [yes, yes]);
    expect(taken.notes.filter(({ type }) => type !== 'backedOff')).toMatchObject([{ type: 'accepted' }]);
    expect(taken.state.channels.map((channel) => channel?.enabled)).toEqual([true, false, true]);
    const refused = hear(asked, 2, [yes, { ...yes, powerAck: false }]);
    expect(refused.notes).toMatchObject([{ type: 'rejected' }]);
    expect(refused.state).toMatchObject({
      txPower: 0,
      nbTrans: 1,
      channels: eu868.defaultChannels,
      pending: [],
    });
    expect(refused.state.adr.maxTxPower).toBe(1);
  });

  test('what does not fit the downlink waits for the next', () => {
    let state = newMacState(eu868);
    const requests: MacRequest[] = [
      rxParamSetup,
      { type: 'dlChannelReq', chIndex: 0, frequency: 869_525_000 },
      { type: 'dlChannelReq', chIndex: 1, frequency: 869_525_000 },
      { type: 'dlChannelReq', chIndex: 2, frequency: 869_525_000 },
    ];
    for (const request of requests) state = ask(state, request);
    const first = hear(state, 1);
    expect(first.answers).toHaveLength(3);
    expect(encodeMacCommands(first.answers).length).toBeLessThanOrEqual(15);
    const wide = macStep(eu868, state, { ...uplink(1), maxAnswerBytes: 51 });
    expect(wide.answers).toEqual(requests);
    expect(macStep(eu868, state, { ...uplink(1), maxAnswerBytes: 0 }).answers).toEqual([]);
  });

  test('what the region or the device does not have is refused', () => {
    const linkAdr = {
      type: 'linkADRReq',
      dataRate: 5,
      txPower: 0,
      chMask: 7,
      chMaskCntl: 0,
      nbTrans: 1,
    } as const;
    const newChannel = {
      type: 'newChannelReq',
      chIndex: 3,
      frequency: 867_100_000,
      minDataRate: 0,
      maxDataRate: 5,
    } as const;
    for (const wrong of [
      { ...linkAdr, dataRate: 7 },
      { ...linkAdr, txPower: 8 },
      { ...linkAdr, chMask: 0 },
      { ...linkAdr, chMask: 8 },
      { ...linkAdr, chMaskCntl: 1 },
      { ...rxParamSetup, frequency: 868_650_000 },
      { ...rxParamSetup, rx1DrOffset: 6 },
      { ...newChannel, chIndex: 2 },
      { ...newChannel, chIndex: 16 },
      { ...newChannel, minDataRate: 6 },
      { type: 'dlChannelReq', chIndex: 3, frequency: 869_525_000 },
      { type: 'dutyCycleReq', maxDutyCycle: 16 },
      { type: 'rxTimingSetupReq', delay: 16 },
    ] as const)
      expect(() => ask(newMacState(eu868), wrong)).toThrow(expect.objectContaining({ code: 'invalidInput' }));
  });
});

describe('a network and a device that hear each other only sometimes', () => {
  test('agree on the receive windows at every uplink that is heard', () => {
    fc.assert(
      fc.property(turns, taking, (drawn, takes) => {
        const device = deviceModel(takes);
        let state = newMacState(eu868, { adr: false });
        for (const [fcnt, turn] of drawn.entries()) {
          if (turn.asked !== undefined) state = ask(state, turn.asked);
          const macCommands = device.uplink();
          if (!turn.uplinkHeard) continue;
          const heard = { ...uplink(fcnt, macCommands), dataRate: device.sending().dataRate };
          const step = macStep(eu868, state, heard);
          state = JSON.parse(JSON.stringify(step.state)) as MacState;
          const { moved, ...reception } = device.reception();
          expect(state).toMatchObject(reception);
          for (const [index, channel] of state.channels.entries())
            expect(channel?.downlinkFrequency).toBe(moved.get(index));
          if (step.mustAnswer && turn.downlinkHeard) device.downlink(throughTheAir(step.answers));
          expect(state.pending.length).toBeLessThanOrEqual(20);
        }
      }),
      { numRuns: 400 },
    );
  });

  test('agree on everything once they hear each other again, and have nothing more to say', () => {
    fc.assert(
      fc.property(turns, taking, (drawn, takes) => {
        const device = deviceModel(takes);
        let state = newMacState(eu868, { adr: false });
        const quiet = Array.from({ length: 16 }, () => ({
          asked: undefined,
          uplinkHeard: true,
          downlinkHeard: true,
        }));
        let last: MacStep | undefined;
        for (const [fcnt, turn] of [...drawn, ...quiet].entries()) {
          if (turn.asked !== undefined) state = ask(state, turn.asked);
          const heard = { ...uplink(fcnt, device.uplink()), dataRate: device.sending().dataRate };
          if (!turn.uplinkHeard) continue;
          last = macStep(eu868, state, heard);
          state = last.state;
          if (last.mustAnswer && turn.downlinkHeard) device.downlink(throughTheAir(last.answers));
        }
        expect(last).toMatchObject({ answers: [], mustAnswer: false, state: { pending: [] } });
        expect(state.dataRate).toBe(device.sending().dataRate);
      }),
      { numRuns: 300 },
    );
  });
});
