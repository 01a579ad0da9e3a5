import { failAndComeBack, normalService } from './acts.ts';
import { agree, armed, letPass } from './contract.ts';
import { DemoError } from './errors.ts';
import { insuresToo } from './extras.ts';
import { failEdgeA } from './failure.ts';
import { furtherKills } from './further-kills.ts';
import { actAgain, caughtUp, settle, takeBack } from './handback.ts';
import { failAndFetch } from './keeping.ts';
import { START_MS } from './nodes.ts';
import { FAILURES, isStory } from './options.ts';
import type { Progress } from './progress.ts';
import type { TakeoverMs } from './result.ts';
import type { ContractedRun, Run } from './run.ts';
import { tellStory } from './stories/index.ts';
import { tookOver, watchTakeover, type PossibleTakeover } from './takeover.ts';

/** Silence before traffic counts as sent at a steady rate, and the trial has something to hear. */
const WARM_UP_MS = 1_500;

/** Starts the parties and the motes. */
export async function raise({ nodes, waiter, radio, options }: Run): Promise<void> {
  // A second provider comes later, so that it is known which one is the first.
  const later = insuresToo(options) ? [] : [nodes.c, nodes.d];
  const edges = [nodes.a, nodes.b, ...later].filter((node) => node !== undefined);
  const titles = edges.map(({ title }) => title);
  waiter.stage.act(`central, ${titles.join(', ')} start, each a process of its own`);
  await nodes.central.start();
  await nodes.central.answering(waiter, START_MS);
  await Promise.all(edges.map((node) => node.start()));
  await Promise.all(edges.map((node) => node.answering(waiter, START_MS)));
  waiter.stage.milestone('all services answer');
  await radio.start();
  waiter.stage.milestone('the motes send');
}

/**
 * Further kills while edge B prepares or stands by, and then both READY; or, where edge A was hit and edge B has taken over,
 * how long that took.
 */
async function quietPhase(run: ContractedRun, phase: 'migration' | 'ready'): Promise<TakeoverMs | undefined> {
  let possible: PossibleTakeover | undefined;
  await furtherKills(run, phase, {
    onKilled: ({ at }, party) => {
      if (party === 'a') possible = watchTakeover(run, at);
    },
  });
  const outcome = await armed(run);
  if (outcome === 'takenOver' && possible !== undefined) return possible.takeoverMs();
  possible?.dismiss();
  return undefined;
}

/** How long what is no failure, or need not be one, goes on. */
const NUISANCE_MS = 10_000;
/** After its end whoever took over has done so. */
const AFTERMATH_MS = 5_000;

/** For so long a takeover that has begun may go on, of an image that is loaded first. */
const BEGUN_MS = 20_000;

/** Whether edge B holds the epoch. Where edge A gave its word and edge B is not ready yet, that is waited for. */
async function wasTaken(run: ContractedRun, after: number): Promise<boolean> {
  const { timelines, waiter } = run;
  const began = (): boolean => timelines.find('customer', 'yielding', after) !== undefined;
  const until = waiter.now() + BEGUN_MS;
  for (;;) {
    if (tookOver(run, after) !== undefined) return true;
    if (!began() || waiter.now() >= until) return false;
    await letPass(run, 100);
  }
}

/** Something is wrong with edge A or with what it lives on; it may be taken over, or go on. */
async function nuisance(run: ContractedRun, progress: Progress): Promise<void> {
  const { waiter, timelines, options } = run;
  await normalService(run);
  waiter.stage.act(`edge A is in trouble (${options.kill})`);
  const failure = await failEdgeA(run);
  timelines.failureAt(failure.at);
  const possible = watchTakeover(run, failure.at);
  await letPass(run, NUISANCE_MS);
  await failure.end();
  waiter.stage.act('the trouble is over');
  await letPass(run, AFTERMATH_MS);
  const isTaken = await wasTaken(run, failure.at);
  if (isTaken && FAILURES[options.kill] === 'none')
    throw new DemoError('badAnswer', 'edge B took over though edge A was well');
  if (isTaken) {
    Object.assign(progress, {
      takeoverMs: await possible.takeoverMs(),
      early: true,
    } satisfies Partial<Progress>);
    return;
  }
  possible.dismiss();
  progress.quiet = true;
}

/** Of two other rings edge A's own is filled in turns: so long nothing new comes where nothing is left in either. */
const SOURCES_TURN_MS = 13_000;

async function finish(run: ContractedRun, { second }: Progress): Promise<void> {
  const { waiter, options, radio } = run;
  waiter.stage.act('edge A serves again');
  await actAgain(run);
  await letPass(run, options.duration * 1_000);
  if (options.keep) await radio.pause();
  else await radio.stopTraffic();
  waiter.stage.milestone('the motes are silent');
  await (second === undefined ? caughtUp(run) : caughtUp(run, SOURCES_TURN_MS));
}

function mainEvent(
  run: ContractedRun,
  progress: Progress,
  onServing: (run: ContractedRun) => Promise<void>,
): Promise<void> {
  const { kill, confidentiality } = run.options;
  if (FAILURES[kill] === 'takeover' && confidentiality === 'relay') return failAndFetch(run, progress);
  return FAILURES[kill] === 'takeover' ? failAndComeBack(run, progress, onServing) : nuisance(run, progress);
}

/** The whole story, from the first start to the last frame. Throws where it breaks off; `progress` says how far it came. */
export async function play(
  run: Run,
  progress: Progress,
  onServing: (run: ContractedRun) => Promise<void> = async () => undefined,
): Promise<ContractedRun> {
  await raise(run);
  await letMotesBeHeard(run);
  const contracted = await agree(run, () => furtherKills(run, 'agreement'));
  progress.contracted = contracted;
  const { kill } = run.options;
  if (isStory(kill)) await tellStory(kill, contracted, progress);
  else await oneFailure(contracted, progress, onServing);
  await finish(contracted, progress);
  return contracted;
}

/** From the signed contract to what became of it. */
async function oneFailure(
  run: ContractedRun,
  progress: Progress,
  onServing: (run: ContractedRun) => Promise<void>,
): Promise<void> {
  const early = (await quietPhase(run, 'migration')) ?? (await quietPhase(run, 'ready'));
  if (early === undefined) await mainEvent(run, progress, onServing);
  else Object.assign(progress, { takeoverMs: early, early: true } satisfies Partial<Progress>);
  if (progress.quiet) return;
  await takeBack(run);
  await furtherKills(run, 'handback');
  await settle(run);
}

/** So that the coverage trial has something to go by. */
export async function letMotesBeHeard({ waiter }: Run): Promise<void> {
  const until = waiter.now() + WARM_UP_MS;
  while (waiter.now() < until) {
    waiter.check();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
