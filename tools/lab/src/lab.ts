import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { claimOffsets, createProcesses, eventCount, type OwnProcess, type Processes } from '@antirio/demo';
import {
  followTruth,
  monotonic,
  PARTIES,
  perform,
  radioOf,
  talkWith,
  waitFor,
  type PartyName,
  type PartyNode,
  type Run,
  type Verdict,
  type Waiter,
} from '@antirio/demo/scenes';
import { buildImage, docker, EDGE_IMAGE, ImageError, run } from '@antirio/edge-image';
import type { Device } from '@antirio/lora-simulator';
import { compose, OVERRIDES, theCompose, type Override } from './compose.ts';
import {
  containersOf,
  fillVolumes,
  labOptions,
  makeIdentities,
  makeRadioFolder,
  writeLabFiles,
  type LabFailure,
} from './lab-files.ts';
import { containerNode, labNetwork } from './lab-nodes.ts';
import { beOperator, makeSecrets, wayOfAsking, type VolumeFiles } from './lab-secrets.ts';
import { programImages } from './program-image.ts';
import { labFolder, readState, urlOf, variablesOf, writeState, type LabState } from './lab-state.ts';

type Stage = Waiter['stage'];

export interface LabOptions {
  /** Of the containers, networks and volumes; another one is another lab. */
  readonly project: string;
  readonly seed: string;
  readonly stage: Stage;
  /** Built where it is not there (default: the one that `npm run edge-image` makes). */
  readonly image?: string;
  readonly overrides?: readonly Override[];
  /** How edge A fails in `handover` (default: all of its containers die). */
  readonly kill?: LabFailure;
  /** First three bytes of the addresses of the lab's two fixed networks. */
  readonly subnets: LabState['subnets'];
}

const ANSWER_MS = 90_000;
const FIRST_READING_MS = 60_000;

const ENGINE_ARCH: Readonly<Record<string, string>> = { x86_64: 'amd64', aarch64: 'arm64' };

/** @throws ImageError where the image is for another processor than the engine's */
async function checkImage(image: string): Promise<void> {
  const machine = await docker(['info', '--format', '{{.Architecture}}']);
  const arch = await docker(['image', 'inspect', '--format', '{{.Architecture}}', image]);
  const wanted = ENGINE_ARCH[machine] ?? machine;
  if (arch !== wanted)
    throw new ImageError(
      `the image ${image} is for ${arch}, and this machine is ${wanted}: remove it (docker image rm ${image}), and it is built for this one`,
    );
}

async function imageFor({ image = EDGE_IMAGE, stage }: LabOptions): Promise<string> {
  const there = await run('docker', ['image', 'inspect', '--format', '{{.Id}}', image]);
  if (there.code !== 0) {
    // Also says what is wrong where no engine answers.
    await docker(['version', '--format', '{{.Server.Version}}']);
    stage.milestone(`the image ${image} is not there: it is built`);
    await buildImage(image);
  }
  await checkImage(image);
  return image;
}

function composeOf(state: LabState, ...args: readonly string[]): Promise<string> {
  return compose({ ...state, variables: variablesOf(state) }, ...args);
}

function waiterFor(stage: Stage, processes: Processes): Waiter {
  return { stage, now: monotonic, check: () => processes.check() };
}

/** The simulator in its container, to be talked with; `end` lets it go on by itself. */
async function attached(state: LabState, containers: ReadonlyMap<string, string>) {
  const logs = join(labFolder(state.project), 'logs');
  rmSync(logs, { recursive: true, force: true });
  mkdirSync(logs, { recursive: true });
  const processes = createProcesses(logs);
  const main = join(import.meta.dirname, 'attach-process.ts');
  const simulator: OwnProcess = await processes.start({
    name: 'lora-simulator',
    args: [main, containers.get('simulator') ?? ''],
    talks: true,
  });
  return { processes, radio: radioOf(talkWith(simulator)) };
}

function nodesOf(state: LabState, containers: ReadonlyMap<string, string>): Record<PartyName, PartyNode> {
  const node = (party: PartyName): PartyNode => containerNode(state, party, containers);
  return { central: node('central'), a: node('a'), b: node('b') };
}

const ofParty = (volumes: readonly VolumeFiles[], party: PartyName): VolumeFiles[] =>
  volumes.filter(({ volume }) => volume.startsWith(`tls-${party}`));

/** Starts everything; where something is wrong with that, nothing is left behind. */
async function raise(state: LabState, { stage, seed }: LabOptions): Promise<void> {
  const secrets = state.overrides.includes('tls') ? makeSecrets(state) : [];
  makeRadioFolder(state.project);
  const written = writeLabFiles(state, labOptions(seed));
  // what is mounted file by file has to be there before the engine makes folders in its place
  if (state.overrides.includes('cometbft')) await written;
  await Promise.all([written, composeOf(state, 'up', '--no-start')]);
  stage.milestone('containers and volumes are made, and all files that they begin with');
  await Promise.all(PARTIES.map((party) => fillVolumes(state, party, ofParty(secrets, party))));
  stage.milestone('the volumes are filled');
  // `up` would look again at what each of them should be
  await composeOf(state, 'start');
  stage.milestone('all containers are started');
}

async function firstReading(waiter: Waiter, node: PartyNode): Promise<void> {
  await waitFor<true>(waiter, {
    subject: 'edge A has a first reading',
    withinMs: FIRST_READING_MS,
    look: async () => ((await eventCount(node)) > 0 ? { found: true } : { seen: 'none yet' }),
  });
}

/**
 * Brings a lab up from nothing: centre, two edges of fourteen containers each, motes that send. Gives how long it took from the first
 * container to the first reading (ms).
 * @throws ImageError saying what is wrong with engine, image, Compose or ports, and what to do
 */
export async function up(options: LabOptions): Promise<number> {
  const { project, stage, overrides = [] } = options;
  stage.act('the lab');
  const image = await imageFor(options);
  await theCompose();
  // what is left of another one of this name would be taken for this one's
  await down(project);
  const folder = labFolder(project);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const claimed = await claimOffsets(PARTIES.length);
  const [central = 0, a = 0, b = 0] = claimed.offsets;
  claimed.release();
  const ids = makeIdentities(project);
  const state: LabState = {
    ...{ project, image, used: false, subnets: options.subnets },
    ...{ overrides: [...overrides], images: await programImages(overrides) },
    parties: {
      central: { edgeId: ids.central, offset: central },
      a: { edgeId: ids.a, offset: a },
      b: { edgeId: ids.b, offset: b },
    },
  };
  writeState(state);
  const startedAt = monotonic();
  try {
    await raise(state, options);
  } catch (error) {
    // What went wrong first is what there is to say.
    await down(project).catch(() => undefined);
    throw error;
  }
  beOperator(state);
  const containers = await containersOf(project);
  const nodes = nodesOf(state, containers);
  const { processes, radio } = await attached(state, containers);
  const waiter = waiterFor(stage, processes);
  try {
    await Promise.all(PARTIES.map((party) => nodes[party].answering(waiter, ANSWER_MS)));
    stage.milestone(`${containers.size} containers: all services answer`);
    await radio.start();
    await firstReading(waiter, nodes.a);
    const tookMs = Math.round(monotonic() - startedAt);
    stage.milestone(`edge A has a first reading, ${tookMs} ms after the first container was asked for`);
    return tookMs;
  } finally {
    await processes.stopAll();
  }
}

/** Where a lab is found, for a reader. */
export function directionsOf(state: LabState): string[] {
  const rooms = ['coreData', 'coreCommand', 'orchestrator', 'arbitrator'] as const;
  const urls = (['a', 'b'] as const).map((party) => {
    const list = rooms.map((room) => `${room} ${urlOf(state, party, room)}`);
    return `  edge ${party.toUpperCase()}: ${list.join('  ')}`;
  });
  return [...urls, `  central: ledger ${urlOf(state, 'central', 'ledger')}`, ...wayOfAsking(state)];
}

/** The run of the demo's story with the lab for its setting. */
async function openRun(
  state: LabState,
  waiter: Waiter,
  containers: ReadonlyMap<string, string>,
  rest: Pick<Run, 'radio' | 'nodes' | 'options'>,
): Promise<Run> {
  const radioFolder = join(labFolder(state.project), 'radio');
  const truthFile = join(radioFolder, 'truth.jsonl');
  return {
    ...rest,
    waiter,
    network: labNetwork(state, containers),
    truth: followTruth(truthFile),
    truthFile,
    devices: JSON.parse(readFileSync(join(radioFolder, 'devices.json'), 'utf8')) as Device[],
    ...{ disturbances: [], restores: [], kills: [] },
  };
}

async function freshLab(options: LabOptions): Promise<LabState> {
  const known = readState(options.project);
  const isUp = known !== undefined && !known.used && (await containersOf(options.project)).size > 0;
  if (!isUp) {
    if (known !== undefined) await down(options.project);
    await up(options);
  }
  const state = readState(options.project);
  if (state === undefined) throw new ImageError('the lab is gone: somebody has ended it');
  return state;
}

/**
 * Has edge A insured, lets it fail (all of its containers die, or as the options say), and watches until it has its sensors back; the lab
 * goes on afterwards. A lab that is
 * not up, or has been used for this before, is brought up anew.
 */
export async function handover(options: LabOptions): Promise<Verdict> {
  const state = await freshLab(options);
  beOperator(state);
  writeState({ ...state, used: true });
  const containers = await containersOf(state.project);
  const { processes, radio } = await attached(state, containers);
  const waiter = waiterFor(options.stage, processes);
  const run = await openRun(state, waiter, containers, {
    radio,
    nodes: nodesOf(state, containers),
    options: labOptions(options.seed, options.kill),
  });
  try {
    const verdict = await perform(run);
    await radio.start();
    return verdict;
  } finally {
    run.truth.close();
    await processes.stopAll();
  }
}

/** What is damaged is nothing that a lab could go on with, and no reason not to end it. */
function stateIfWhole(project: string): LabState | undefined {
  try {
    return readState(project);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    return undefined;
  }
}

/** Ends a lab: containers, networks, volumes, files. What is not there is no fault. */
export async function down(project: string): Promise<void> {
  const state = stateIfWhole(project);
  // Without our files it is still known by its name.
  if (state === undefined && (await containersOf(project)).size === 0) return;
  const end = ['down', '--volumes', '--timeout', '2', '--remove-orphans'];
  if (state === undefined) await compose({ project, overrides: OVERRIDES, variables: {} }, ...end);
  else await composeOf(state, ...end);
  rmSync(labFolder(project), { recursive: true, force: true });
}
