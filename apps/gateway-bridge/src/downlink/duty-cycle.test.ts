import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { eu868 } from '@antirio/lorawan';
import { openDutyCycle, type DutyCycle } from './duty-cycle.ts';

const GATEWAY = '00000000aabbccdd';
const RX1 = 868_100_000;
const RX2 = 869_525_000;
const HOUR = 3_600_000;

let folder = '';
let wall = 0;
let monotonic = 0;
let open: DutyCycle[] = [];
const clock = { now: () => wall, monotonic: () => monotonic };
const start = (): DutyCycle => {
  const account = openDutyCycle({ folder: join(folder, 'airtime'), plan: eu868, clock });
  open.push(account);
  return account;
};
const pass = (ms: number): void => {
  wall += ms;
  monotonic += ms;
};

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'airtime-'));
  [wall, monotonic] = [1_700_000_000_000, 5000];
});
afterEach(async () => {
  for (const account of open) await account.close();
  open = [];
  rmSync(folder, { recursive: true });
});

test("in no hour is a gateway longer on air than the band's part of it, and what fits is not refused", () => {
  const account = start();
  const step = fc.tuple(fc.nat(400_000), fc.integer({ min: 1, max: 2_500_000 }), fc.boolean());
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
      pass(2 * HOUR);
      const sent: { at: number; us: number }[] = [];
      for (const [gap, us, goes] of steps) {
        pass(gap);
        const lately = sent.filter(({ at }) => monotonic - at < HOUR).reduce((sum, one) => sum + one.us, 0);
        const taken = account.take(GATEWAY, RX1, us);
        expect(taken !== undefined).toBe(lately + us <= 36_000_000);
        if (taken !== undefined && goes) sent.push({ at: monotonic, us });
        else taken?.release();
      }
    }),
    { numRuns: 50 },
  );
});

test('bands and gateways have each their own', () => {
  const account = start();
  expect(account.take(GATEWAY, RX1, 36_000_000)).toBeDefined();
  expect(account.take(GATEWAY, RX1, 1)).toBeUndefined();
  expect(account.take(GATEWAY, RX2, 360_000_000)).toBeDefined();
  expect(account.take('00000000aabbccee', RX1, 1)).toBeDefined();
  expect(account.take(GATEWAY, 900_000_000, 1)).toBeUndefined();
  expect(account.loads(GATEWAY)).toEqual([
    { band: 'M', usedMs: 36_000, allowedMs: 36_000 },
    { band: 'P', usedMs: 360_000, allowedMs: 360_000 },
  ]);
  expect(account.all()).toHaveLength(3);
});

test('a start does not forget the last hour, nor what was not sent after all', async () => {
  const before = start();
  await before.take(GATEWAY, RX1, 20_000_000)?.durable;
  pass(HOUR / 2);
  const unsent = before.take(GATEWAY, RX1, 10_000_000);
  await unsent?.durable;
  unsent?.release();
  await before.take(GATEWAY, RX1, 6_000_000)?.durable;
  // as after a kill: nobody closes anything
  // monotonic time begins anew with the host
  pass(1000);
  monotonic = 7;
  const after = start();
  expect(after.loads(GATEWAY)).toEqual([{ band: 'M', usedMs: 26_000, allowedMs: 36_000 }]);
  expect(after.take(GATEWAY, RX1, 10_000_001)).toBeUndefined();
  pass(HOUR / 2);
  expect(after.loads(GATEWAY)).toEqual([{ band: 'M', usedMs: 6000, allowedMs: 36_000 }]);
});

test('a clock that was set back makes it count for longer, never for less', async () => {
  await start().take(GATEWAY, RX1, 36_000_000)?.durable;
  wall -= 10 * HOUR;
  const after = start();
  expect(after.take(GATEWAY, RX1, 1)).toBeUndefined();
  pass(HOUR);
  expect(after.take(GATEWAY, RX1, 1)).toBeDefined();
});

test('files of which nothing counts any more are removed', async () => {
  const account = start();
  const names = (): string[] => readdirSync(join(folder, 'airtime')).sort();
  for (let i = 0; i < 8; i++) {
    await account.take(GATEWAY, RX1, 1000)?.durable;
    pass(HOUR / 2);
    await account.tidy();
  }
  expect(names().length).toBeLessThanOrEqual(3);
  pass(2 * HOUR);
  await account.tidy();
  expect(names()).toHaveLength(1);
  expect(account.loads(GATEWAY)).toEqual([]);
});
