import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { observeService, planService, type Goal, type Seen, type Step } from './service-plan.ts';

const goals = fc.record<Goal>({
  desired: fc.constantFrom('absent', 'standby', 'active'),
  standby: fc.constantFrom('hot', 'warm', 'cold'),
});

const seens = fc
  .record<Seen>({
    archiveVerified: fc.boolean(),
    image: fc.constantFrom('absent', 'loaded', 'shared'),
    rimOpen: fc.boolean(),
    instance: fc.constantFrom('absent', 'created', 'running', 'frozen', 'exited'),
    current: fc.boolean(),
    status: fc.constantFrom('none', 'shadow', 'reading'),
    silent: fc.boolean(),
    secretsHeld: fc.boolean(),
    volumes: fc.constantFrom(undefined, 'due'),
  })
  // Nothing speaks that does not run; only the running can be silent
  .map((seen) => ({
    ...seen,
    status: seen.instance === 'running' || seen.instance === 'frozen' ? seen.status : ('none' as const),
    silent: seen.silent && seen.instance === 'running',
  }));

/** What each step makes of the world when nothing goes wrong, with a service that obeys. */
const effects: Record<Step, (seen: Seen, order: { activate: boolean }) => Seen> = {
  verify: (seen) => ({ ...seen, archiveVerified: true }),
  load: (seen) => ({ ...seen, archiveVerified: true, image: 'loaded' }),
  unload: (seen) => ({ ...seen, image: 'absent' }),
  openRim: (seen) => ({ ...seen, rimOpen: true }),
  closeRim: (seen) => ({ ...seen, rimOpen: false }),
  prepare: (seen) => ({ ...seen, instance: 'created', current: true }),
  start: (seen) => ({ ...seen, instance: 'running', status: 'none', silent: false }),
  thaw: (seen) => ({ ...seen, instance: 'running' }),
  freeze: (seen) => ({ ...seen, instance: 'frozen' }),
  stop: (seen) => ({ ...seen, instance: 'exited', status: 'none', silent: false }),
  remove: (seen) => ({ ...seen, instance: 'absent', status: 'none', silent: false }),
  fillVolumes: ({ volumes: _due, ...seen }) => seen,
  activate: (seen, order) => {
    order.activate = true;
    return seen;
  },
  standDown: (seen, order) => {
    order.activate = false;
    return { ...seen, status: seen.status === 'reading' ? 'shadow' : seen.status };
  },
  dropSecrets: (seen) => ({ ...seen, secretsHeld: false }),
  forget: (seen) => seen,
  awaitService: (seen, order) => ({ ...seen, status: order.activate ? 'reading' : 'shadow', silent: false }),
};

const exists = (seen: Seen): boolean => seen.instance !== 'absent';
const rests = (seen: Seen): boolean => seen.instance === 'created' || seen.instance === 'exited';
const running = (seen: Seen): boolean => seen.instance === 'running';

/** When a step would be a mistake, whoever planned it. */
const mistakes: Partial<Record<Step, (seen: Seen) => boolean>> = {
  prepare: (seen) => exists(seen) || seen.image === 'absent' || !seen.rimOpen,
  start: (seen) => !rests(seen),
  closeRim: (seen) => exists(seen) && !rests(seen),
  unload: (seen) => exists(seen) || seen.image !== 'loaded',
  thaw: (seen) => seen.instance !== 'frozen',
  freeze: (seen) => !running(seen) || seen.status !== 'shadow' || seen.secretsHeld,
  fillVolumes: (seen) => !running(seen) || !seen.secretsHeld || seen.status === 'reading',
  activate: (seen) => !running(seen) || !seen.secretsHeld || seen.volumes === 'due',
  remove: (seen) => !rests(seen),
  forget: (seen) => exists(seen) || seen.secretsHeld || seen.rimOpen || seen.image === 'loaded',
};

/** Carries plans out, at most so many steps of each, until there is nothing to do. */
function run(goal: Goal, from: Seen, budget: (round: number) => number): { seen: Seen; taken: Step[] } {
  let seen = from;
  const taken: Step[] = [];
  const order = { activate: false };
  for (let round = 0; round < 20; round++) {
    const plan = planService(goal, seen).filter((step) => step !== 'forget' || seen !== from);
    if (plan.length === 0 || plan.every((step) => step === 'forget')) return { seen, taken };
    for (const step of plan.slice(0, budget(round))) {
      expect({ step, seen, mistake: mistakes[step]?.(seen) ?? false }).toMatchObject({ mistake: false });
      seen = effects[step](seen, order);
      taken.push(step);
    }
  }
  throw new Error(`no end: ${taken.join(' ')}`);
}

describe('the plan of a service', () => {
  test('reaches its goal from wherever it is', () => {
    fc.assert(
      fc.property(goals, seens, (goal, from) => {
        const { seen } = run(goal, from, () => Infinity);
        const wanted = goal.desired === 'active' && !from.secretsHeld && seen.status !== 'reading';
        expect(observeService(goal, seen, false)).toBe(wanted ? 'needsSecrets' : goal.desired);
      }),
      { numRuns: 1000 },
    );
  });

  test('is empty at the goal, so that carrying it out again changes nothing', () => {
    fc.assert(
      fc.property(goals, seens, (goal, from) => {
        const { seen } = run(goal, from, () => Infinity);
        const again = planService(goal, seen);
        expect(goal.desired === 'absent' ? again : again.length).toEqual(
          goal.desired === 'absent' ? ['forget'] : 0,
        );
        expect(planService(goal, from)).toEqual(planService(goal, from));
      }),
      { numRuns: 1000 },
    );
  });

  test('finishes after having been interrupted behind any step, with the same end', () => {
    fc.assert(
      fc.property(
        goals,
        seens,
        fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 20, maxLength: 20 }),
        (goal, from, cuts) => {
          const interrupted = run(goal, from, (round) => cuts[round] ?? 1).seen;
          expect(observeService(goal, interrupted, false)).toBe(
            observeService(goal, run(goal, from, () => Infinity).seen, false),
          );
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('takes secrets away first, and never keeps them beside a service that does not act', () => {
    fc.assert(
      fc.property(goals, seens, (goal, from) => {
        const plan = planService(goal, from);
        if (goal.desired !== 'active' && from.secretsHeld) expect(plan[0]).toBe('dropSecrets');
        if (goal.desired === 'active') expect(plan).not.toContain('dropSecrets');
      }),
    );
  });

  test('a cold standby runs nothing and keeps no unpacked image; a warm one ends frozen; a hot one runs', () => {
    const nothing: Seen = {
      archiveVerified: false,
      image: 'absent',
      rimOpen: false,
      instance: 'absent',
      current: false,
      status: 'none',
      silent: false,
      secretsHeld: false,
    };
    const standby = (level: Goal['standby']) =>
      run({ desired: 'standby', standby: level }, nothing, () => Infinity);
    expect(standby('cold').taken).toEqual(['verify']);
    expect(standby('warm').taken).toEqual(['load', 'openRim', 'prepare', 'start', 'awaitService', 'freeze']);
    expect(standby('hot').taken).toEqual(['load', 'openRim', 'prepare', 'start', 'awaitService']);
    const warm = { ...standby('warm').seen, secretsHeld: true };
    expect(planService({ desired: 'active', standby: 'warm' }, warm)).toEqual(['thaw']);
    const hot = { ...standby('hot').seen, secretsHeld: true };
    expect(planService({ desired: 'active', standby: 'hot' }, hot)).toEqual(['activate', 'awaitService']);
  });
});
