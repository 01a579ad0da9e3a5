import { agree, armed, letPass } from './contract.ts';
import { downlinksOnAir } from './downlinks.ts';
import { actAgain, caughtUp, comeBack, settle, takeBack } from './handback.ts';
import type { TakeoverMs } from './result.ts';
import { draw, type ContractedRun, type Run } from './run.ts';
import { furtherKill, serve, takeOver } from './takeover.ts';

/** How far a play came, for a verdict also on one that broke off. */
export interface Progress {
  contracted?: ContractedRun;
  takeoverMs: TakeoverMs;
}

const START_MS = 30_000;
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

async function insure(run: Run, progress: Progress): Promise<ContractedRun> {
  const contracted = await agree(run);
  progress.contracted = contracted;
  await furtherKill(contracted, 'migration');
  await armed(contracted);
  return contracted;
}

async function normalService(run: ContractedRun): Promise<void> {
  const { waiter, options, nodes } = run;
  waiter.stage.act('edge A serves, edge B stands by');
  await furtherKill(run, 'ready');
  await armed(run);
  await downlinksOnAir(run, nodes.a, 'own');
  // In the middle of traffic, at a moment that the seed decides.
  await letPass(run, options.duration * 1_000 * draw(run, 'moment', 0.5, 1));
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

/** The whole story, from the first start to the last frame. Throws where it breaks off; `progress` says how far it came. */
export async function play(run: Run, progress: Progress): Promise<ContractedRun> {
  await raise(run);
  await letMotesBeHeard(run);
  const contracted = await insure(run, progress);
  await normalService(contracted);
  const { failure, takeoverMs } = await takeOver(contracted);
  progress.takeoverMs = takeoverMs;
  await serve(contracted);
  await letPass(contracted, contracted.options.duration * 500);
  await comeBack(contracted, failure);
  await furtherKill(contracted, 'active');
  await takeBack(contracted);
  await furtherKill(contracted, 'handback');
  await settle(contracted);
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
