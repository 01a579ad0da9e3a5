import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Sabotage } from '@antirio/demo';
import { startDemos, type Demos } from './support/demos.ts';

/** What the demo must find wrong where that one check is missing from the product. */
const findings: Readonly<Record<Sabotage, RegExp>> = {
  dedupe: /\d+ doubled/,
  mic: /\d+ forged/,
  gapfill: /\d+ lost/,
  fence: /acted while epoch \d+ .* ruled/,
};
const sabotages = Object.keys(findings) as Sabotage[];

let demos: Demos;
beforeAll(() => {
  const plans = Object.fromEntries(sabotages.map((sabotage) => [sabotage, { sabotage }]));
  demos = startDemos(plans, (name) => ({ seed: `sabotage/${name}`, duration: 3 }));
});
afterAll(() => demos.end());

test.each(sabotages)('without the check `%s` the demo fails, and says why', async (sabotage) => {
  const { report, faults } = await demos.result(sabotage);
  expect(report.ok).toBe(false);
  expect(faults.join('\n')).toMatch(findings[sabotage]);
});
