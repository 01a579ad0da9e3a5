import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ObservedService } from './service-plan.ts';
import { planVersions, type SeenVersions } from './version-plan.ts';

type Desired = 'absent' | 'standby' | 'active';

const version = (serviceId: string, desired: Desired, observed: ObservedService, begunAt = 0) => ({
  record: { serviceId, desired, begunAt },
  observed,
  detail: 'as it is',
});

function seen(
  current: [Desired, ObservedService],
  next?: [Desired, ObservedService],
  more = {},
): SeenVersions {
  return {
    current: version('one', ...current),
    ...(next === undefined ? {} : { next: version('two', ...next) }),
    newest: 'two',
    nowMs: 1000,
    limitMs: 5000,
    ...more,
  };
}

function failing({ passes }: { passes: boolean }, nowMs = 1000): SeenVersions {
  const { next, ...rest } = seen(['active', 'active'], ['standby', 'failed'], { nowMs });
  const setback = { reason: 'the engine is away', passes };
  return next === undefined ? rest : { ...rest, next: { ...next, setback } };
}

const stepOf = (given: SeenVersions): string | undefined => planVersions(given)?.do;

describe('a change of versions', () => {
  test.each<[string, SeenVersions, string | undefined]>([
    ['nothing newer', seen(['active', 'active'], undefined, { newest: 'one' }), undefined],
    ['nothing loaded', seen(['active', 'active'], undefined, { newest: undefined }), undefined],
    ['a newer one', seen(['active', 'active']), 'begin'],
    ['the contract ends', seen(['absent', 'loading']), undefined],
    ['it comes up', seen(['active', 'active'], ['standby', 'loading']), undefined],
    ['it runs in shadow', seen(['active', 'active'], ['standby', 'standby']), 'takeOver'],
    ['it does not read yet', seen(['active', 'active'], ['active', 'standby']), undefined],
    ['it reads', seen(['active', 'active'], ['active', 'active']), 'swap'],
    ['the old one has failed', seen(['active', 'failed'], ['active', 'active']), 'swap'],
    ['a standby needs no more than a shadow', seen(['standby', 'standby'], ['standby', 'standby']), 'swap'],
    ['the customer is back meanwhile', seen(['standby', 'standby'], ['active', 'active']), 'stepBack'],
    ['it fails for good', failing({ passes: false }), 'giveUp'],
    ['it fails for now', failing({ passes: true }), undefined],
    ['it fails for too long', failing({ passes: true }, 5001), 'giveUp'],
    ['it takes too long', seen(['active', 'active'], ['standby', 'loading'], { nowMs: 5001 }), 'giveUp'],
    [
      'keys are missing',
      seen(['active', 'needsSecrets'], ['standby', 'loading'], { nowMs: 9999 }),
      undefined,
    ],
    ['a third one comes', seen(['active', 'active'], ['standby', 'standby'], { newest: 'three' }), 'giveUp'],
  ])('%s', (_what, given, step) => {
    expect(stepOf(given)).toBe(step);
  });

  test('whatever is seen, the old one goes only when the new one does what is wanted', () => {
    const desired = fc.constantFrom<Desired>('absent', 'standby', 'active');
    const observed = fc.constantFrom<ObservedService>(
      'absent',
      'loading',
      'standby',
      'active',
      'failed',
      'needsSecrets',
    );
    fc.assert(
      fc.property(
        fc.tuple(desired, observed),
        fc.tuple(desired, observed),
        fc.nat(20_000),
        (current, next, nowMs) => {
          if (stepOf(seen(current, next, { nowMs })) !== 'swap') return;
          expect(next[1]).toBe(current[0]);
          expect(next[0]).toBe(current[0]);
        },
      ),
      { numRuns: 500 },
    );
  });
});
