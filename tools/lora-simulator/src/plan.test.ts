import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { SimulatorConfigInput } from './config.ts';
import { parseConfig } from './config.ts';
import { createTraffic } from './traffic.ts';

const gateways = [{ id: '00000000000000aa', port: 1700 }];
const ratio = fc.constantFrom(0, 0.1, 0.5, 1);

const anyConfig: fc.Arbitrary<Partial<SimulatorConfigInput>> = fc.record({
  seed: fc.string({ minLength: 1, maxLength: 8 }),
  motes: fc.integer({ min: 1, max: 6 }),
  periodMs: fc.constantFrom(1_000, 5_000, 60_000),
  otaa: ratio,
  devNonce: fc.constantFrom('counter' as const, 'random' as const),
  confirmedUplinks: ratio,
  confirmedAttempts: fc.integer({ min: 1, max: 8 }),
  mac: fc.constantFrom('recorded' as const, 'answered' as const),
  dutyCycle: fc.boolean(),
  adr: ratio,
  adrAckLimit: fc.integer({ min: 1, max: 8 }),
  adrAckDelay: fc.integer({ min: 1, max: 8 }),
  attack: fc.record({
    retransmission: ratio,
    replay: ratio,
    bitflip: ratio,
    foreign: ratio,
    joinReplay: ratio,
  }),
});

function plan(input: Partial<SimulatorConfigInput>): string[] {
  const traffic = createTraffic(parseConfig({ ...input, gateways }));
  const planned: string[] = [];
  for (let step = 0; step < 60 && traffic.nextAt() < Infinity; step += 1) {
    const at = traffic.nextAt();
    const sent = traffic.next();
    if (sent === undefined) continue;
    const { id, kind, devEui, phyPayload, channel, spreadingFactor, powerDbm } = sent;
    const radio = `${String(channel.freqMhz)} ${String(spreadingFactor)} ${String(powerDbm)}`;
    planned.push(`${String(at)} ${String(id)} ${kind} ${devEui} ${radio} ${phyPayload.toString('hex')}`);
  }
  return planned;
}

const timeOf = (line: string): number => Number(line.split(' ')[0]);

test('same seed, same traffic, whatever the options; time goes only forward and ids count up', () => {
  fc.assert(
    fc.property(anyConfig, (input) => {
      const planned = plan(input);
      expect(plan(input)).toEqual(planned);
      const times = planned.map(timeOf);
      expect(times).toEqual(times.toSorted((a, b) => a - b));
      expect(planned.map((line) => Number(line.split(' ')[1]))).toEqual(planned.map((_, index) => index + 1));
    }),
    { seed: 7, numRuns: 60 },
  );
});

test('a mote that waits for its windows never sends two different frames within two seconds', () => {
  fc.assert(
    fc.property(anyConfig, (input) => {
      const quiet = { retransmission: 0, replay: 0, bitflip: 0, foreign: 0 };
      const last = new Map<string, { at: number; bytes: string }>();
      for (const line of plan({ ...input, mac: 'answered', otaa: 0, attack: quiet })) {
        const [at = '', , , devEui = '', , , , bytes = ''] = line.split(' ');
        const before = last.get(devEui);
        if (before !== undefined) expect(Number(at) - before.at).toBeGreaterThan(2_000);
        last.set(devEui, { at: Number(at), bytes });
      }
    }),
    { seed: 8, numRuns: 40 },
  );
});
