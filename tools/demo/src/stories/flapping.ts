import { normalService } from '../acts.ts';
import { letPass } from '../contract.ts';
import { DemoError } from '../errors.ts';
import { killParty, type Failure } from '../failure.ts';
import { settle, takeBack } from '../handback.ts';
import type { Progress } from '../progress.ts';
import type { ContractedRun } from '../run.ts';
import { FLAPS } from '../story-terms.ts';
import { serve, watchTakeover } from '../takeover.ts';
import { becomeSteady, startAgain } from '../takeover-round.ts';

/** In its back-off edge A is killed once more: edge B serves on, under the same epoch. */
async function diesInItsBackoff(run: ContractedRun, failure: Failure): Promise<Failure> {
  await failure.end();
  const again = await killParty(run, run.nodes.a);
  await letPass(run, 2_000);
  return again;
}

/** From when edge A stood by, at its newest start, to its epoch: at least its back-off. */
function expectBackoff({ timelines, options }: ContractedRun, round: number, startedAt: number): void {
  // Where it had stood by before that start there is no note of it, and the wait begins with the start.
  const from = timelines.find('customer', 'fenced', startedAt)?.monotonic ?? startedAt;
  const waitedMs = (timelines.find('customer', 'retaken', startedAt)?.monotonic ?? 0) - from;
  const least = options.backoffMs * 2 ** (round - 1);
  if (waitedMs < least)
    throw new DemoError('badAnswer', `edge A waited ${Math.round(waitedMs)} ms, its back-off is ${least} ms`);
}

function expectNoStorm({ timelines }: ContractedRun, since: number): void {
  for (const milestone of ['confirmed', 'opened', 'activated']) {
    const times = timelines.since('provider', since).filter((note) => note.milestone === milestone).length;
    if (times !== FLAPS)
      throw new DemoError('badAnswer', `edge B: ${times} times ${milestone} at ${FLAPS} failures`);
  }
}

/** Edge A fails again and again: each time it waits twice as long before it asks for its sensors back. */
export async function flapping(run: ContractedRun, progress: Progress): Promise<void> {
  const { waiter, timelines, nodes } = run;
  await normalService(run);
  const began = waiter.now();
  for (let round = 1; round <= FLAPS; round++) {
    waiter.stage.act(`edge A fails for the ${round}. time`);
    let failure = await killParty(run, nodes.a);
    const killedAt = failure.at;
    timelines.failureAt(killedAt);
    const takeoverMs = await watchTakeover(run, killedAt).takeoverMs();
    if (round === 1) progress.takeoverMs = takeoverMs;
    await serve(run);
    if (round === 2) failure = await diesInItsBackoff(run, failure);
    const startedAt = waiter.now();
    const backAt = await startAgain(run, round, failure);
    await takeBack(run, killedAt);
    expectBackoff(run, round, startedAt);
    if (round < FLAPS) await becomeSteady(run, round, { killedAt, backAt });
  }
  await settle(run);
  expectNoStorm(run, began);
}
