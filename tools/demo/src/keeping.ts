import { z } from 'zod';
import { normalService } from './acts.ts';
import { armed, letPass } from './contract.ts';
import { DemoError } from './errors.ts';
import { failEdgeA } from './failure.ts';
import type { Progress } from './progress.ts';
import { restIfThere } from './rest.ts';
import type { ContractedRun } from './run.ts';
import { tookOver } from './takeover.ts';

/** For so long edge A is away; nobody takes over from it. */
const AWAY_MS = 10_000;
const anything = z.looseObject({});

/** Edge B has no keys: it runs no service of edge A's, before, in or after a failure. */
async function runsNothing({ nodes, contractId }: ContractedRun): Promise<void> {
  const url = `${nodes.b.url('orchestrator')}/orchestrator/v1/service/${contractId}`;
  if ((await restIfThere(anything, url)) !== undefined)
    throw new DemoError('badAnswer', 'edge B runs a service of edge A, whose frames it only keeps');
}

/** Edge A fails; edge B keeps the frames that it hears, and gives them back when edge A fetches them. */
export async function failAndFetch(run: ContractedRun, progress: Progress): Promise<void> {
  const { waiter, timelines, options } = run;
  await normalService(run);
  await runsNothing(run);
  waiter.stage.act(`edge A fails (${options.kill}); edge B keeps what it hears, and takes nothing over`);
  const failure = await failEdgeA(run);
  timelines.failureAt(failure.at);
  await letPass(run, AWAY_MS);
  const until = waiter.now();
  if (tookOver(run, failure.at) !== undefined)
    throw new DemoError('badAnswer', 'edge B took over, and has no keys');
  await runsNothing(run);
  await failure.end();
  waiter.stage.act('edge A is back, and fetches what edge B has kept');
  await armed(run);
  Object.assign(progress, { quiet: true, kept: { from: failure.at, until } } satisfies Partial<Progress>);
}
