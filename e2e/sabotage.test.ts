import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Sabotage } from '@antirio/demo';
import { startDemos, type Demos } from './support/demos.ts';

/** What the demo must find wrong where that one check is missing from the product. */
const findings: Readonly<Record<Sabotage, RegExp>> = {
  dedupe: /^ *- \d+ doubled: /m,
  mic: /^ *- \d+ forged: /m,
  gapfill: /^ *- \d+ lost: /m,
  fence: /^ *- downlink \d+ .* acted while epoch \d+ .* ruled/m,
};
const sabotages = Object.keys(findings) as Sabotage[];

let demos: Demos;
beforeAll(() => {
  const plans = Object.fromEntries(sabotages.map((sabotage) => [sabotage, { sabotage, asCommand: true }]));
  demos = startDemos(plans, (name) => ({ seed: `sabotage/${name}`, duration: 3 }));
});
afterAll(() => demos.end());

test.each(sabotages)('without the check `%s` the demo ends with 1, and says why', async (sabotage) => {
  const { report, faults, story, discard } = await demos.result(sabotage);
  // The command ended as its report says.
  expect([report.ok, faults]).toEqual([false, []]);
  expect(story).toMatch(findings[sabotage]);
  discard();
});
