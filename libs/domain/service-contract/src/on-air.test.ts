import { describe, expect, test } from '@jest/globals';
import { MAX_DOWNLINK_LEAD_MS, surelyPassed } from './lease.ts';
import { actsFrom, nothingOnAir, passedAhead, startedUnder, underEpoch } from './on-air.ts';

describe('what an edge let through under an earlier epoch', () => {
  const sent = passedAhead(underEpoch(nothingOnAir, 1), 2900, 10_000);

  test('is on air before it acts under the next one', () => {
    expect(actsFrom(sent, 9000)).toBe(9000);
    const next = underEpoch(sent, 3);
    expect(actsFrom(next, 10_400)).toBe(10_000 + surelyPassed(2900));
    expect(actsFrom(next, 14_000)).toBe(14_000);
  });

  test('counts over all epochs since, and for as long as its last frame', () => {
    const both = passedAhead(underEpoch(passedAhead(sent, 100, 10_100), 2), 100, 10_500);
    expect(actsFrom(underEpoch(both, 3), 0)).toBe(10_000 + surelyPassed(2900));
    expect(underEpoch(both, 1)).toBe(both);
  });

  test('is not known after a start: as much is waited for as there can be, once there was an epoch', () => {
    const later = 500 + surelyPassed(MAX_DOWNLINK_LEAD_MS);
    expect(actsFrom(underEpoch(startedUnder(4, 500), 5), 0)).toBe(later);
    // nor whether there was an earlier one, of which a frame may be ahead yet
    expect(actsFrom(underEpoch(startedUnder(4, 500), 4), 0)).toBe(later);
    expect(actsFrom(underEpoch(startedUnder(0, 500), 1), 0)).toBe(0);
  });
});
