import { expect, test } from '@jest/globals';
import type { OtaaDevice } from './devices.ts';
import type { Mote } from './mote.ts';
import type { Transmission } from './transmission.ts';
import { parseConfig } from './config.ts';
import { buildJoinAccept } from './downlink.test-support.ts';
import { SimulatorError } from './errors.ts';
import { createFleet } from './fleet.ts';
import { createTraffic } from './traffic.ts';

const attack = { retransmission: 0, replay: 0, bitflip: 0, foreign: 0 };
const config = parseConfig({
  ...{ gateways: [{ id: '00000000000000aa', port: 1700 }], motes: 2, otaa: 1, attack, periodMs: 10_000 },
});
const radio = { freqMhz: 868.1, datr: 'SF7BW125' };

// The mote's request is out; its server answers.
function join(mote: Mote, joinNonce: number, devAddr: string): void {
  mote.joining?.listenAfter(0, radio);
  const { appKey } = mote.device as OtaaDevice;
  const phyPayload = buildJoinAccept(appKey, { joinNonce, devAddr });
  const result = mote.receiveJoinAccept({ ...radio, phyPayload, at: 5_000, inverted: true });
  expect(result).toMatchObject({ accepted: true });
}

function next(traffic: ReturnType<typeof createTraffic>): Transmission & { at: number } {
  for (;;) {
    const at = traffic.nextAt();
    const transmission = traffic.next();
    if (transmission !== undefined) return { at, ...transmission };
  }
}

test('a mote that rejoins falls silent, joins with a new DevNonce, and counts from zero', () => {
  const traffic = createTraffic(config);
  const mote = traffic.motes[next(traffic).devEui === traffic.motes[0]?.device.devEui ? 0 : 1]!;
  join(mote, 1, '01000001');
  const own = (): Transmission & { at: number } => {
    for (;;) {
      const sent = next(traffic);
      if (sent.devEui === mote.device.devEui) return sent;
    }
  };
  expect([own(), own()]).toMatchObject([
    { kind: 'uplink', devAddr: '01000001', frame: { fcnt: 0, session: 1 } },
    { kind: 'uplink', frame: { fcnt: 1 } },
  ]);
  const now = traffic.nextAt();
  traffic.rejoin(mote, now);
  expect(mote.session).toBeUndefined();
  const request = own();
  expect(request).toMatchObject({ kind: 'joinRequest', request: { devNonce: 1, attempt: 1 } });
  expect(request.at - now).toBeLessThanOrEqual(1_000);
  join(mote, 2, '01000002');
  expect([own(), own()]).toMatchObject([
    { kind: 'uplink', devAddr: '01000002', frame: { fcnt: 0, session: 2 } },
    { kind: 'uplink', frame: { fcnt: 1, session: 2 } },
  ]);
});

test('a fleet finds motes by the address of their session, also two with the same', () => {
  const { motes } = createTraffic(config);
  const fleet = createFleet(motes);
  const [first, second] = [motes[0]!, motes[1]!];
  expect(fleet.withAddress('01000001')).toEqual([]);
  for (const [index, mote] of [first, second].entries()) {
    mote.nextJoinRequest(1);
    fleet.asks(mote);
    join(mote, index, '01000001');
    fleet.joined(mote);
  }
  expect(fleet.joining()).toEqual([]);
  expect(fleet.withAddress('01000001')).toEqual([first, second]);
  fleet.left(first, '01000001');
  expect(fleet.withAddress('01000001')).toEqual([second]);
  fleet.left(second, '01000001');
  expect(fleet.withAddress('01000001')).toEqual([]);
  expect(fleet.named('mote-0002')).toBe(second);
  expect(fleet.named(first.device.devEui.toUpperCase())).toBe(first);
  expect(() => fleet.named('mote-0003')).toThrow(SimulatorError);
});
