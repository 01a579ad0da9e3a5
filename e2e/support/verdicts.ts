import { expect } from '@jest/globals';
import { z } from 'zod';
import { FAILURES, type FailureKind } from '@antirio/demo';
import type { Outcome } from './demos.ts';

const count = z.int().min(0);
const some = z.int().min(1);

/** What `--json` prints: these keys and no others, integers throughout. */
export const reportSchema = z.strictObject({
  ok: z.boolean(),
  uplinks: z.strictObject({
    sent: some,
    heard: some,
    covered: some,
    unacknowledged: count,
    stored: some,
    lost: count,
    doubled: count,
    forged: count,
  }),
  refused: z.strictObject({ replay: count, badMic: count, foreign: count, retransmission: count }),
  takeoverMs: z.strictObject({ detected: z.int(), activated: z.int(), firstReading: z.int() }),
  handback: z.strictObject({ devices: count, readings: count, gaps: count }),
  settlement: z.strictObject({
    state: z.string(),
    paid: z.strictObject({ provider: count, customer: count }),
    stakes: z.strictObject({ held: count, returned: count, forfeited: count }),
    balances: z.strictObject({ customer: count, provider: count }),
  }),
});

/** Nothing lost, doubled or forged, hostile frames refused, a takeover that was honoured and paid. */
export function expectHonoured(report: unknown): void {
  const { uplinks, refused, takeoverMs, handback, ...rest } = reportSchema.parse(report);
  expect(rest).toEqual({
    ok: true,
    settlement: {
      state: 'SETTLED',
      paid: { provider: 100, customer: 0 },
      stakes: { held: 200, returned: 100, forfeited: 0 },
      balances: { customer: 900, provider: 1_100 },
    },
  });
  expect(uplinks).toMatchObject({ lost: 0, doubled: 0, forged: 0 });
  expect(uplinks.heard).toBe(uplinks.covered + uplinks.unacknowledged);
  expect(uplinks.heard).toBeLessThanOrEqual(uplinks.sent);
  // More may be stored than was acknowledged: an edge may die between the two.
  expect(uplinks.stored).toBeGreaterThanOrEqual(uplinks.covered);
  for (const times of [...Object.values(refused), ...Object.values(takeoverMs)])
    expect(times).toBeGreaterThan(0);
  expect(handback.devices).toBeGreaterThan(0);
  expect(handback.readings).toBeGreaterThan(0);
}

/** Throws where a demo found fault; a broken promise is told as such, for it is not to be tried again until it is kept. */
function expectNoFaults({ report, faults, story }: Outcome): void {
  if (report.ok && faults.length === 0) return;
  const { lost, doubled, forged } = report.uplinks;
  const isBroken = lost + doubled + forged > 0 || faults.some((fault) => / acted while epoch /.test(fault));
  throw new Error(`${isBroken ? 'broken promise: ' : ''}${faults.join('\n')}\n\n${story}`);
}

/** The same for a planned demo; where it failed, why, its story and where its logs are. */
export function expectWentWell(outcome: Outcome): void {
  expectNoFaults(outcome);
  expectHonoured(outcome.report);
}

/** For what nobody is to take over, or need not: the contract lives on as it was, or everything went the way of a takeover. */
export function expectStayedWell(outcome: Outcome, kind: FailureKind = 'sigkill'): void {
  expectNoFaults(outcome);
  const { report } = outcome;
  const { uplinks, settlement } = reportSchema.parse(report);
  expect(uplinks).toMatchObject({ lost: 0, doubled: 0, forged: 0 });
  expect(uplinks.stored).toBeGreaterThanOrEqual(uplinks.covered);
  const ends =
    FAILURES[kind] === 'either' ? ['READY', 'READY_EXPOSED', 'SETTLED'] : ['READY', 'READY_EXPOSED'];
  expect(ends).toContain(settlement.state);
  if (settlement.state === 'SETTLED') expectHonoured(report);
}
