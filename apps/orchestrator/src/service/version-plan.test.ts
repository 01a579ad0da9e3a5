import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ObservedService } from './service-plan.ts';
import { planVersions, type SeenVersions } from './version-plan.ts';

type Desired = 'absent' | 'standby' | 'active';
type Next = SeenVersions['next'] & {};

const version = (
  serviceId: string,
  desired: Desired,
  observed: ObservedService,
  { record, ...more }: Partial<Omit<Next, 'record'>> & { record?: Partial<Next['record']> } = {},
): Next => ({
  record: { serviceId, desired, begunAt: 0, ...record },
  observed,
  detail: 'as it is',
  stopped: false,
  ...more,
});

function seen(
  current: [Desired, ObservedService, Parameters<typeof version>[3]?],
  next?: [Desired, ObservedService, Parameters<typeof version>[3]?],
  more = {},
): SeenVersions {
  return {
    current: version('one', ...current),
    ...(next === undefined ? {} : { next: version('two', ...next) }),
    newest: 'two',
    nowMs: 1000,
    limitMs: 5000,
    haltedLimitMs: 2000,
    ...more,
  };
}

const stepOf = (given: SeenVersions): string | undefined => planVersions(given)?.do;

const away = { setback: { reason: 'the engine is away', passes: true } };
const wrong = { setback: { reason: 'another image', passes: false } };
const stopped = { stopped: true };
const taken = { record: { data: 'taken' as const, haltedAt: 900 }, stopped: true };
const given = { record: { data: 'given' as const, haltedAt: 900 } };
const back = { record: { data: 'back' as const, haltedAt: 900 } };
const inVain = { record: { inVain: { times: 1, reason: 'ended by itself', notBefore: 1500 } } };

describe('a change of versions', () => {
  test.each<[string, SeenVersions, string | undefined]>([
    ['nothing newer', seen(['active', 'active'], undefined, { newest: 'one' }), undefined],
    ['nothing loaded', seen(['active', 'active'], undefined, { newest: undefined }), undefined],
    ['a newer one', seen(['active', 'active']), 'begin'],
    ['the contract ends', seen(['absent', 'loading']), undefined],
    ['it comes up', seen(['active', 'active'], ['standby', 'loading']), undefined],
    ['it runs in shadow', seen(['active', 'active'], ['standby', 'standby']), 'halt'],
    ['a standby is halted as well', seen(['standby', 'standby'], ['standby', 'standby']), 'halt'],
    ['the old one has failed', seen(['active', 'failed'], ['standby', 'standby']), 'halt'],
    ['it fails for good', seen(['active', 'active'], ['standby', 'failed', wrong]), 'giveUp'],
    ['it fails for now', seen(['active', 'active'], ['standby', 'failed', away]), undefined],
    [
      'it fails for too long',
      seen(['active', 'active'], ['standby', 'failed', away], { nowMs: 5001 }),
      'giveUp',
    ],
    ['it takes too long', seen(['active', 'active'], ['standby', 'loading'], { nowMs: 5001 }), 'giveUp'],
    [
      'keys are missing',
      seen(['active', 'needsSecrets'], ['standby', 'loading'], { nowMs: 9999 }),
      undefined,
    ],
    ['a third one comes', seen(['active', 'active'], ['standby', 'standby'], { newest: 'three' }), 'giveUp'],
    ['it was in vain lately', seen(['active', 'active'], ['standby', 'standby', inVain]), undefined],
    [
      'it was in vain a while ago',
      seen(['active', 'active'], ['standby', 'standby', inVain], { nowMs: 1500 }),
      'halt',
    ],
    ['the old one still runs', seen(['active', 'active'], ['standby', 'loading', taken]), undefined],
    [
      'the new one still runs',
      seen(['active', 'loading', stopped], ['standby', 'standby', { ...taken, stopped: false }]),
      undefined,
    ],
    ['both are stopped', seen(['active', 'loading', stopped], ['standby', 'loading', taken]), 'give'],
    [
      'the old one cannot be stopped',
      seen(['active', 'active'], ['standby', 'loading', taken], { nowMs: 2901 }),
      'takeBack',
    ],
    [
      'it comes up with the data',
      seen(['active', 'loading', stopped], ['standby', 'loading', given]),
      undefined,
    ],
    [
      'it runs with the data',
      seen(['active', 'loading', stopped], ['standby', 'standby', given]),
      'takeOver',
    ],
    ['it does not read yet', seen(['active', 'loading', stopped], ['active', 'standby', given]), undefined],
    ['it reads', seen(['active', 'loading', stopped], ['active', 'active', given]), 'swap'],
    [
      'it reads at last',
      seen(['active', 'loading', stopped], ['active', 'active', given], { nowMs: 9999 }),
      'swap',
    ],
    [
      'a third one comes late',
      seen(['active', 'loading', stopped], ['active', 'active', given], { newest: 'three' }),
      'swap',
    ],
    [
      'a standby needs no more than a shadow',
      seen(['standby', 'loading', stopped], ['standby', 'standby', given]),
      'swap',
    ],
    [
      'the customer is back meanwhile',
      seen(['standby', 'loading', stopped], ['active', 'active', given]),
      'stepBack',
    ],
    [
      'it fails with the data',
      seen(['active', 'loading', stopped], ['standby', 'failed', { ...given, ...away }]),
      'takeBack',
    ],
    [
      'it hangs with the data',
      seen(['active', 'loading', stopped], ['active', 'loading', given], { nowMs: 2901 }),
      'takeBack',
    ],
    [
      'keys are missing then',
      seen(['active', 'needsSecrets', stopped], ['active', 'needsSecrets', given], { nowMs: 9999 }),
      undefined,
    ],
    [
      'it still runs when it is taken back',
      seen(['active', 'loading', stopped], ['standby', 'active', back]),
      undefined,
    ],
    [
      'it is stopped',
      seen(['active', 'loading', stopped], ['standby', 'loading', { ...back, stopped: true }]),
      'resume',
    ],
  ])('%s', (_what, now, step) => {
    expect(stepOf(now)).toBe(step);
  });

  const desired = fc.constantFrom<Desired>('absent', 'standby', 'active');
  const observed = fc.constantFrom<ObservedService>(
    'absent',
    'loading',
    'standby',
    'active',
    'failed',
    'needsSecrets',
  );
  const data = fc.constantFrom('taken' as const, 'given' as const, 'back' as const, undefined);
  const any = fc.record({ desired, observed, stopped: fc.boolean() });

  test('whatever is seen, the old one goes only when the new one has its data and does what is wanted', () => {
    fc.assert(
      fc.property(any, any, data, fc.nat(20_000), (current, next, has, nowMs) => {
        const record = has === undefined ? {} : { data: has, haltedAt: 0 };
        const now = seen(
          [current.desired, current.observed, { stopped: current.stopped }],
          [next.desired, next.observed, { stopped: next.stopped, record }],
          { nowMs },
        );
        const step = stepOf(now);
        if (step === 'swap')
          expect([has, next.observed, next.desired]).toEqual(['given', current.desired, current.desired]);
        // Nobody copies from, or runs beside, what may still be at work
        if (step === 'give') expect([current.stopped, next.stopped, has]).toEqual([true, true, 'taken']);
        if (step === 'resume') expect([next.stopped, has]).toEqual([true, 'back']);
        if (step === 'takeOver') expect(has).toBe('given');
        if (step === 'giveUp') expect(has).toBeUndefined();
      }),
      { numRuns: 2000 },
    );
  });
});
