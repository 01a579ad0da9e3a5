import { describe, expect, test } from '@jest/globals';
import { AntirioError } from '@antirio/kernel';
import { createAlarm } from './checks.ts';
import type { SentRecord, Standing } from './records.ts';
import {
  failureOf,
  HELD,
  isLost,
  isOnItsWay,
  newsOf,
  noted,
  versionBefore,
  type Outcome,
} from './sent-state.ts';

const ONE = { imageCid: 'image-1', configCid: 'config-1' };
const TWO = { imageCid: 'image-2', configCid: 'config-2' };
const THREE = { imageCid: 'image-3', configCid: 'config-3' };
const base = { contractId: 'c', providerEdgeId: 'B', imageName: 's', createdAt: 1 };
const sent: SentRecord = { ...base, ...TWO, state: 'SENT', previous: ONE };
const LOST = failureOf(new AntirioError('notFound', 'no such block'));
const AWAY = failureOf(new AntirioError('unavailable', 'no answer'));
const standing = (state: Standing['state']): Standing => ({ state, reason: 'why', checkedAt: 9 });

/** What the orchestrator is told over a row of checks. */
function told(...checks: [Standing | undefined, Outcome, Outcome | undefined][]): unknown[] {
  const letters: unknown[] = [];
  const alarm = createAlarm(({ json }) => letters.push(json));
  let record = sent;
  for (const [checkedAt, [at, outcome, before]] of checks.entries()) {
    const now = noted(record, { standing: at, outcome, before, checkedAt });
    const { what, held } = newsOf(record, now);
    alarm(what, { ok: record.alarmed !== true, checkedAt: 0 }, held);
    record = now;
  }
  return letters;
}

describe('what a customer is told of a version at its provider', () => {
  test('a version that is not there yet is no loss while the one before is held', () => {
    expect(told([standing('COMING'), LOST, HELD], [undefined, LOST, HELD])).toEqual([]);
  });

  test('neither version there is a loss, told once, and its end', () => {
    expect(
      told(
        [standing('COMING'), LOST, HELD],
        [undefined, LOST, LOST],
        [undefined, LOST, LOST],
        [undefined, LOST, HELD],
      ),
    ).toMatchObject([
      { ok: false, imageCid: 'image-2' },
      { ok: true, imageCid: 'image-1' },
    ]);
  });

  test('a provider that cannot be reached has lost nothing, and what it has lost is told after that, too', () => {
    expect(told([undefined, AWAY, undefined], [undefined, AWAY, undefined])).toEqual([]);
    expect(told([undefined, AWAY, undefined], [undefined, LOST, LOST])).toMatchObject([{ ok: false }]);
    expect(
      told([undefined, LOST, LOST], [undefined, AWAY, undefined], [undefined, HELD, undefined]),
    ).toMatchObject([{ ok: false }, { ok: true }]);
  });

  test('that it was given up is told once, with the reason', () => {
    const out: [Standing, Outcome, Outcome] = [standing('GIVEN_UP'), LOST, HELD];
    expect(told(out, out, [standing('GIVEN_UP'), AWAY, AWAY])).toMatchObject([
      { ok: true, imageCid: 'image-1', givenUp: { imageCid: 'image-2', reason: 'why' } },
    ]);
  });
});

describe('another version', () => {
  test.each<[string, Partial<SentRecord>, object | undefined]>([
    ['of one that runs, or of which nothing is known, has that before it', {}, TWO],
    ['of one that runs has that before it', { atProvider: standing('RUNS') }, TWO],
    ['of one that was given up has the one before that', { atProvider: standing('GIVEN_UP') }, ONE],
    ['of one that is still on its way has the one before that', { atProvider: standing('COMING') }, ONE],
  ])('%s', (_what, more, previous) => {
    expect(versionBefore({ ...sent, ...more }, { ...base, ...THREE }).previous).toEqual(previous);
  });

  test('and how that is held is known on', () => {
    const previousHeld = { ok: true, checkedAt: 3 };
    const known = { ...sent, atProvider: standing('GIVEN_UP'), previousHeld, alarmed: false };
    expect(versionBefore(known, { ...base, ...THREE })).toEqual({
      previous: ONE,
      previousHeld,
      alarmed: false,
    });
    expect(versionBefore(known, { ...base, ...TWO })).toEqual({
      previous: ONE,
      previousHeld,
      alarmed: false,
    });
  });
});

test.each<[string, Partial<SentRecord>, boolean, boolean]>([
  ['one that is given up', { atProvider: standing('GIVEN_UP') }, true, false],
  ['one that failed', { atProvider: standing('FAILED') }, true, false],
  ['one that was let go', { atProvider: standing('GONE') }, true, false],
  ['one that was refused', { state: 'REFUSED' }, true, false],
  [
    'one that the provider has lost',
    { alarmed: true, heldByProvider: { ok: false, checkedAt: 1 } },
    true,
    true,
  ],
  ['one whose provider is away', { heldByProvider: { ok: false, checkedAt: 1 } }, false, true],
  [
    'one that comes',
    { atProvider: standing('COMING'), heldByProvider: { ok: true, checkedAt: 1 } },
    false,
    true,
  ],
  [
    'one that runs',
    { atProvider: standing('RUNS'), heldByProvider: { ok: true, checkedAt: 1 } },
    false,
    false,
  ],
])('%s: sent anew %p', (_what, more, lost, onItsWay) => {
  expect([isLost({ ...sent, ...more }), isOnItsWay({ ...sent, ...more })]).toEqual([lost, onItsWay]);
});
