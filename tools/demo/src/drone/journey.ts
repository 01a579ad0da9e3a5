import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { portOf } from '@antirio/testing/port-offsets';
import { talkWith, type Tool } from '../command-line-process.ts';
import { DemoError } from '../errors.ts';
import { restIfThere } from '../rest.ts';
import { waitFor, type Look, type Waiter } from '../wait.ts';
import { DRONE, SERVICE, type Cast } from './cast.ts';
import { demandOf, type ContractedLeg } from './legs.ts';
import type { FlightPlan } from './plan.ts';

/** What the camera sees. */
export const CAMERA = { width: 320, height: 240 } as const;
const BUFFER_FRAMES = 2_000;
const UNDER_WAY = 4;
const PATIENCE_MS = 45_000;
const LOOK_MS = 200;
const START_MS = 120_000;
const SETTLE_MS = 120_000;

const handedSchema = z.looseObject({
  leg: z.int(),
  at: z.number(),
  from: z.int().optional(),
  overlapped: z.boolean(),
});

const landedSchema = z.looseObject({
  captured: z.int(),
  acknowledged: z.int(),
  dropped: z.int(),
  left: z.int(),
  failedAttempts: z.int(),
  mostWaiting: z.int(),
  handed: z.array(handedSchema),
});
export type Landed = z.output<typeof landedSchema>;

const ackSchema = z.object({
  sequence: z.int(),
  leg: z.int(),
  capturedAt: z.number(),
  ackedAt: z.number(),
  bytes: z.int(),
  eventBytes: z.int(),
});
export type Ack = z.output<typeof ackSchema>;

/** What the flight left behind. */
export interface Flown {
  readonly landed: Landed;
  readonly acks: readonly Ack[];
}

/** Central first, then all edges at once. */
export async function raiseCast({ central, home, edges }: Cast, waiter: Waiter): Promise<void> {
  await central.start();
  await central.answering(waiter, START_MS);
  const all = [home, ...edges];
  await Promise.all(all.map((node) => node.start()));
  await Promise.all(all.map((node) => node.answering(waiter, START_MS)));
}

function planOf(
  { keys, options, route, folder }: Cast,
  legs: readonly ContractedLeg[],
  takeOffAt: number,
): FlightPlan {
  return {
    drone: DRONE,
    ...keys,
    seed: options.seed,
    serviceName: SERVICE,
    ...CAMERA,
    framesPerSecond: options.fps,
    speed: route.speed,
    routeLength: route.length,
    stream: options.stream,
    bufferFrames: BUFFER_FRAMES,
    underWay: UNDER_WAY,
    patienceMs: PATIENCE_MS,
    takeOffAt,
    legs: legs.map(({ contractId, edge }, i) => ({
      name: edge.title,
      contractId,
      reach: route.legs[i]?.reach ?? { from: 0, until: 0 },
      url: edge.url('orchestrator'),
      mqttUrl: `mqtt://127.0.0.1:${portOf('broker', edge.offset)}`,
    })),
    logFile: path.join(folder, 'acknowledged.jsonl'),
  };
}

/** Tells each change of edges while the drone flies. */
async function tellChanges(tool: Tool, { stage }: Waiter, legs: readonly ContractedLeg[], over: AbortSignal) {
  while (!over.aborted)
    try {
      const { leg, from, overlapped } = handedSchema.parse(await tool.next('handed', 600_000));
      const how =
        from === undefined
          ? ''
          : overlapped
            ? ', while the one before still serves'
            : ', nobody served before';
      stage.milestone(`the drone streams to ${legs[leg]?.edge.title ?? '?'}${how}`);
    } catch {
      // the drone has landed, or ended: whoever waits for that is told
      return;
    }
}

export interface Strike {
  readonly leg: number;
  readonly at: number;
  readonly backAt: number;
}

/** SIGKILL in the middle of the middle leg; started again when the drone is past it. */
async function killOnTheWay(cast: Cast, waiter: Waiter, legs: readonly ContractedLeg[], takeOffAt: number) {
  const { options } = cast;
  const leg = Math.floor((legs.length - 1) / 2);
  const edge = legs[leg]?.edge;
  if (!options.kill || edge === undefined) return undefined;
  const legMs = options.leg * 1000;
  const at = takeOffAt + (leg + 0.5) * legMs;
  await sleep(Math.max(0, at - Date.now()));
  await edge.kill();
  waiter.stage.milestone(`${edge.title} is killed in the middle of its leg`);
  const backAt = takeOffAt + (leg + 1.5) * legMs;
  await sleep(Math.max(0, backAt - Date.now()));
  await edge.start();
  waiter.stage.milestone(`${edge.title} is started again`);
  return { leg, at, backAt } satisfies Strike;
}

/** Rejects when the demo is interrupted or a process ended by itself: nobody waits for the landing then. */
async function untilEnded({ check }: Waiter, over: AbortSignal): Promise<never> {
  for (;;) {
    await sleep(LOOK_MS, undefined, { signal: over }).catch(() => undefined);
    if (over.aborted) return new Promise<never>(() => undefined);
    check();
  }
}

function acksIn(file: string): Ack[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => ackSchema.parse(JSON.parse(line)));
}

/** The drone flies the route, a process of its own. */
export async function flyRoute(
  cast: Cast,
  waiter: Waiter,
  legs: readonly ContractedLeg[],
  takeOffAt: number,
): Promise<Flown> {
  const plan = planOf(cast, legs, takeOffAt);
  const file = path.join(cast.folder, 'plan.json');
  writeFileSync(file, JSON.stringify(plan), { mode: 0o600 });
  const main = path.join(import.meta.dirname, 'drone-process.ts');
  const own = await cast.processes.start({ name: 'drone', args: [main, file], talks: true });
  const tool = talkWith(own);
  const flightMs = takeOffAt - Date.now() + (1000 * plan.routeLength) / plan.speed;
  const over = new AbortController();
  const telling = tellChanges(tool, waiter, legs, over.signal);
  const landing = tool.next('landed', Math.max(0, flightMs) + PATIENCE_MS + 30_000);
  const wholeFlight = Promise.all([landing, killOnTheWay(cast, waiter, legs, takeOffAt)]);
  const [landed] = await Promise.race([wholeFlight, untilEnded(waiter, over.signal)]);
  over.abort();
  own.signal('SIGTERM');
  await own.ended;
  await telling;
  return { landed: landedSchema.parse(landed), acks: acksIn(plan.logFile) };
}

const contractState = z.looseObject({ value: z.looseObject({ life: z.looseObject({ state: z.string() }) }) });

async function whatIsLeft(cast: Cast, legs: readonly ContractedLeg[]): Promise<string[]> {
  const left = await Promise.all(
    legs.map(async ({ demandId, contractId, edge }) => {
      const url = `${cast.central.url('ledger')}/ledger/v1/state/contract/${contractId}`;
      const state = (await restIfThere(contractState, url))?.value.life.state ?? 'none';
      const { state: demand, progress } = await demandOf(cast, demandId);
      if (demand === 'FAILED') throw new DemoError('badAnswer', `the demand for ${edge.title} has failed`);
      const home = progress['home'];
      return demand === 'ENDED'
        ? []
        : [`${edge.title} ${state}, ${demand}${home === undefined ? '' : ` (${home})`}`];
    }),
  );
  return left.flat();
}

/** Until every contract is over, and what its edge has stored is at home. */
export async function settleLegs(cast: Cast, waiter: Waiter, legs: readonly ContractedLeg[]): Promise<void> {
  await waitFor<true>(waiter, {
    subject: 'the contracts are settled, and all events at home',
    withinMs: SETTLE_MS,
    everyMs: 250,
    look: async (): Promise<Look<true>> => {
      const left = await whatIsLeft(cast, legs);
      return left.length === 0 ? { found: true } : { seen: left.join('; ') };
    },
  });
}
