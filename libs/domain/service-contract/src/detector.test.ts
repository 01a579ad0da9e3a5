import { describe, expect, test } from '@jest/globals';
import {
  createDetector,
  currentNonce,
  heardBeat,
  isFresh,
  isSuspect,
  rotateNonce,
  suspicionAt,
} from './detector.ts';

const options = { intervalMs: 200, missedBeats: 3 };
const beat = (
  sequence: number,
  echo: string,
  bootId = 'boot',
): { bootId: string; sequence: number; echo: string } => ({
  bootId,
  sequence,
  echo,
});

describe('the detector', () => {
  test('suspects after three missed beats and not before', () => {
    let detector = createDetector(options, 'secret', 0);
    for (let i = 1; i <= 10; i++) detector = heardBeat(detector, beat(i, currentNonce(detector)), i * 200);
    expect(isSuspect(detector, 2000 + 599)).toBe(false);
    expect(isSuspect(detector, 2000 + 650)).toBe(true);
  });

  test('waits longer where beats come irregularly', () => {
    let steady = createDetector(options, 'secret', 0);
    let jittery = createDetector(options, 'secret', 0);
    for (let i = 1; i <= 20; i++) {
      steady = heardBeat(steady, beat(i, currentNonce(steady)), i * 200);
      jittery = heardBeat(jittery, beat(i, currentNonce(jittery)), i * 200 + (i % 2) * 80);
    }
    expect(suspicionAt(jittery) - jittery.lastHeardAt).toBeGreaterThan(
      suspicionAt(steady) - steady.lastHeardAt,
    );
  });

  test('takes no recorded beat for life: old sequence, unknown boot, stale nonce', () => {
    let detector = createDetector(options, 'secret', 0);
    const old = currentNonce(detector);
    detector = heardBeat(detector, beat(5, old), 100);
    expect(heardBeat(detector, beat(5, old), 300)).toBe(detector);
    expect(heardBeat(detector, beat(4, old), 300)).toBe(detector);
    for (let i = 1; i <= 4; i++) detector = rotateNonce(detector, i * 500, 500);
    expect(isFresh(detector, old)).toBe(false);
    expect(heardBeat(detector, beat(6, old), 2100)).toBe(detector);
    expect(heardBeat(detector, beat(1, old, 'reboot'), 2100)).toBe(detector);
    expect(heardBeat(detector, beat(1, currentNonce(detector), 'reboot'), 2100).lastHeardAt).toBe(2100);
  });
});
