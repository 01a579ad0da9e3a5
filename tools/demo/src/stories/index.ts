import { armed } from '../contract.ts';
import { DemoError } from '../errors.ts';
import type { StoryKind } from '../options.ts';
import type { Progress } from '../progress.ts';
import type { ContractedRun } from '../run.ts';
import { flapping } from './flapping.ts';
import { keyHolders } from './key-holders.ts';
import { maxActive } from './max-active.ts';
import { autonomous, frozenCentre } from './no-centre.ts';
import { cutOff, frozen, providerAway } from './provider-away.ts';
import { twoProviders } from './two-providers.ts';

/** From a contract that is armed to one that is settled, with edge A at work again. */
type Story = (run: ContractedRun, progress: Progress) => Promise<void>;

const STORIES: Readonly<Record<StoryKind, Story>> = {
  'provider-frozen': (run, progress) => providerAway(run, progress, frozen),
  'provider-cut': (run, progress) => providerAway(run, progress, cutOff),
  'two-providers': twoProviders,
  autonomous,
  'centre-frozen': frozenCentre,
  'key-holders': keyHolders,
  flapping,
  'max-active': maxActive,
};

/** Tells what is more than one failure of edge A. Throws where it broke off, or something was as it must not be. */
export async function tellStory(kind: StoryKind, run: ContractedRun, progress: Progress): Promise<void> {
  if ((await armed(run)) === 'takenOver')
    throw new DemoError('badAnswer', 'edge B took over before anything had happened');
  await STORIES[kind](run, progress);
}
