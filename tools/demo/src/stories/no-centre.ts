import { failAndComeBack } from '../acts.ts';
import { hasReadingSince } from '../core-data.ts';
import { freezeParty, killParty, killWithoutCentre, CENTRAL_AWAY_MS, type Fail } from '../failure.ts';
import { settle, takeBack } from '../handback.ts';
import type { Progress } from '../progress.ts';
import { states, waitFollowing, type ContractedRun } from '../run.ts';
import { setTimeout as sleep } from 'node:timers/promises';

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

async function withoutCentre(run: ContractedRun, progress: Progress, fail: Fail): Promise<void> {
  await failAndComeBack(run, progress, async () => undefined, fail);
  await takeBack(run);
  await settle(run);
}

export const autonomous = (run: ContractedRun, progress: Progress): Promise<void> =>
  withoutCentre(run, progress, untilItReads);

export const frozenCentre = (run: ContractedRun, progress: Progress): Promise<void> =>
  withoutCentre(run, progress, centreFrozen);
