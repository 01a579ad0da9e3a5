import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { FAILURE_KINDS, type DemoOptions, type FailureKind } from './options.ts';
import type { DemoReport } from './result.ts';

/** What a run of one cell came to, as a line of a table in a document. */
export interface Cell {
  readonly kill: string;
  readonly standby: string;
  readonly runtime: string;
  readonly figures: readonly string[];
}

/** What one sees when it happens, and why. */
const STORIES: Readonly<Record<FailureKind, string>> = {
  sigkill: 'Edge A dies and is started again while edge B serves.',
  freeze: 'Edge A is frozen and goes on later as if nothing had been: its fence refuses what is too late.',
  partition:
    'Edge A is cut off from edge B and the centre, not from its gateway: it collects on, and loses its lease.',
  'one-way':
    'Only what edge A sends is lost, or only what it is sent (the seed decides): beats without a fresh nonce are no sign of life, and no lease comes.',
  arbitrator:
    'Edge A acts on without the centre, by the promise of edge B, and then dies too. Nobody may open keys then: edge B collects, and takes over 6 s later, when the centre is back.',
  'old-backup':
    'Edge A dies, and comes back with a backup of its disk that is 4 s old: what it acknowledged since comes from edge B; what nobody but edge A heard is gone with the disk, and not counted.',
  loss: 'Three datagrams in ten from and to edge A are lost for 10 s: beats are missed, probes tell that it lives.',
  delay:
    'What goes from and to edge A takes half a second longer, each way. At the change beats stop for as long, and no probe is answered in time: keys may be opened (and are exposed then), but edge A keeps its lease and its epoch.',
  clock:
    'The wall clock of edge A jumps by an hour, forwards or backwards (the seed decides), and back: no duration goes by it.',
  broker:
    'The broker of edge A, a process of its own here, is killed for 10 s: no beat and no lease request leaves. Frames are in the ring before they are acknowledged.',
  'dead-bridge':
    'The gateway-bridge of edge A, a process of its own here, dies and stays dead, while its arbitrator lives and beats. Edge A says `room` after 5 s here (`deaf.forMs`, 60 s by default), and is taken over; detected is from the kill on.',
  'disk-full':
    'The disk of edge A is full to the last byte for 10 s: it acknowledges nothing that it cannot keep, and gives its word for edge B, which has heard it and takes over while the disk is full. With room again edge A writes down what it did and takes its sensors back.',
  'provider-frozen':
    'Edge A dies, edge B serves and is frozen for some seconds, and serves on under its epoch. Then it is frozen again and edge A comes back: that takes its sensors when the lease of edge B has ended, and edge B, which wakes as if nothing had been, puts nothing on air any more.',
  'provider-cut':
    'The same with edge B cut off from edge A and the centre, not from its gateway: without a lease it puts nothing on air, whatever it is told to send, and collects on; what it alone heard comes home once the way is there again.',
  'two-providers':
    'Edges B and C both insure the same sensors. Edge A dies, and one of them takes the epoch; then that one dies too, and the other takes the next. All come back, and both contracts are paid.',
  autonomous:
    'Edge B has the whole key. Edge A dies while the centre is dead: edge B reads, and the centre is started again only after that; then edge B takes the epoch.',
  'centre-frozen':
    'As `arbitrator`, but the centre is frozen and wakes again: calls to it hang meanwhile, and what it was sent it hears late. Then it is frozen once more, while edge B serves: that falls silent when its lease has ended, and acts again when the centre is back.',
  'key-holders':
    'The centre and two more edges hold shares of the keys, any two of which open them. One of the edges dies before edge A does.',
  flapping:
    'Edge A fails three times, and once more in its back-off: each time it waits at least twice as long before it takes its sensors back, and edge B takes over once for each failure.',
  'max-active':
    'Edge A stays away for longer than edge B may act for it (a minute here): edge B gives the epoch back, collects on without a frame on air, and edge A finds everything when it is back.',
};

const HEADER = [
  ...['failure', 'standby', 'runtime', 'detected', 'first reading', 'acts from', 'covered'],
  ...['lost', 'doubled', 'forged', 'contract'],
];
const KEYS = 3;

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
const ms = (value: number): string => (value < 0 ? '-' : `${value} ms`);

/** `lab`: every service is in a container and a network namespace of its own. */
type Place = DemoOptions['runtime'] | 'lab';

export function cellOf(
  { kill, standby, runtime }: Pick<DemoOptions, 'kill' | 'standby'> & { readonly runtime: Place },
  { takeoverMs, uplinks, settlement }: DemoReport,
): Cell {
  const times = [takeoverMs.detected, takeoverMs.firstReading, takeoverMs.activated].map(ms);
  const { covered, lost, doubled, forged } = uplinks;
  const counts = [covered, lost, doubled, forged].map(String);
  return { kill, standby, runtime, figures: [...times, ...counts, settlement.state] };
}

/** The cells of a document that was written by `documentOf`. */
export function cellsIn(document: string): Cell[] {
  return document.split('\n').flatMap((line) => {
    const cells = line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim());
    const [kill = '', standby = '', runtime = '', ...figures] = cells;
    const isOurs = figures.length === HEADER.length - KEYS && FAILURE_KINDS.includes(kill as FailureKind);
    return isOurs ? [{ kill, standby, runtime, figures }] : [];
  });
}

const keyOf = ({ kill, standby, runtime }: Cell): string =>
  [String(FAILURE_KINDS.indexOf(kill as FailureKind)).padStart(2, '0'), runtime, standby].join('/');

/** One line for each cell, the newer where there are two, in the order of the failures. */
export function merged(older: readonly Cell[], newer: readonly Cell[]): Cell[] {
  const byKey = new Map([...older, ...newer].map((cell) => [keyOf(cell), cell]));
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, cell]) => cell);
}

export function documentOf(cells: readonly Cell[]): string {
  const stories = FAILURE_KINDS.map((kind) => `- \`${kind}\`: ${STORIES[kind]}`);
  const rows = cells.map(({ kill, standby, runtime, figures }) => row([kill, standby, runtime, ...figures]));
  return [
    '# What happens when',
    '',
    'Written by `npm run matrix -- --markdown docs/fault-matrix.md`, from runs with real processes, sockets, disks and containers: each line is the newest run of its',
    'cell, on a machine that did other work too. Times count from the failure; `acts from` is when edge B holds the epoch durably (it acts about 3 s later, when nothing',
    'that edge A sent can be on air any more). `covered` are uplinks that an edge acknowledged to its gateway. A dash: edge B did not take over, and edge A went on.',
    "Links between the parties go through a proxy that loses, delays and cuts; the full disk is a small file system, the stepped clock is Debian's `faketime`. Where the",
    'runtime is `lab`, every service was in a container and a network namespace of its own, where the kernel itself dropped what was cut or lost, of streams too',
    '(`npm run lab -- handover --kill partition --markdown docs/fault-matrix.md`).',
    '',
    ...stories,
    '',
    row(HEADER),
    row(HEADER.map(() => '---')),
    ...rows,
    '',
  ].join('\n');
}

/** What went well stands in the document at once, so that an interrupted matrix is not for nothing. */
export function record(file: string, cell: Cell): void {
  const before = existsSync(file) ? cellsIn(readFileSync(file, 'utf8')) : [];
  writeFileSync(file, documentOf(merged(before, [cell])));
}
