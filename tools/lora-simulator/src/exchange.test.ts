import { expect, test } from '@jest/globals';
import type { SimulatorConfigInput } from './config.ts';
import type { Transmission } from './transmission.ts';
import { parseConfig } from './config.ts';
import { createExchange } from './exchange.ts';
import { createTraffic } from './traffic.ts';

const attack = { retransmission: 0, replay: 0, bitflip: 0, foreign: 0 };
const gateways = [{ id: '00000000000000aa', port: 1700 }];

type Timed = Transmission & { readonly at: number };

function play(
  input: Partial<SimulatorConfigInput>,
  count: number,
  after: (transmission: Timed, traffic: ReturnType<typeof createTraffic>) => void = () => undefined,
): Timed[] {
  const traffic = createTraffic(parseConfig({ motes: 1, periodMs: 2_000, attack, gateways, ...input }));
  const played: Timed[] = [];
  while (played.length < count && traffic.nextAt() < Infinity) {
    const at = traffic.nextAt();
    const transmission = traffic.next();
    if (transmission === undefined) continue;
    played.push({ at, ...transmission });
    after({ at, ...transmission }, traffic);
  }
  return played;
}

test('an unacknowledged uplink goes on air eight times, the same bytes, before the next', () => {
  const played = play({ confirmedUplinks: 1, confirmedAttempts: 8 }, 16);
  const bytes = played.map(({ phyPayload }) => phyPayload.toString('hex'));
  expect(new Set(bytes.slice(0, 8)).size).toBe(1);
  expect(new Set(bytes.slice(8)).size).toBe(1);
  expect(bytes[0]).not.toBe(bytes[8]);
  expect(played.map(({ kind }) => kind)).toEqual([
    ...['uplink', ...Array<string>(7).fill('retransmission')],
    ...['uplink', ...Array<string>(7).fill('retransmission')],
  ]);
  const gaps = played.slice(1, 8).map(({ at }, index) => at - (played[index]?.at ?? 0));
  // RX2 two seconds after the frame, then ACK_TIMEOUT of one to three seconds.
  for (const gap of gaps) {
    expect(gap).toBeGreaterThan(3_000);
    expect(gap).toBeLessThan(5_500);
  }
});

test('an acknowledgement ends the repetition', () => {
  const played = play({ confirmedUplinks: 1, confirmedAttempts: 8 }, 20, (transmission, traffic) => {
    if (transmission.kind === 'retransmission') traffic.motes[0]?.exchange.settle({ ack: true });
  });
  expect(played.slice(0, 6).map(({ kind }) => kind)).toEqual([
    'uplink',
    'retransmission',
    'uplink',
    'retransmission',
    'uplink',
    'retransmission',
  ]);
});

test('with one attempt nothing is repeated', () => {
  expect(play({ confirmedUplinks: 1 }, 50).every(({ kind }) => kind === 'uplink')).toBe(true);
});

test('any downlink settles an unconfirmed uplink, only an acknowledgement a confirmed one', () => {
  const [unconfirmed, confirmed] = [0, 1].map((confirmedUplinks) => {
    const [sent] = play({ confirmedUplinks }, 1);
    if (sent === undefined || !('frame' in sent)) throw new TypeError('no uplink');
    return sent.frame;
  });
  const exchange = createExchange();
  exchange.begin(unconfirmed!, 3);
  exchange.settle({ ack: false });
  expect(exchange.isOpen).toBe(false);
  exchange.begin(confirmed!, 3);
  exchange.settle({ ack: false });
  expect(exchange.isOpen).toBe(true);
  expect([1, 2, 3].map(() => exchange.takeAttempt(confirmed!))).toEqual([true, true, false]);
  expect(exchange.takeAttempt(unconfirmed!)).toBe(false);
});

test('a mote without an answer joins on and on, with a new DevNonce each time, and sends no data', () => {
  const played = play({ otaa: 1, spreadingFactors: [7] }, 20);
  const nonces = played.map((sent) => ('request' in sent ? sent.request.devNonce : -1));
  expect(nonces).toEqual(Array.from({ length: 20 }, (_, index) => index));
  const gaps = played.slice(1).map(({ at }, index) => at - (played[index]?.at ?? 0));
  expect(Math.min(...gaps)).toBeGreaterThan(6_500);
  expect(new Set(played.map(({ channel }) => channel.freqMhz))).toEqual(new Set([868.1, 868.3, 868.5]));
});

test('a copy of a JoinRequest by an attacker is told apart from it', () => {
  const played = play({ otaa: 1, attack: { ...attack, joinReplay: 1 } }, 40);
  const replays = played.filter(({ kind }) => kind === 'joinReplay');
  expect(replays.length).toBeGreaterThan(10);
  for (const replay of replays) {
    const first = played.find(({ id }) => 'request' in replay && id === replay.request.firstTxId);
    expect(first).toMatchObject({ kind: 'joinRequest', phyPayload: replay.phyPayload });
  }
});
