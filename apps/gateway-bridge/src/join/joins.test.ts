import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Reception } from '../frame.ts';
import type { Ring } from '../ring/ring.ts';
import { createJoins, type Joins } from './joins.ts';

const ONE = '0000000000000001';
const options = { perDevicePerSecond: 1, perDeviceBurst: 3, perSecond: 10, burst: 20 };

const joinRequest = (devEui: string): Uint8Array => {
  const bytes = new Uint8Array(23);
  bytes.set(Buffer.from(devEui, 'hex').reverse(), 9);
  return bytes;
};
const rx = {
  tmst: 0,
  frequency: 868_100_000,
  spreadingFactor: 7,
  bandwidth: 125_000,
  codeRate: '4/5',
  rssi: -60,
  snr: 7,
  channel: 0,
  rfChain: 0,
  crcOk: true,
};

function start(settings: readonly { id: string; prefix: string; devEuis: string[] }[]): {
  joins: Joins;
  delivered: string[];
  hear: (devEui: string, tmst: number, gatewayId?: string, contested?: boolean) => string | undefined;
  pass: (ms: number) => void;
} {
  let now = 10_000;
  const delivered: string[] = [];
  const clock = { now: () => now, monotonic: () => now };
  const rings = settings.map(
    ({ id, ...rest }) => ({ id, settings: { ...rest, devAddrs: [], deliver: true } }) as unknown as Ring,
  );
  const joining = (devEui: string): Ring[] => rings.filter((ring) => ring.settings.devEuis.includes(devEui));
  const joins = createJoins({
    ...options,
    rings: { joining } as never,
    clock,
    deliver: (ring, { gatewayId, rx: { tmst } }) => void delivered.push(`${ring.id} ${gatewayId} ${tmst}`),
  });
  const hear = (devEui: string, tmst: number, gatewayId = 'g1', contested = false): string | undefined => {
    const reception: Reception = {
      gatewayId,
      phyPayload: joinRequest(devEui),
      receivedAt: now,
      rx: { ...rx, tmst },
    };
    return joins.heard(reception, contested);
  };
  return { joins, delivered, hear, pass: (ms) => void (now += ms) };
}

test('a JoinRequest of a known device is delivered, and can be answered once in its time, where it was heard', () => {
  const { joins, delivered, hear, pass } = start([{ id: 'own', prefix: '', devEuis: [ONE] }]);
  expect(hear(ONE, 7)).toBeUndefined();
  expect(delivered).toEqual(['own g1 7']);
  expect(joins.answer('', 'g1', 8)).toBeUndefined();
  expect(joins.answer('', 'g2', 7)).toBeUndefined();
  expect(joins.answer('contract/x/', 'g1', 7)).toBeUndefined();
  const answer = joins.answer('', 'g1', 7);
  expect(answer?.devEui).toBe(ONE);
  expect(joins.answer('', 'g1', 7)).toBeUndefined();
  answer?.release();
  expect(joins.answer('', 'g1', 7)).toBeDefined();
  hear(ONE, 9);
  pass(7001);
  expect(joins.answer('', 'g1', 9)).toBeUndefined();
});

test('each prefix with the device is given its own', () => {
  const { joins, hear } = start([
    { id: 'own', prefix: '', devEuis: [ONE] },
    { id: 'c', prefix: 'contract/c/', devEuis: [ONE] },
  ]);
  hear(ONE, 7);
  expect(joins.answer('', 'g1', 7)).toBeDefined();
  expect(joins.answer('contract/c/', 'g1', 7)).toBeDefined();
});

test('what is malformed, of no device of ours, or from where the gateway is not, is not delivered', () => {
  const { delivered, hear, joins } = start([{ id: 'own', prefix: '', devEuis: [ONE] }]);
  expect(hear('00000000000000ff', 1)).toBe('unknownDevEui');
  expect(hear(ONE, 1, 'g1', true)).toBe('joinContested');
  const short = { gatewayId: 'g1', phyPayload: new Uint8Array(22), receivedAt: 0, rx };
  expect(joins.heard(short, false)).toBe('malformed');
  expect(delivered).toEqual([]);
});

test('a flood under one DevEUI ends at its limit, leaves other gateways alone, and what is known stays bounded', () => {
  const { delivered, hear, pass } = start([{ id: 'own', prefix: '', devEuis: [ONE] }]);
  const outcomes = Array.from({ length: 100 }, (_, i) => hear(ONE, i));
  expect(outcomes.filter((outcome) => outcome === 'joinFlood')).toHaveLength(97);
  expect(hear(ONE, 200, 'g2')).toBeUndefined();
  expect(delivered).toHaveLength(4);
  pass(1000);
  expect(hear(ONE, 300)).toBeUndefined();
});

test('all devices together have a limit, whatever comes', () => {
  const euis = Array.from({ length: 50 }, (_, i) => i.toString(16).padStart(16, '0'));
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.constantFrom(...euis), fc.nat(200)), { maxLength: 200 }), (requests) => {
      const { delivered, hear, pass } = start([{ id: 'own', prefix: '', devEuis: euis }]);
      let elapsed = 0;
      for (const [i, [devEui, gap]] of requests.entries()) {
        pass(gap);
        elapsed += gap;
        hear(devEui, i);
        expect(delivered.length).toBeLessThanOrEqual(20 + (elapsed / 1000) * 10);
      }
    }),
    { numRuns: 30 },
  );
});
