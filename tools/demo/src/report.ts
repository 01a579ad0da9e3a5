import type { DemoReport, DemoResult } from './result.ts';

const LABEL_WIDTH = 14;

const line = (label: string, text: string): string => `  ${label.padEnd(LABEL_WIDTH)}${text}`;
const pairs = (values: Readonly<Record<string, number>>): string =>
  Object.entries(values)
    .map(([name, value]) => `${name} ${value}`)
    .join('   ');
const ms = (value: number): string => (value < 0 ? 'never' : `${value} ms`);

/** The closing table, for a reader. */
export function tableOf(report: DemoReport): string[] {
  const { uplinks, refused, takeoverMs, handback, settlement } = report;
  const { lost, doubled, forged, ...counted } = uplinks;
  const { paid, stakes, balances } = settlement;
  return [
    line('uplinks', pairs(counted)),
    line('', pairs({ lost, doubled, forged })),
    line('refused', pairs({ ...refused })),
    line(
      'takeover',
      `detected ${ms(takeoverMs.detected)}   activated ${ms(takeoverMs.activated)}   first new reading ${ms(takeoverMs.firstReading)}`,
    ),
    line('handback', pairs({ ...handback })),
    line(
      'settlement',
      `${settlement.state}   paid to provider ${paid.provider}, to customer ${paid.customer}   stakes ${pairs(stakes)}`,
    ),
    line('', `balances: A ${balances.customer}   B ${balances.provider}`),
  ];
}

/** The end of a run, for a reader. */
export function closingOf(result: DemoResult): string[] {
  const { report, faults, folder, kept, directions } = result;
  return [
    '',
    ...tableOf(report),
    '',
    ...(report.ok
      ? ['Nothing lost, nothing doubled, nothing forged.']
      : ['The demo FAILED:', ...faults.map((one) => `  - ${one}`)]),
    ...(kept ? [`Logs and data: ${folder}`] : []),
    ...directions,
  ];
}
