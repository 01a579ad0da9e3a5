import { z } from 'zod';
import { eventCount } from './core-data.ts';
import { downlinksOnAir, sendDownlinks } from './downlinks.ts';
import type { Failure } from './failure.ts';
import { restIfThere } from './rest.ts';
import { states, waitFollowing, type ContractedRun } from './run.ts';

const RETURN_MS = 90_000;
const SETTLE_MS = 90_000;
/** What was sabotaged may never come. */
const SETTLE_SABOTAGED_MS = 30_000;
const CATCH_UP_MS = 90_000;
const ACT_AGAIN_MS = 90_000;
/** A's core-data counts as still after this long without a new event, with nothing left to be fetched. */
const STILL_MS = 2_000;

const sourceSchema = z.looseObject({ pulledThrough: z.int(), remoteNext: z.int() });

/** Edge A is started, woken or joined again, and must fall back to standby: commands given to it now must not be on air. */
export async function comeBack(run: ContractedRun, failure: Failure): Promise<void> {
  const { waiter, nodes } = run;
  waiter.stage.act('edge A comes back while edge B is active');
  const backAt = waiter.now();
  await failure.end();
  await sendDownlinks(run, nodes.a, 'too soon');
  await waitFollowing<true>(run, {
    subject: 'edge A stands by',
    withinMs: RETURN_MS,
    look: () =>
      run.timelines.find('customer', 'fenced', backAt) === undefined &&
      run.timelines.view('customer')?.state === 'guarded'
        ? { seen: states(run) }
        : { found: true },
  });
  await sendDownlinks(run, nodes.a, 'still too soon');
}

/** Edge A catches up, edge B releases, edge A takes its sensors back; that is looked for from a time on (monotonic ms). */
export async function takeBack(run: ContractedRun, after?: number): Promise<void> {
  await waitFollowing<true>(run, {
    subject: 'edge A takes its sensors back',
    withinMs: RETURN_MS,
    look: () =>
      run.timelines.find('customer', 'retaken', after) === undefined
        ? { seen: states(run) }
        : { found: true },
  });
}

/** Both state what was handed back, and the ledger settles. */
export async function settle(run: ContractedRun): Promise<void> {
  await waitFollowing<true>(run, {
    subject: 'both statements agree and the contract is settled',
    withinMs: run.options.sabotage === undefined ? SETTLE_MS : SETTLE_SABOTAGED_MS,
    look: () => (run.timelines.view('customer')?.state === 'ended' ? { found: true } : { seen: states(run) }),
  });
}

/** The owner acts again, under its new epoch. */
export async function actAgain(run: ContractedRun): Promise<void> {
  await downlinksOnAir(run, run.nodes.a, 'own again', ACT_AGAIN_MS);
}

async function gapsLeft({ nodes }: ContractedRun): Promise<number> {
  const url = `${nodes.a.url('gatewayBridge')}/api/v3/ring/own/source`;
  const source = await restIfThere(sourceSchema, url);
  // After the contract's end the source is let go as soon as everything is here.
  return source === undefined ? 0 : Math.max(0, source.remoteNext - 1 - source.pulledThrough);
}

/** After the traffic: whatever B heard and A did not comes to A, and A's core-data becomes still. */
export async function caughtUp(run: ContractedRun, stillMs = STILL_MS): Promise<void> {
  const { waiter, nodes } = run;
  let count = -1;
  let since = waiter.now();
  await waitFollowing<true>(run, {
    subject: 'edge A has every frame that edge B heard',
    withinMs: CATCH_UP_MS,
    look: async () => {
      const [gaps, events] = [await gapsLeft(run), await eventCount(nodes.a)];
      if (gaps > 0 || events !== count) since = waiter.now();
      count = events;
      return waiter.now() - since >= stillMs
        ? { found: true }
        : { seen: `${events} events, ${gaps} frames to come` };
    },
  });
}
