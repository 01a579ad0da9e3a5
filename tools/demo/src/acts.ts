import { letPass } from './contract.ts';
import { OWN_ACT, downlinksOnAir } from './downlinks.ts';
import type { Fail } from './failure.ts';
import { furtherKills } from './further-kills.ts';
import { comeBack } from './handback.ts';
import type { Progress } from './progress.ts';
import { draw, type ContractedRun } from './run.ts';
import { serve, takeOver } from './takeover.ts';

export async function normalService(run: ContractedRun): Promise<void> {
  const { waiter, options, nodes } = run;
  waiter.stage.act('edge A serves, edge B stands by');
  await downlinksOnAir(run, nodes.a, OWN_ACT);
  // In the middle of traffic, at a moment that the seed decides.
  await letPass(run, options.duration * 1_000 * draw(run, 'moment', 0.5, 1));
}

/** The failure that the demo is about: edge B serves meanwhile, and edge A stands by when it is back. */
export async function failAndComeBack(
  run: ContractedRun,
  progress: Progress,
  onServing: (run: ContractedRun) => Promise<void>,
  fail?: Fail,
): Promise<void> {
  await normalService(run);
  const [{ failure, takeoverMs }] = await Promise.all([takeOver(run, fail), furtherKills(run, 'takeover')]);
  progress.takeoverMs = takeoverMs;
  await serve(run);
  await onServing(run);
  await letPass(run, run.options.duration * 500);
  // Edge A can be killed again only once it is back.
  await furtherKills(run, 'active', { parties: ['b', 'central'] });
  await comeBack(run, failure);
  await furtherKills(run, 'active', { parties: ['a'] });
}
