import { Writable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { closingOf, tableOf } from './report.ts';
import { settlementFaults, takeoverFaults, type DemoReport } from './result.ts';
import { handbackOf, settlementOf } from './settlement.ts';
import { createStage } from './stage.ts';

const stakes = { customer: 100, provider: 100 };
const after = { customer: 900, provider: 1_100 };
const honoured = settlementOf(
  {
    life: { state: 'SETTLED' },
    escrow: { customer: 0, provider: 0 },
    settlement: { row: 'honoured', paid: { customer: 0, provider: 200 } },
  },
  stakes,
  after,
);

const report: DemoReport = {
  ok: true,
  uplinks: {
    sent: 400,
    heard: 396,
    covered: 395,
    unacknowledged: 1,
    stored: 395,
    lost: 0,
    doubled: 0,
    forged: 0,
  },
  refused: { replay: 18, badMic: 20, foreign: 21, retransmission: 19 },
  takeoverMs: { detected: 741, activated: 3_120, firstReading: 902 },
  handback: { devices: 20, readings: 120, gaps: 9 },
  settlement: honoured,
};

describe('the settlement', () => {
  test('of an honoured takeover pays P to the provider and gives Q back', () => {
    expect(honoured).toEqual({
      state: 'SETTLED',
      paid: { provider: 100, customer: 0 },
      stakes: { held: 200, returned: 100, forfeited: 0 },
      balances: after,
    });
    expect(settlementFaults(honoured)).toEqual([]);
  });

  test.each([
    [
      'providerBreach',
      { customer: 200, provider: 0 },
      { provider: 0, customer: 100 },
      { returned: 100, forfeited: 100 },
    ],
    [
      'undecided',
      { customer: 100, provider: 100 },
      { provider: 0, customer: 0 },
      { returned: 200, forfeited: 0 },
    ],
  ])('by the row %s is told as it was, and is not right', (row, out, paid, became) => {
    const figures = settlementOf(
      { life: { state: 'SETTLED' }, escrow: { customer: 0, provider: 0 }, settlement: { row, paid: out } },
      stakes,
      { customer: 1_000, provider: 1_000 },
    );
    expect(figures).toMatchObject({ paid, stakes: { held: 200, ...became } });
    expect(settlementFaults(figures).length).toBeGreaterThan(0);
  });

  test('that has not come is not right', () => {
    const open = settlementOf({ life: { state: 'ACTIVE' }, escrow: stakes }, stakes, {
      customer: 900,
      provider: 900,
    });
    expect(open.stakes).toEqual({ held: 200, returned: 0, forfeited: 0 });
    expect(settlementFaults(open).join()).toContain('state is "ACTIVE"');
  });

  test("sums a statement's devices", () => {
    const device = { count: 7, gaps: 2 };
    expect(handbackOf({ statement: { devices: [device, device] } })).toEqual({
      devices: 2,
      readings: 14,
      gaps: 4,
    });
    expect(handbackOf(undefined)).toEqual({ devices: 0, readings: 0, gaps: 0 });
  });
});

test('a takeover without detection, activation or readings is a fault', () => {
  const never = { detected: -1, activated: -1, firstReading: -1 };
  expect(takeoverFaults(never, { devices: 0, readings: 0, gaps: 0 })).toHaveLength(4);
  expect(takeoverFaults(report.takeoverMs, report.handback)).toEqual([]);
});

test('the table has every figure, and a failed run says why and where its logs are', () => {
  const table = tableOf(report).join('\n');
  for (const text of [
    'sent 400',
    'covered 395',
    'lost 0',
    'badMic 20',
    'detected 741 ms',
    'readings 120',
    'A 900   B 1100',
  ])
    expect(table).toContain(text);
  const failed = { report: { ...report, ok: false }, faults: ['1 lost: x'], kills: [] };
  const result = { ...failed, folder: '/tmp/demo', kept: true, directions: ['Still running:'] };
  const closing = closingOf(result).join('\n');
  expect(closing).toContain('FAILED');
  expect(closing).toContain('1 lost: x');
  expect(closing).toMatch(/\/tmp\/demo\nStill running:$/);
});

describe('the stage', () => {
  function show(terminal: boolean): {
    text: () => string;
    stage: ReturnType<typeof createStage>;
    pass: (ms: number) => void;
  } {
    let written = '';
    let now = 0;
    const output = new Writable({
      write(chunk: Buffer, _encoding, done) {
        written += chunk.toString();
        done();
      },
    });
    return {
      stage: createStage({ output, terminal, now: () => now }),
      text: () => written,
      pass: (ms) => (now += ms),
    };
  }

  test('has colours and rewritten lines on a terminal only', () => {
    const { stage, text } = show(true);
    stage.waiting('READY: preparing');
    stage.milestone('ready', 12.4);
    expect(text()).toContain('\u001b[');
    expect(text()).toContain('(+12 ms)');
    const plain = show(false);
    plain.stage.waiting('READY: preparing');
    plain.stage.milestone('ready', 12.4);
    // eslint-disable-next-line no-control-regex -- that there are none is what is tested
    expect(plain.text()).not.toMatch(/[\u001b\r]/);
  });

  test('tells a long wait now and then where lines cannot be rewritten', () => {
    const { stage, text, pass } = show(false);
    for (let i = 0; i < 120; i++) {
      stage.waiting(`READY: step ${String(i)}`);
      pass(100);
    }
    expect(
      text()
        .split('\n')
        .filter((line) => line.includes('READY')),
    ).toHaveLength(2);
  });
});
