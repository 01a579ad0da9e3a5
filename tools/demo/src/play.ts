import { agree, armed, letPass } from './contract.ts';
import { OWN_ACT, downlinksOnAir } from './downlinks.ts';
import { furtherKills } from './further-kills.ts';
import { actAgain, caughtUp, comeBack, settle, takeBack } from './handback.ts';
import { DemoError } from './errors.ts';
import { failEdgeA } from './failure.ts';
import { FAILURES } from './options.ts';
import type { TakeoverMs } from './result.ts';
import { draw, type ContractedRun, type Run } from './run.ts';
import { serve, takeOver, tookOver, watchTakeover, type PossibleTakeover } from './takeover.ts';

/** How far a play came, for a verdict also on one that broke off. */
export interface Progress {
  contracted?: ContractedRun;
  takeoverMs: TakeoverMs;
  /** Edge B took over when a further kill hit edge A: that was the failure then, and there is no other. */
  early: boolean;
  /** What happened was no failure that anybody took over. */
  quiet: boolean;
}

const START_MS = 90_000;
/** Silence before traffic counts as sent at a steady rate, and the trial has something to hear. */
const WARM_UP_MS = 1_500;

/** Starts the parties and the motes. */
export async function raise({ nodes, waiter, radio }: Run): Promise<void> {
  waiter.stage.act('central, edge A and edge B start, each a process of its own');
  await nodes.central.start();
  await nodes.central.answering(waiter, START_MS);
  await Promise.all([nodes.a.start(), nodes.b.start()]);
  await Promise.all([nodes.a.answering(waiter, START_MS), nodes.b.answering(waiter, START_MS)]);
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

async function normalService(run: ContractedRun): Promise<void> {
  const { waiter, options, nodes } = run;
  waiter.stage.act('edge A serves, edge B stands by');
  await downlinksOnAir(run, nodes.a, OWN_ACT);
  // In the middle of traffic, at a moment that the seed decides.
  await letPass(run, options.duration * 1_000 * draw(run, 'moment', 0.5, 1));
}

/** The failure that the demo is about: edge B serves meanwhile, and edge A stands by when it is back. */
async function failAndComeBack(
  run: ContractedRun,
  progress: Progress,
  onServing: (run: ContractedRun) => Promise<void>,
): Promise<void> {
  await normalService(run);
  const [{ failure, takeoverMs }] = await Promise.all([takeOver(run), furtherKills(run, 'takeover')]);
  progress.takeoverMs = takeoverMs;
  await serve(run);
  await onServing(run);
  await letPass(run, run.options.duration * 500);
  // Edge A can be killed again only once it is back.
  await furtherKills(run, 'active', { parties: ['b', 'central'] });
  await comeBack(run, failure);
  await furtherKills(run, 'active', { parties: ['a'] });
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

async function finish(run: ContractedRun): Promise<void> {
  const { waiter, options, radio } = run;
  waiter.stage.act('edge A serves again');
  await actAgain(run);
  await letPass(run, options.duration * 1_000);
  if (options.keep) await radio.pause();
  else await radio.stopTraffic();
  waiter.stage.milestone('the motes are silent');
  await caughtUp(run);
}

function mainEvent(
  run: ContractedRun,
  progress: Progress,
  onServing: (run: ContractedRun) => Promise<void>,
): Promise<void> {
  return FAILURES[run.options.kill] === 'takeover'
    ? failAndComeBack(run, progress, onServing)
    : nuisance(run, progress);
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
  const early = (await quietPhase(contracted, 'migration')) ?? (await quietPhase(contracted, 'ready'));
  if (early === undefined) await mainEvent(contracted, progress, onServing);
  else Object.assign(progress, { takeoverMs: early, early: true } satisfies Partial<Progress>);
  if (!progress.quiet) {
    await takeBack(contracted);
    await furtherKills(contracted, 'handback');
    await settle(contracted);
  }
  await finish(contracted);
  return contracted;
}

/** So that the coverage trial has something to go by. */
export async function letMotesBeHeard({ waiter }: Run): Promise<void> {
  const until = waiter.now() + WARM_UP_MS;
  while (waiter.now() < until) {
    waiter.check();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
