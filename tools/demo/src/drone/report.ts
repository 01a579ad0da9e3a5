import type { DroneReport, DroneVerdict, LegFigures } from './verdict.ts';

const HEAD = [
  'leg',
  'edge',
  'cell',
  'window',
  'contract',
  'activated',
  'frames',
  'in',
  'out',
  'reduced',
  'gap',
];

const seconds = (ms: number): string => (ms / 1000).toFixed(1);
const kilobytes = (bytes: number): string => `${(bytes / 1000).toFixed(0)} kB`;
const ms = (value: number): string => (value < 0 ? 'never' : `${value} ms`);

function rowOf(leg: LegFigures, i: number): string[] {
  const { edge, cell, window, state, activatedMs, frames, bytesIn, bytesOut, gapMs } = leg;
  return [
    ...[String(i + 1), edge, cell, `${seconds(window.from)}..${seconds(window.until)} s`, state],
    ...[ms(activatedMs), String(frames), kilobytes(bytesIn), kilobytes(bytesOut)],
    bytesOut === 0 ? '-' : `${(bytesIn / bytesOut).toFixed(0)}x`,
    i === 0 ? '-' : `${gapMs} ms`,
  ];
}

/** The closing table, for a reader. */
export function droneTable({ legs, frames, repeated, cloud, money }: DroneReport): string[] {
  const rows = [HEAD, ...legs.map(rowOf)];
  const widths = HEAD.map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length)));
  const lines = rows.map((row) =>
    `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd(),
  );
  const { sent, acknowledged, atHome, lost, doubled, forged, dropped } = frames;
  return [
    ...lines,
    '',
    `  frames    sent ${sent}   acknowledged ${acknowledged}   at home ${atHome}   dropped ${dropped}`,
    `            lost ${lost}   doubled ${doubled}   forged ${forged}`,
    `  drone     attempts repeated ${repeated.failedAttempts}   waiting at most ${repeated.mostWaiting} frames`,
    `  cloud     taken ${cloud.taken}   again ${cloud.again}   refused ${cloud.refused}   by the handback alone ${cloud.homeOnly}`,
    `  money     ${money.before} before, ${money.after} after   the home edge paid ${money.paid}`,
  ];
}

/** The end of a flight, for a reader. */
export function droneClosing({ report, faults }: DroneVerdict, folder: string): string[] {
  return [
    '',
    ...droneTable(report),
    '',
    ...(report.ok
      ? ['Nothing lost, nothing doubled, nothing forged.']
      : ['The flight FAILED:', ...faults.map((one) => `  - ${one}`), `Logs and data: ${folder}`]),
  ];
}
