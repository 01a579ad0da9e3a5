import { setTimeout as sleep } from 'node:timers/promises';
import { failAndComeBack } from '../acts.ts';
import { hasReadingSince } from '../core-data.ts';
import { freezeParty, killParty, killWithoutCentre, CENTRAL_AWAY_MS, type Fail } from '../failure.ts';
import { settle, takeBack } from '../handback.ts';
import type { Progress } from '../progress.ts';
import { states, waitFollowing, type ContractedRun } from '../run.ts';
import { serve } from '../takeover.ts';
import { fallsSilent } from './silence.ts';

const READING_MS = 90_000;

/** Edge B has the whole key: it reads while nobody arbitrates, and the centre is back only after that. */
const untilItReads: Fail = (run, node) =>
  killWithoutCentre(run, node, {
    goes: killParty,
    until: async (failedAt) => {
      await waitFollowing<true>(run, {
        subject: 'edge B reads without the centre',
        withinMs: READING_MS,
        look: async () =>
          (await hasReadingSince(run.nodes.b, run.truth, failedAt)) ? { found: true } : { seen: states(run) },
      });
      run.waiter.stage.milestone('edge B reads, and nobody arbitrates');
    },
  });

/** The centre answers nothing and ends nothing: calls to it hang, and what it was sent meanwhile it hears later. */
const centreFrozen: Fail = (run, node) =>
  killWithoutCentre(run, node, { goes: freezeParty, until: () => sleep(CENTRAL_AWAY_MS) });

/** While edge B serves and edge A is dead there is nobody else to promise anything. What the centre answers late is no lease. */
async function freezesAgain(run: ContractedRun): Promise<void> {
  run.waiter.stage.act('the centre is frozen again, while edge B serves');
  const centre = await freezeParty(run, run.nodes.central);
  await fallsSilent(run);
  await centre.end();
  await serve(run);
}

export async function autonomous(run: ContractedRun, progress: Progress): Promise<void> {
  await failAndComeBack(run, progress, async () => undefined, untilItReads);
  await takeBack(run);
  await settle(run);
}

export async function frozenCentre(run: ContractedRun, progress: Progress): Promise<void> {
  await failAndComeBack(run, progress, freezesAgain, centreFrozen);
  await takeBack(run);
  await settle(run);
}
