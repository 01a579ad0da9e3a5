import { closeSync, cpSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultsInput } from '@antirio/fault-proxy';
import { z } from 'zod';
import { letPass } from './contract.ts';
import { OWN_ACT, downlinksOnAir } from './downlinks.ts';
import { isStory, type FailureKind, type StoryKind } from './options.ts';
import { clockFile } from './owner-process.ts';
import { GATEWAYS, gatewayOf } from './radio.ts';
import { rest } from './rest.ts';
import { draw, type ContractedRun, type Run } from './run.ts';
import { waitFor } from './wait.ts';
import type { AnyParty } from './network.ts';
import type { PartyNode } from './nodes.ts';
import type { Disturbance } from './uplink-verdict.ts';

/** A failure under way. */
export interface Failure {
  /** When the signal or the cut took effect, monotonic ms. */
  readonly at: number;
  /** Starts, wakes or joins it again; resolves when it takes its gateway's frames again. */
  end(): Promise<void>;
}

const ANSWER_MS = 90_000;

/** While an edge is down, its gateway finds nobody; the returned function says when that was over. */
function disturb(run: Run, party: AnyParty, from: number): (until: number) => void {
  const gateway = gatewayOf(party);
  if (gateway === undefined) return () => undefined;
  const open: { gateway: string; from: number; until: number } = { gateway, from, until: Infinity };
  run.disturbances.push(open satisfies Disturbance);
  return (until) => (open.until = until);
}

/** Brings it about at once, and says what ends it; that is over once the party answers again. */
interface Stroke {
  readonly strike: () => void | Promise<void>;
  readonly mend: () => void | Promise<void>;
  /** So long after its answer frames may still go unacknowledged, ms. */
  readonly settlesMs?: number;
}

async function fail(run: Run, node: PartyNode, { strike, mend, settlesMs = 0 }: Stroke): Promise<Failure> {
  const { now } = run.waiter;
  const at = now();
  const over = disturb(run, node.party, at);
  await strike();
  return {
    at,
    async end() {
      await mend();
      await node.answering(run.waiter, ANSWER_MS);
      over(now() + settlesMs);
    },
  };
}

/** Kills a party's process as an operating system does. */
export async function killParty(run: Run, node: PartyNode): Promise<Failure> {
  run.kills.push({ party: node.party, at: run.waiter.now() });
  return fail(run, node, { strike: () => node.kill(), mend: () => node.start() });
}

/** Ends a party's process as an operating system that shuts down does: what it says last comes before. It acknowledges until it has stopped. */
export async function terminateParty(run: Run, node: PartyNode): Promise<Failure> {
  return fail(run, node, { strike: () => node.terminate(), mend: () => node.start() });
}

/** Stops a party's process where it is; it goes on as if nothing had been. */
export async function freezeParty(run: Run, node: PartyNode): Promise<Failure> {
  return fail(run, node, { strike: () => node.freeze(), mend: () => node.thaw() });
}

async function partition(run: ContractedRun, node: PartyNode): Promise<Failure> {
  const at = run.waiter.now();
  await run.network.cutOff(node.party);
  // Its gateway is on its side of the cut: nothing there may go unacknowledged.
  return { at, end: () => run.network.heal(node.party) };
}

/** What edge A sends is lost, or what it is sent: that the seed decides. */
async function cutOneWay(run: ContractedRun, { party }: PartyNode): Promise<Failure> {
  const { network, waiter } = run;
  const which = draw(run, 'one-way', 0, 1) < 0.5 ? 'outgoing' : 'incoming';
  waiter.stage.milestone(`edge A: only what is ${which} is cut`);
  const at = waiter.now();
  await network.cutOneWay(party, which);
  return { at, end: () => network.heal(party) };
}

const SHARE_LOST = 0.3;
const SLOW_MS = 500;

async function worsen(run: ContractedRun, { party }: PartyNode, faults: FaultsInput): Promise<Failure> {
  const at = run.waiter.now();
  await run.network.worsen(party, faults);
  return { at, end: () => run.network.heal(party) };
}

const HOUR_MS = 3_600_000;

/** The wall clock jumps by an hour, forwards or backwards as the seed decides, and back. */
function stepClock(run: ContractedRun, { folder }: PartyNode): Failure {
  const step = draw(run, 'clock', 0, 1) < 0.5 ? HOUR_MS : -HOUR_MS;
  const set = (ms: number): void => {
    // Renamed into place, for it is read at any time.
    writeFileSync(`${clockFile(folder)}.new`, `${ms < 0 ? '' : '+'}${ms / 1_000}`);
    renameSync(`${clockFile(folder)}.new`, clockFile(folder));
  };
  const at = run.waiter.now();
  set(step);
  run.waiter.stage.milestone(`edge A: its wall clock is ${step < 0 ? 'an hour slow' : 'an hour fast'}`);
  return { at, end: async () => set(0) };
}

/** Rooms join a broker again within this time. */
const RECONNECT_MS = 5_000;

/** That room alone dies; the others of the edge live. */
async function killRoom(run: ContractedRun, node: PartyNode): Promise<Failure> {
  const stroke = { strike: () => node.killRoom(), mend: () => node.startRoom() };
  return fail(run, node, { ...stroke, settlesMs: RECONNECT_MS });
}

const FILLER = 'filler';
const BLOCK_BYTES = 1 << 20;

/** Fills a file system to its last byte. */
function fill(file: string): void {
  const target = openSync(file, 'w');
  try {
    for (let size = BLOCK_BYTES; size >= 1; size = size === BLOCK_BYTES ? 4_096 : size === 4_096 ? 1 : 0)
      fillBy(target, Buffer.alloc(size));
  } finally {
    closeSync(target);
  }
}

function fillBy(target: number, block: Uint8Array): void {
  try {
    while (writeSync(target, block) === block.length);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

/** The edge's small disk is full, as after a log that ran away. */
async function fillDisk(run: ContractedRun, node: PartyNode): Promise<Failure> {
  // Its folder is a file system that only its own processes see.
  const filler = `/proc/${node.pid ?? 0}/root${node.folder}/${FILLER}`;
  const stroke = { strike: () => fill(filler), mend: () => rmSync(filler, { force: true }) };
  return fail(run, node, { ...stroke, settlesMs: RECONNECT_MS });
}

/** For so long nobody arbitrates after edge A has failed. */
export const CENTRAL_AWAY_MS = 6_000;

const BY_PROMISES_MS = 30_000;
const actingSchema = z.looseObject({ leaseBy: z.string().optional() });

/** Nobody arbitrates: edge A acts on, by edge B's promise, and its fence lets its downlinks through. */
async function actsWithoutCentre(run: ContractedRun, node: PartyNode): Promise<void> {
  const url = `${node.url('arbitrator')}/arbitrator/v1/contract/${run.contractId}`;
  await waitFor<true>(run.waiter, {
    subject: 'edge A acts by the promise of edge B',
    withinMs: BY_PROMISES_MS,
    look: async () => {
      const { leaseBy = 'nobody' } = await rest(actingSchema, url);
      return leaseBy === 'promises' ? { found: true } : { seen: `it acts by the word of: ${leaseBy}` };
    },
  });
  // the same sensors as before the centre died: each has counters left
  await downlinksOnAir(run, node, OWN_ACT, BY_PROMISES_MS);
}

/** How the centre goes, and what comes before it is back. */
export interface CentreAway {
  readonly goes: (run: Run, centre: PartyNode) => Promise<Failure>;
  readonly until: (failedAt: number) => Promise<unknown>;
}

/** Edge A dies while nobody arbitrates, after it has acted without the centre; that is back some time later. */
export async function killWithoutCentre(
  run: ContractedRun,
  node: PartyNode,
  { goes, until }: CentreAway = { goes: killParty, until: () => sleep(CENTRAL_AWAY_MS) },
): Promise<Failure> {
  const centre = await goes(run, run.nodes.central);
  await actsWithoutCentre(run, node);
  const failure = await killParty(run, node);
  const returning = until(failure.at).then(() => centre.end());
  returning.catch(() => undefined);
  return {
    at: failure.at,
    async end() {
      await returning;
      await failure.end();
    },
  };
}

const BACKUP_AGE_MS = 4_000;

/** Edge A dies for good, and comes back with a backup of its disk. */
async function killAndRestore(run: ContractedRun, node: PartyNode): Promise<Failure> {
  const { waiter, restores } = run;
  const backup = `${node.folder}.backup`;
  const takenAt = waiter.now();
  // As whoever takes an image of a disk: at one moment.
  await node.freeze();
  cpSync(node.folder, backup, { recursive: true, preserveTimestamps: true });
  await node.thaw();
  waiter.stage.milestone('edge A: a backup of its disk is taken');
  await letPass(run, BACKUP_AGE_MS);
  const failure = await killParty(run, node);
  restores.push({ gateway: GATEWAYS.a, from: takenAt, until: failure.at });
  return {
    at: failure.at,
    async end() {
      rmSync(node.folder, { recursive: true });
      renameSync(backup, node.folder);
      waiter.stage.milestone('edge A: starts with the backup');
      await failure.end();
    },
  };
}

export type Fail = (run: ContractedRun, node: PartyNode) => Failure | Promise<Failure>;

const fails: Readonly<Record<Exclude<FailureKind, StoryKind>, Fail>> = {
  sigkill: killParty,
  freeze: freezeParty,
  partition,
  'one-way': cutOneWay,
  arbitrator: (run, node) => killWithoutCentre(run, node),
  'old-backup': killAndRestore,
  loss: (run, node) => worsen(run, node, { loss: SHARE_LOST }),
  delay: (run, node) => worsen(run, node, { delayMs: SLOW_MS }),
  clock: stepClock,
  broker: killRoom,
  'dead-bridge': killRoom,
  'disk-full': fillDisk,
};

/** The failure that the demo is about: of edge A, or of what it lives on, in the way the options say. */
export async function failEdgeA(run: ContractedRun): Promise<Failure> {
  const { kill } = run.options;
  return isStory(kill) ? killParty(run, run.nodes.a) : fails[kill](run, run.nodes.a);
}
