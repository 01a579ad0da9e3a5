import { describe, expect, test } from '@jest/globals';
import type { StoredEvent } from '../stored-events.ts';
import type { Flown } from './journey.ts';
import { expectedOf, judgeFrames } from './verdict.ts';

const FRAMES = 4;
const expected = expectedOf('7', FRAMES);
const landed = { captured: FRAMES, acknowledged: FRAMES, dropped: 0, left: 0 };
const rest = { failedAttempts: 0, mostWaiting: 1, handed: [] };
const acks = [0, 1, 2, 3].map((sequence) => ({
  ...{ sequence, leg: 0, capturedAt: 0, ackedAt: 0, bytes: 1, eventBytes: 1 },
}));
const flown: Flown = { landed: { ...landed, ...rest }, acks };

function eventOf(
  sequence: number,
  id = `event-${sequence}`,
  change: Record<string, string> = {},
): StoredEvent {
  const values = { ...expected.get(String(sequence)), ...change };
  const readings = Object.entries(values).map(([resourceName, value]) => ({ resourceName, value }));
  return { id, deviceName: 'drone-1', readings };
}
const all = [0, 1, 2, 3].map((sequence) => eventOf(sequence));
const judge = (events: readonly StoredEvent[]) => judgeFrames(events, expected, flown);

describe('the verdict on a flight', () => {
  test('everything at home once', () => {
    expect(judge(all)).toMatchObject({ sent: 4, acknowledged: 4, atHome: 4, lost: 0, doubled: 0, forged: 0 });
  });

  test('a frame that is not there is lost', () => {
    expect(judge(all.slice(1))).toMatchObject({ atHome: 3, lost: 1, doubled: 0, forged: 0 });
  });

  test('a second event of one frame is a double, whatever its id', () => {
    expect(judge([...all, eventOf(2, 'another')])).toMatchObject({
      atHome: 4,
      lost: 0,
      doubled: 1,
      forged: 0,
    });
  });

  test('an event that says what the camera did not see is forged', () => {
    const said = { lost: 0, doubled: 0, forged: 1 };
    expect(judge([...all, eventOf(2, 'x', { Brightness: '1' })])).toMatchObject(said);
    expect(judge([...all, eventOf(2, 'x', { More: '1' })])).toMatchObject(said);
    expect(judge([...all, eventOf(1, 'x', { Sequence: '99' })])).toMatchObject(said);
    expect(judge([eventOf(0, 'x', { Digest: '00' }), ...all.slice(1)])).toMatchObject({ lost: 1, forged: 1 });
  });
});
