import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { allEvents } from '../core-data.ts';
import { rest } from '../rest.ts';
import { MONEY } from '../result.ts';
import type { StoredEvent } from '../stored-events.ts';
import { DRONE, type Cast } from './cast.ts';
import { createFeed } from './feed.ts';
import { featuresOf } from './features.ts';
import { valuesOf } from './frame-event.ts';
import { CAMERA, type Flown } from './journey.ts';
import { milestonesOf, type ContractedLeg } from './legs.ts';

/** One leg as it was flown; -1 for what never was. */
export interface LegFigures {
  readonly edge: string;
  readonly cell: string;
  /** ms from the take-off. */
  readonly window: { readonly from: number; readonly until: number };
  readonly contract: string;
  readonly state: string;
  /** From the window's beginning until the edge reads. */
  readonly activatedMs: number;
  readonly frames: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Between the last frame that the edge before acknowledged and the first one here: negative where both did at once. */
  readonly gapMs: number;
  /** What came home at the end, and how much of it was there already. */
  readonly home: number;
}

export interface FrameFigures {
  readonly sent: number;
  readonly acknowledged: number;
  readonly dropped: number;
  readonly atHome: number;
  readonly lost: number;
  readonly doubled: number;
  readonly forged: number;
}

export interface DroneReport {
  readonly ok: boolean;
  readonly stream: 'http' | 'mqtt';
  readonly killed: boolean;
  readonly legs: readonly LegFigures[];
  readonly frames: FrameFigures;
  /** Of the drone: attempts that failed and were made again, and the most frames that waited at once. */
  readonly repeated: { readonly failedAttempts: number; readonly mostWaiting: number };
  /** What was forwarded while providers served; `homeOnly`: what came home by the handback alone. */
  readonly cloud: {
    readonly taken: number;
    readonly again: number;
    readonly refused: number;
    readonly malformed: number;
    readonly homeOnly: number;
  };
  readonly money: {
    readonly before: number;
    readonly after: number;
    readonly home: number;
    readonly paid: number;
  };
}

export interface DroneVerdict {
  readonly report: DroneReport;
  readonly faults: readonly string[];
}

type Values = Readonly<Record<string, string>>;

/** What the event of each frame must say, by the frame's sequence number. */
export type Expected = ReadonlyMap<string, Values>;

export function expectedOf(seed: string, captured: number): Expected {
  const feed = createFeed(seed, CAMERA.width, CAMERA.height);
  const sequences = Array.from({ length: captured }, (_, sequence) => sequence);
  return new Map(
    sequences.map((one) => [String(one), valuesOf(one, featuresOf(feed.picture(one)))] as const),
  );
}

function says({ readings }: StoredEvent, values: Values): boolean {
  const names = Object.keys(values);
  if (readings.length !== names.length) return false;
  return readings.every(({ resourceName, value }) => value === values[resourceName]);
}

/** By what the camera really saw: nobody's word that all is well counts. */
export function judgeFrames(
  events: readonly StoredEvent[],
  expected: Expected,
  { landed, acks }: Flown,
): FrameFigures {
  const times = new Map<string, number>();
  let forged = 0;
  for (const event of events) {
    // not by the event's id: a second event of one frame would have another one
    const sequence = event.readings.find(({ resourceName }) => resourceName === 'Sequence')?.value ?? '';
    const values = expected.get(sequence);
    if (values === undefined || !says(event, values)) forged += 1;
    else times.set(sequence, (times.get(sequence) ?? 0) + 1);
  }
  const doubled = [...times.values()].filter((count) => count > 1).length;
  return {
    sent: landed.captured,
    acknowledged: new Set(acks.map(({ sequence }) => sequence)).size,
    dropped: landed.dropped,
    atHome: times.size,
    lost: expected.size - times.size,
    doubled,
    forged,
  };
}

const contractSchema = z.looseObject({
  value: z.looseObject({ life: z.looseObject({ state: z.string() }) }),
});
const accountSchema = z.looseObject({ value: z.looseObject({ balance: z.int() }) });
const cloudSchema = z.object({ taken: z.int(), again: z.int(), refused: z.int(), malformed: z.int() });

async function legFigures(
  { central, home }: Cast,
  leg: ContractedLeg,
  i: number,
  { acks }: Flown,
  takeOffAt: number,
): Promise<LegFigures> {
  const { contractId, edge, cell, window } = leg;
  const ledger = `${central.url('ledger')}/ledger/v1/state/contract/${contractId}`;
  const { state } = (await rest(contractSchema, ledger)).value.life;
  const opened = (await milestonesOf(edge, contractId)).get('opened');
  const own = acks.filter((ack) => ack.leg === i);
  const before = acks.filter((ack) => ack.leg < i);
  const first = Math.min(...own.map(({ ackedAt }) => ackedAt));
  const last = Math.max(...before.map(({ ackedAt }) => ackedAt));
  const gap = first - last;
  return {
    ...{ edge: edge.title, cell, contract: contractId, state },
    window: { from: window.from - takeOffAt, until: window.until - takeOffAt },
    activatedMs: opened === undefined ? -1 : Math.round(opened - window.from),
    frames: own.length,
    bytesIn: own.reduce((sum, { bytes }) => sum + bytes, 0),
    bytesOut: own.reduce((sum, { eventBytes }) => sum + eventBytes, 0),
    gapMs: Number.isFinite(gap) ? Math.round(gap) : 0,
    home: (await homeOf(home, leg.demandId)) ?? 0,
  };
}

const demandsSchema = z.array(
  z.looseObject({ id: z.string(), home: z.looseObject({ events: z.int() }).optional() }),
);

async function homeOf(home: Cast['home'], demandId: string): Promise<number | undefined> {
  const url = `${home.url('orchestrator')}/orchestrator/service_customer/contract/testing`;
  return (await rest(demandsSchema, url)).find(({ id }) => id === demandId)?.home?.events;
}

async function moneyOf({ central, home, edges }: Cast): Promise<DroneReport['money']> {
  const balanceOf = async (edgeId: string): Promise<number> => {
    const url = `${central.url('ledger')}/ledger/v1/state/account/${edgeId}`;
    return (await rest(accountSchema, url)).value.balance;
  };
  const all = [home, ...edges];
  const balances = await Promise.all(all.map(({ edgeId }) => balanceOf(edgeId)));
  const [own = 0] = balances;
  return {
    before: all.length * MONEY.opening,
    after: balances.reduce((sum, balance) => sum + balance, 0),
    home: own,
    paid: MONEY.opening - own,
  };
}

const fault = (isWrong: boolean, text: string): string[] => (isWrong ? [text] : []);

function faultsOf({ frames, legs, money, killed, cloud }: Omit<DroneReport, 'ok'>): string[] {
  const { sent, acknowledged, dropped, lost, doubled, forged } = frames;
  const stray = legs.filter(({ frames: own }) => own === 0).map(({ edge }) => edge);
  const open = legs.filter(({ state }) => state !== 'SETTLED').map(({ edge, state }) => `${edge} ${state}`);
  const owed = legs.length * MONEY.customerStake;
  return [
    ...fault(sent === 0, 'the drone sent nothing'),
    ...fault(acknowledged !== sent, `${sent - acknowledged} of ${sent} frames were never acknowledged`),
    ...fault(dropped > 0, `${dropped} frames did not fit into the drone's buffer`),
    ...fault(lost > 0, `${lost} frames are not at home`),
    ...fault(doubled > 0, `${doubled} frames are at home more than once`),
    ...fault(forged > 0, `${forged} events at home are of no frame`),
    ...fault(cloud.taken === 0, 'nothing was forwarded to the cloud'),
    ...fault(cloud.malformed > 0, `${cloud.malformed} bodies that came to the cloud were no events`),
    ...fault(stray.length > 0, `no frame was sent to ${stray.join(', ')}`),
    ...fault(open.length > 0, `not settled: ${open.join(', ')}`),
    ...fault(money.before !== money.after, `money: ${money.before} before, ${money.after} after`),
    ...fault(!killed && money.paid !== owed, `the home edge paid ${money.paid}, should be ${owed}`),
  ];
}

/** Ids in the cloud's file. */
function cloudIds(file: string): Set<string> {
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
  return new Set(lines.map((line) => (JSON.parse(line) as { event: { id: string } }).event.id));
}

/** The verdict on a flight, by the camera's truth, the home edge's core-data and the ledger. */
export async function judgeFlight(
  cast: Cast,
  legs: readonly ContractedLeg[],
  flown: Flown,
  takeOffAt: number,
): Promise<DroneVerdict> {
  const { options, home, cloudUrl, cloudFile } = cast;
  const expected = expectedOf(options.seed, flown.landed.captured);
  const events = (await allEvents(home, [DRONE])).filter(({ deviceName }) => deviceName === DRONE);
  const inCloud = cloudIds(cloudFile);
  const { failedAttempts, mostWaiting } = flown.landed;
  const figures = {
    stream: options.stream,
    killed: options.kill,
    legs: await Promise.all(legs.map((leg, i) => legFigures(cast, leg, i, flown, takeOffAt))),
    frames: judgeFrames(events, expected, flown),
    repeated: { failedAttempts, mostWaiting },
    cloud: {
      ...(await rest(cloudSchema, cloudUrl)),
      homeOnly: events.filter(({ id }) => !inCloud.has(id)).length,
    },
    money: await moneyOf(cast),
  };
  const faults = faultsOf(figures);
  return { report: { ok: faults.length === 0, ...figures }, faults };
}
