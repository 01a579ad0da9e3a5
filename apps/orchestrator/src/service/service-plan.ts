import type { InstanceState, Standby } from '@antirio/runtime';

export type Desired = 'absent' | 'standby' | 'active';

export interface Goal {
  readonly desired: Desired;
  readonly standby: Standby;
  /** Stopped, however it is wanted, with what it needs to go on. */
  readonly halted?: true;
}

/** What is so right now, as far as this host can see. */
export interface Seen {
  /** Whether the archive's bytes were checked, and are those that migration fetched for this contract. */
  readonly archiveVerified: boolean;
  /** `shared`: loaded, and another service of this edge uses it too. */
  readonly image: 'absent' | 'loaded' | 'shared';
  readonly rimOpen: boolean;
  readonly instance: 'absent' | InstanceState;
  /** Whether the instance was made from the settings wanted now. */
  readonly current: boolean;
  /** What the service last said since it was started; nothing is `none`. A freeze changes nothing of it. */
  readonly status: 'none' | 'shadow' | 'reading';
  /** Whether it has said nothing for too long although it could have. */
  readonly silent: boolean;
  /** Whether the secrets that activation needs are there, on tmpfs. */
  readonly secretsHeld: boolean;
  /** `due`: volumes are to be filled before it reads. `stopped`: they are on their way home, and nobody is to write there. */
  readonly volumes?: 'due' | 'stopped' | undefined;
}

/** One thing to do. `await...` steps end a plan: what comes next depends on the service. */
export type Step =
  | 'verify'
  | 'load'
  | 'unload'
  | 'openRim'
  | 'closeRim'
  | 'prepare'
  | 'start'
  | 'thaw'
  | 'freeze'
  | 'stop'
  | 'remove'
  | 'fillVolumes'
  | 'activate'
  | 'standDown'
  | 'dropSecrets'
  | 'forget'
  | 'awaitService';

const runs = (seen: Seen): boolean => seen.instance === 'running' || seen.instance === 'frozen';

function ending(seen: Seen): Step[] {
  return [
    ...(runs(seen) ? (['stop'] as const) : []),
    ...(seen.instance === 'absent' ? [] : (['remove'] as const)),
  ];
}

/** From whatever there is to an instance made of the wanted settings. */
function preparing(seen: Seen): Step[] {
  const outdated = seen.instance !== 'absent' && !seen.current;
  const steps: Step[] = outdated ? ending(seen) : [];
  if (seen.image === 'absent') steps.push('load');
  if (!seen.rimOpen) steps.push('openRim');
  if (outdated || seen.instance === 'absent') steps.push('prepare');
  return steps;
}

/** From an instance of the wanted settings, in whatever state, to one that runs and has said how it is. */
function starting(seen: Seen): Step[] {
  const fresh = seen.instance === 'absent' || !seen.current;
  if (fresh || seen.instance === 'created' || seen.instance === 'exited') return ['start', 'awaitService'];
  if (seen.instance === 'frozen') return ['thaw'];
  if (seen.silent) return ['stop', 'start', 'awaitService'];
  return seen.status === 'none' ? ['awaitService'] : [];
}

function toAbsent(seen: Seen): Step[] {
  return [
    ...(seen.secretsHeld ? (['dropSecrets'] as const) : []),
    ...ending(seen),
    ...(seen.rimOpen ? (['closeRim'] as const) : []),
    ...(seen.image === 'loaded' ? (['unload'] as const) : []),
    'forget',
  ];
}

function toHalted(seen: Seen): Step[] {
  return [...(runs(seen) ? (['stop'] as const) : []), ...(seen.rimOpen ? (['closeRim'] as const) : [])];
}

function toCold(seen: Seen): Step[] {
  return [
    ...(seen.secretsHeld ? (['dropSecrets'] as const) : []),
    ...ending(seen),
    ...(seen.rimOpen ? (['closeRim'] as const) : []),
    ...(seen.image === 'loaded' ? (['unload'] as const) : []),
    ...(seen.archiveVerified ? [] : (['verify'] as const)),
  ];
}

function toShadow(standby: 'hot' | 'warm', seen: Seen): Step[] {
  const steps: Step[] = seen.secretsHeld ? ['dropSecrets'] : [];
  steps.push(...preparing(seen));
  const frozenWell = seen.instance === 'frozen' && seen.current && seen.status === 'shadow';
  if (standby === 'warm' && frozenWell) return steps;
  const start = starting(seen);
  if (start.length > 0) return [...steps, ...start];
  if (seen.status === 'reading') return [...steps, 'standDown', 'awaitService'];
  return standby === 'warm' ? [...steps, 'freeze'] : steps;
}

function toActive(seen: Seen): Step[] {
  const steps = [...preparing(seen), ...starting(seen)];
  if (steps.length > 0 || seen.status === 'reading') return steps;
  if (!seen.secretsHeld) return [];
  return [...(seen.volumes === 'due' ? (['fillVolumes'] as const) : []), 'activate', 'awaitService'];
}

/**
 * The steps from what is to what is wanted, up to the first that has to be waited for. Pure: the same seen and goal give the same
 * steps, a goal that is reached gives none, and every step may be repeated, so that a plan that was interrupted anywhere is simply
 * made again. Secrets go first when a service stands down; without secrets an active service gets as far as running in shadow.
 */
export function planService(goal: Goal, seen: Seen): readonly Step[] {
  if (goal.desired === 'absent') return toAbsent(seen);
  if (goal.halted === true) return toHalted(seen);
  if (goal.desired === 'active') return seen.volumes === 'stopped' ? toHalted(seen) : toActive(seen);
  return goal.standby === 'cold' ? toCold(seen) : toShadow(goal.standby, seen);
}

export type ObservedService = 'absent' | 'loading' | 'standby' | 'active' | 'failed' | 'needsSecrets';

const isReady = (seen: Seen): boolean =>
  seen.current && seen.instance === 'running' && seen.status === 'shadow';

function standsBy({ standby }: Goal, seen: Seen): boolean {
  if (standby === 'cold') return seen.archiveVerified;
  const frozen = seen.current && seen.instance === 'frozen' && seen.status === 'shadow';
  return isReady(seen) || (standby === 'warm' && frozen);
}

function towardsGoal(goal: Goal, seen: Seen): ObservedService {
  if (goal.desired === 'absent') return seen.instance === 'absent' ? 'absent' : 'loading';
  if (goal.desired === 'active' && !seen.secretsHeld) return 'needsSecrets';
  if (goal.halted === true) return 'loading';
  return standsBy(goal, seen) ? 'standby' : 'loading';
}

/** The one word for it that the arbitrator goes by. Whatever is wanted, a service that reads is active. */
export function observeService(goal: Goal, seen: Seen, failed: boolean): ObservedService {
  if (seen.instance === 'running' && seen.status === 'reading') return 'active';
  return failed ? 'failed' : towardsGoal(goal, seen);
}
