import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  broughtHome,
  eu868,
  isListeningOpen,
  listensAs,
  macStep,
  newMacState,
  parseMacState,
  type MacState,
  type UplinkHeard,
  type UplinkMacCommand,
} from '../index.ts';
import { deviceModel, type DeviceModel } from './device-model.fixture.ts';
import { taking, throughTheAir, turns, type Turn } from './lossy-air.fixture.ts';

const fresh = newMacState(eu868, { adr: false });
const heardBy = (fcnt: number, dataRate: number, macCommands: readonly UplinkMacCommand[]): UplinkHeard => ({
  ...{ type: 'uplink', fcnt, dataRate, bestSnr: 0, gatewayCount: 1 },
  ...{ adr: false, adrAckReq: false, macCommands },
});

const notSpokenTo = ({ spokenTo: _spoken, ...state }: MacState): MacState => state;

/** Of a device that they did not speak to nothing comes home. */
const afterThem = (own: MacState, theirs: MacState): MacState =>
  theirs.spokenTo === true ? broughtHome(eu868, own, theirs) : own;

/** One turn of whoever acts: it knows the device's windows at each uplink that it hears. */
function take(
  before: MacState,
  { asked, uplinkHeard, downlinkHeard }: Turn,
  uplink: UplinkHeard,
  device: DeviceModel,
): MacState {
  const state =
    asked === undefined ? before : macStep(eu868, before, { type: 'request', command: asked }).state;
  if (!uplinkHeard) return state;
  const step = macStep(eu868, state, uplink);
  const { moved, ...reception } = device.reception();
  expect(step.state).toMatchObject(reception);
  for (const [index, channel] of step.state.channels.entries())
    expect(channel?.downlinkFrequency).toBe(moved.get(index));
  if (step.mustAnswer && downlinkHeard) device.downlink(throughTheAir(step.answers));
  return step.state;
}

describe('a device that was served elsewhere', () => {
  test('is answered in its windows at every uplink after it came home, whatever was lost on the way', () => {
    fc.assert(
      fc.property(turns, fc.nat(60), fc.nat(60), taking, (drawn, one, two, takes) => {
        const [leaves, returns] = [Math.min(one, two), Math.max(one, two)];
        const device = deviceModel(takes);
        let [own, theirs] = [fresh, fresh];
        for (const [fcnt, turn] of drawn.entries()) {
          if (fcnt === leaves) theirs = notSpokenTo(own);
          if (fcnt === returns && returns > leaves) own = afterThem(own, theirs);
          const uplink = heardBy(fcnt, device.sending().dataRate, device.uplink());
          const isAway = fcnt >= leaves && fcnt < returns;
          // both hear some of it, and only one of them speaks
          if (isAway && fcnt % 3 !== 0) own = macStep(eu868, own, { ...uplink, maxAnswerBytes: 0 }).state;
          const next = take(isAway ? theirs : own, turn, uplink, device);
          [own, theirs] = isAway ? [own, next] : [next, theirs];
        }
      }),
      { numRuns: 400 },
    );
  });

  test('keeps both outcomes of what it was asked and has not answered, until its next uplink decides', () => {
    const asked = macStep(eu868, fresh, {
      type: 'request',
      command: { type: 'rxTimingSetupReq', delay: 7 },
    }).state;
    const theirs = macStep(eu868, asked, heardBy(9, 0, [])).state;
    expect(isListeningOpen(fresh)).toBe(false);
    const home = broughtHome(eu868, fresh, theirs);
    expect(isListeningOpen(home)).toBe(true);
    const taken = macStep(eu868, home, heardBy(10, 0, [{ type: 'rxTimingSetupAns' }]));
    expect([taken.state.rx1DelayS, isListeningOpen(taken.state)]).toEqual([7, false]);
    // it heard nothing of it: it listens as before, and is asked once more
    const missed = macStep(eu868, home, heardBy(10, 0, []));
    expect(missed.state.rx1DelayS).toBe(1);
    expect(missed.answers).toEqual([{ type: 'rxTimingSetupReq', delay: 7 }]);
  });

  test('was spoken to where it was asked something, or answered it, and not where it was heard alone', () => {
    const command = { type: 'rxTimingSetupReq' as const, delay: 7 };
    const asked = macStep(eu868, fresh, { type: 'request', command }).state;
    const held = macStep(eu868, asked, { ...heardBy(9, 0, []), maxAnswerBytes: 0 }).state;
    expect(held.spokenTo).toBeUndefined();
    const sent = macStep(eu868, held, heardBy(10, 0, [{ type: 'linkCheckReq' }])).state;
    expect(sent.spokenTo).toBe(true);
    // the request was of whoever served it before
    const answered = heardBy(11, 0, [{ type: 'rxTimingSetupAns' }]);
    expect(macStep(eu868, notSpokenTo(sent), answered).state).toMatchObject({ rx1DelayS: 7, spokenTo: true });
    const heard = macStep(eu868, fresh, heardBy(11, 0, [{ type: 'linkCheckReq' }])).state;
    expect(heard.spokenTo).toBeUndefined();
  });

  test('is known as its newest uplink showed it, whoever heard that', () => {
    const told: MacState = { ...fresh, dataRate: 5, txPower: 3, nbTrans: 2, fcntUp: 20 };
    const status = (battery: number, fcnt: number) => ({ battery, margin: 3, fcnt });
    const own: MacState = { ...fresh, dataRate: 3, fcntUp: 25, devStatus: status(90, 24) };
    // it went down by itself, and to its highest power first
    expect(broughtHome(eu868, own, { ...told, devStatus: status(95, 18) })).toMatchObject({
      ...{ dataRate: 3, txPower: 0, nbTrans: 2, fcntUp: 25, devStatus: status(90, 24) },
    });
    expect(broughtHome(eu868, { ...own, fcntUp: 12 }, told)).toMatchObject({
      ...{ dataRate: 5, txPower: 3, fcntUp: 20 },
    });
    const asked = { dataRate: 3, txPower: 4, chMask: 7, chMaskCntl: 0, nbTrans: 1 };
    const command = { type: 'linkADRReq' as const, ...asked };
    const pending = [{ command, attempts: 1, inFlight: true }];
    // it went down because it was told to
    expect(broughtHome(eu868, own, { ...told, pending })).toMatchObject({ dataRate: 3, txPower: 3 });
  });

  test('keeps what its own edge alone knows, and its history where it sends as before', () => {
    const adr = { ...fresh.adr, enabled: true, marginDb: 12, fcnts: [4, 5], snrs: [1, 2], gateways: [1, 1] };
    const own: MacState = { ...fresh, adr, class: 'C', devStatusAskedAt: 7, fcntUp: 5 };
    const theirs: MacState = { ...fresh, fcntUp: 5, adr: { ...fresh.adr, maxDataRate: 4 } };
    const home = broughtHome(eu868, own, theirs);
    expect(home).toEqual(own);
    const moved = broughtHome(eu868, own, { ...theirs, txPower: 2 });
    expect(moved.adr).toMatchObject({ marginDb: 12, fcnts: [], snrs: [], gateways: [] });
  });

  test('is not silenced by a word of its counter, or of its rate adaptation, that is wrong', () => {
    const own: MacState = { ...fresh, fcntUp: 100 };
    const lie = (fcntUp: number): MacState => ({
      ...{ ...fresh, fcntUp, rx1DelayS: 3, devStatus: { battery: 1, margin: 1, fcnt: 2 ** 32 - 1 } },
      adr: { ...fresh.adr, isBlocked: true, maxDataRate: 0, silences: 6, notBefore: 2 ** 33 },
    });
    expect(() => broughtHome(eu868, own, lie(2 ** 32 - 1), 100)).toThrow(
      expect.objectContaining({ code: 'corrupt' }),
    );
    expect(broughtHome(eu868, own, lie(60_000), 100)).toMatchObject({
      ...{ fcntUp: 100 + 16_384, rx1DelayS: 3, adr: own.adr, devStatus: null },
    });
    // its readings may be here before its MAC layer is
    expect(broughtHome(eu868, own, lie(60_000), 59_000).fcntUp).toBe(60_000);
    // of a device that was never heard here nothing says that it cannot be
    expect(broughtHome(eu868, fresh, lie(200_000)).fcntUp).toBe(16_383);
    const ask = { ...heardBy(100 + 16_385, 0, [{ type: 'linkCheckReq' }]), adrAckReq: true };
    const next = macStep(eu868, broughtHome(eu868, own, lie(60_000), 100), ask);
    expect(next.answers).toMatchObject([{ type: 'linkCheckAns' }]);
  });

  test('has not surely done what its answer may not be meant for: another had asked the same of another channel in between', () => {
    const numbered: MacState = { ...fresh, number: 1, fcntUp: 0 };
    const moves = (chIndex: number) => ({ type: 'dlChannelReq' as const, chIndex, frequency: 869_525_000 });
    const asked = macStep(eu868, numbered, { type: 'request', command: moves(1) }).state;
    const sent = macStep(eu868, asked, heardBy(1, 0, [])).state;
    const answer = { type: 'dlChannelAns' as const, uplinkFrequencyExists: true, channelFrequencyAck: true };
    const own = macStep(eu868, sent, heardBy(3, 0, [answer])).state;
    expect(own.channels[1]?.downlinkFrequency).toBe(869_525_000);
    const pending = [{ command: moves(0), attempts: 1, inFlight: true, sentAt: 2 }];
    const home = broughtHome(eu868, own, { ...numbered, fcntUp: 2, pending });
    expect(home.unsure).toEqual([
      { command: moves(1), sentAt: 1 },
      { command: moves(0), sentAt: 2 },
    ]);
    expect(home.channels[1]?.downlinkFrequency ?? 868_300_000).toBe(868_300_000);
    expect(isListeningOpen(home)).toBe(true);
    // each way has its turn: none of them, the one, the other, both
    const ways = [0, 1, 2, 3].map((tries) =>
      listensAs({ ...home, tries }).channels.map((each) => each?.downlinkFrequency === 869_525_000),
    );
    expect(new Set(ways.map(String)).size).toBe(4);
    // the other one's answer was the other one's alone where it says that it had it
    const taken = [{ command: moves(0), sentAt: 2, fcnt: 3 }];
    const decided = broughtHome(eu868, own, { ...numbered, fcntUp: 3, taken });
    expect(decided.channels[0]?.downlinkFrequency).toBe(869_525_000);
    expect(decided.unsure).toEqual([{ command: moves(1), sentAt: 1 }]);
  });

  test('was asked, and answered, nothing after the last uplink that is believed: its later answers stand in front of a lie', () => {
    const offset = (rx1DrOffset: number) => ({
      ...{ type: 'rxParamSetupReq' as const, rx1DrOffset, rx2DataRate: 0, frequency: 869_525_000 },
    });
    const own: MacState = { ...fresh, number: 3, fcntUp: 100 };
    const never = 2 ** 32 - 1;
    const taken = [{ command: offset(3), sentAt: never, fcnt: 100 }];
    expect(broughtHome(eu868, own, { ...own, fcntUp: 101, taken }).rx1DrOffset).toBe(0);
    for (const lie of [
      { pending: [{ command: offset(3), attempts: 1, inFlight: true, sentAt: never }] },
      { unsure: [{ command: offset(3), sentAt: never }] },
      // also where all of it stands in ours' place
      { lives: 1, pending: [{ command: offset(3), attempts: 1, inFlight: true, sentAt: never }], taken },
    ]) {
      const home = broughtHome(eu868, own, { ...own, fcntUp: 101, ...lie });
      const sentAts = [...home.pending, ...(home.unsure ?? []), ...(home.taken ?? [])].map(
        (one) => one.sentAt,
      );
      expect(sentAts.length).toBeGreaterThan(0);
      expect(sentAts.every((sentAt = 0) => sentAt <= 101)).toBe(true);
      const asked = macStep(eu868, home, { type: 'request', command: offset(1) }).state;
      const sent = macStep(eu868, asked, heardBy(102, 0, [])).state;
      const yes = { rx1DrOffsetAck: true, rx2DataRateAck: true, channelAck: true };
      const back = macStep(eu868, sent, heardBy(103, 0, [{ type: 'rxParamSetupAns', ...yes }])).state;
      expect(back).toMatchObject({ rx1DrOffset: 1 });
      // an honest one began from this, and brings it home
      const again = broughtHome(eu868, { ...back, fcntUp: 104 }, { ...back, fcntUp: 110 });
      expect(again).toMatchObject({ rx1DrOffset: 1, fcntUp: 110 });
    }
  });

  test('has not begun to count anew more often than it can have', () => {
    const own: MacState = { ...fresh, number: 3, fcntUp: 100, lives: 2 };
    expect(broughtHome(eu868, own, { ...own, lives: 2 + 0x1_0000 }).lives).toBe(2 + 0x1_0000);
    for (const lives of [3 + 0x1_0000, Number.MAX_SAFE_INTEGER])
      expect(() => broughtHome(eu868, own, { ...own, lives })).toThrow(
        expect.objectContaining({ code: 'corrupt' }),
      );
    expect(() => parseMacState({ ...own, lives: 2 ** 32 })).toThrow(
      expect.objectContaining({ code: 'corrupt' }),
    );
  });

  test.each([
    ['a frequency of no band', { rx2: { frequency: 915_000_000, dataRate: 0 } }],
    ['a data rate that there is not', { dataRate: 15 }],
    ['default channels elsewhere', { channels: [{ ...fresh.channels[0], frequency: 867_100_000 }] }],
    ['too many channels', { channels: [...fresh.channels, ...Array<null>(14).fill(null)] }],
    ['an offset that there is not', { rx1DrOffset: 7 }],
  ])('is not taken with %s', (_what, wrong) => {
    expect(() => broughtHome(eu868, fresh, { ...fresh, ...wrong } as MacState)).toThrow(
      expect.objectContaining({ code: 'corrupt' }),
    );
  });
});
