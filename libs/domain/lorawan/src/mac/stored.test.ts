import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  eu868,
  isMacRequest,
  macStep,
  newMacState,
  parseMacCommands,
  parseMacState,
  type MacState,
  type MacVersion,
} from '../index.ts';

const bytes = fc.uint8Array({ maxLength: 24 });
const lives = fc.array(
  fc.record({
    heard: bytes,
    asked: bytes,
    dataRate: fc.nat(6),
    bestSnr: fc.oneof(fc.integer({ min: -30, max: 15 }), fc.double({ noNaN: true })),
  }),
  { maxLength: 60 },
);

function ask(state: MacState, asked: Uint8Array): MacState {
  let next = state;
  for (const command of parseMacCommands(asked, 'down').commands.filter(isMacRequest)) {
    try {
      next = macStep(eu868, next, { type: 'request', command }).state;
    } catch {
      // refused: nothing changed
    }
  }
  return next;
}

test('whatever a device and its network say to each other, the state can be stored and read again', () => {
  fc.assert(
    fc.property(lives, fc.constantFrom<MacVersion>('1.0.2', '1.0.3', '1.0.4'), (life, macVersion) => {
      let state = newMacState(eu868, { macVersion, channels: [867_100_000] });
      for (const [fcnt, { heard, asked, dataRate, bestSnr }] of life.entries()) {
        state = ask(state, asked);
        const { commands } = parseMacCommands(heard, 'up');
        const uplink = { fcnt, dataRate, bestSnr, gatewayCount: 1, adr: true, adrAckReq: false };
        state = macStep(eu868, state, { type: 'uplink', ...uplink, macCommands: commands }).state;
      }
      expect(parseMacState(JSON.parse(JSON.stringify(state)))).toEqual(state);
    }),
    { numRuns: 150 },
  );
});

test('an SNR of -0 dB, which JSON can say and not keep, is 0', () => {
  const uplink = {
    fcnt: 0,
    dataRate: 0,
    bestSnr: JSON.parse('-0') as number,
    gatewayCount: 1,
    adr: true,
    adrAckReq: false,
  };
  const { state } = macStep(eu868, newMacState(eu868), { type: 'uplink', ...uplink, macCommands: [] });
  expect(state.adr.snrs).toEqual([0]);
  expect(parseMacState(JSON.parse(JSON.stringify(state)))).toEqual(state);
});

test('a state from before its first settings were kept is read as it is', () => {
  const { madeWith: _madeWith, ...older } = newMacState(eu868);
  expect(parseMacState(JSON.parse(JSON.stringify(older)))).toEqual(older);
  const newer = { ...older, devStatusAskedAt: 5 };
  expect(parseMacState(newer)).toEqual(newer);
});

test('what is no state is corrupt', () => {
  const state = newMacState(eu868);
  for (const wrong of [
    undefined,
    {},
    { ...state, rx1DelayS: 16 },
    { ...state, more: 1 },
    { ...state, adr: { ...state.adr, snrs: Array<number>(21).fill(0) } },
    { ...state, pending: [{ command: { type: 'linkCheckAns' }, attempts: 0, inFlight: true }] },
    { ...state, rejected: [{ command: { type: 'devStatusReq' }, answer: { type: 'dutyCycleAns' } }] },
  ])
    expect(() => parseMacState(wrong)).toThrow(expect.objectContaining({ code: 'corrupt' }));
});
