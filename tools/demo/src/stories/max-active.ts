import { normalService } from '../acts.ts';
import { letPass } from '../contract.ts';
import { DemoError } from '../errors.ts';
import { killParty } from '../failure.ts';
import { settle, takeBack } from '../handback.ts';
import type { Progress } from '../progress.ts';
import { waitFollowing, type ContractedRun } from '../run.ts';
import { MAX_ACTIVE_S } from '../story-terms.ts';
import { serve, takeOver } from '../takeover.ts';
import type { Note } from '../timelines.ts';
import { sendsNothing } from './silence.ts';

/** The grantor's clock counts, and the record is asked for now and then. */
const OVERDUE_MS = 60_000;
/** What was sent before is off the air. */
const ON_AIR_MS = 3_500;

async function fenceShut(run: ContractedRun, after: number): Promise<Note> {
  return waitFollowing<Note>(run, {
    subject: 'edge B has served for as long as it may',
    withinMs: MAX_ACTIVE_S * 1_000 + OVERDUE_MS,
    look: () => {
      const found = run.timelines.find('provider', 'fenced', after);
      return found === undefined ? { seen: 'it serves' } : { found };
    },
  });
}

/** Edge A stays away for longer than edge B may act for it. */
export async function maxActive(run: ContractedRun, progress: Progress): Promise<void> {
  const { waiter, timelines } = run;
  await normalService(run);
  const { failure, takeoverMs } = await takeOver(run, killParty);
  progress.takeoverMs = takeoverMs;
  await serve(run);
  waiter.stage.act('edge A stays away');
  const { detail, monotonic } = await fenceShut(run, failure.at);
  if (detail['cause'] !== 'maxActiveS')
    throw new DemoError('badAnswer', `edge B shut its fence otherwise: ${JSON.stringify(detail)}`);
  const activatedAt = timelines.find('provider', 'activated', failure.at)?.monotonic ?? Infinity;
  const servedMs = Math.round(monotonic - activatedAt);
  waiter.stage.milestone(`edge B served for ${servedMs} ms of ${MAX_ACTIVE_S} s`);
  await letPass(run, ON_AIR_MS);
  // Edge A is dead still: edge B collects, and neither acts nor begins again.
  await sendsNothing(run);
  if (timelines.find('provider', 'confirmed', monotonic) !== undefined)
    throw new DemoError('badAnswer', 'edge B began anew');
  waiter.stage.act('edge A comes back');
  await failure.end();
  await takeBack(run, monotonic);
  await settle(run);
}
