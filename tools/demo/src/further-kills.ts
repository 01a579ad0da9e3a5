import { setTimeout as sleep } from 'node:timers/promises';
import { killParty, type Failure } from './failure.ts';
import type { FurtherKill, KillPhase } from './options.ts';
import { draw, type Run } from './run.ts';

/** How long after a phase has begun a kill may come at most, ms. */
const WITHIN_MS: Readonly<Record<KillPhase, number>> = {
  agreement: 6_000,
  migration: 800,
  ready: 800,
  takeover: 2_500,
  active: 800,
  handback: 800,
};
const AWAY_MS = { least: 200, most: 2_000 } as const;

/** Kills a party at a moment of the phase that the seed decides, and starts it again after a while. */
async function killOnce(
  run: Run,
  { party, phase }: FurtherKill,
  onKilled: (failure: Failure) => void,
): Promise<void> {
  await sleep(draw(run, `further/${phase}/${party}/when`, 0, WITHIN_MS[phase]));
  const node = run.nodes[party];
  run.waiter.stage.act(`${node.title} is killed as well, in phase ${phase}`);
  const failure = await killParty(run, node);
  onKilled(failure);
  await sleep(draw(run, `further/${phase}/${party}/length`, AWAY_MS.least, AWAY_MS.most));
  await failure.end();
  run.waiter.stage.milestone(`${node.title} is back`);
}

type Party = FurtherKill['party'];

export interface KillScope {
  /** Whose turn it is (default: everybody's). */
  readonly parties?: readonly Party[];
  readonly onKilled?: (failure: Failure, party: Party) => void;
}

/** The further SIGKILLs that the options ask for in this phase; resolves when everybody is back. */
export async function furtherKills(
  run: Run,
  phase: KillPhase,
  { parties = ['a', 'b', 'central'], onKilled }: KillScope = {},
): Promise<void> {
  const wanted = run.options.furtherKills.filter((one) => one.phase === phase && parties.includes(one.party));
  await Promise.all(wanted.map((one) => killOnce(run, one, (failure) => onKilled?.(failure, one.party))));
}
