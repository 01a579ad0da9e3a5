import { describe, expect, test } from '@jest/globals';
import { terms as base } from './contract.fixture.ts';
import {
  answersForReady,
  areMotesDeaf,
  downlinkDrillProblem,
  downlinkView,
  motesThatAnswered,
  nextSample,
  nextSampleAt,
  noteDownlink,
  type DownlinkShare,
} from './downlink-drill.ts';
import { contractTerms, readTerms, type ContractTerms } from './terms.ts';

const devices = Array.from({ length: 3 }, (_, i) => ({
  devEui: `00000000000000a${i}`,
  devAddr: `0000000${i}`,
}));
const withDrills = (downlinkDrills: object): ContractTerms =>
  contractTerms.parse({ ...base, set: { ...base.set, devices }, downlinkDrills });
const shareOf = (results: string, devEui = '00000000000000a0'): DownlinkShare => ({ devEui, results, at: 1 });

describe('terms of drill downlinks', () => {
  test('of contracts from before ask for none', () => {
    const { downlinkDrills: _none, ...old } = contractTerms.parse(base);
    expect(readTerms(old as ContractTerms).downlinkDrills).toEqual({
      ...{ motes: 0, everyS: 86_400, forReady: 0, degradedBelow: 0 },
    });
  });

  test('ask for no more than there is to be had', () => {
    expect(answersForReady(withDrills({ motes: 2, forReady: 2 }))).toBe(2);
    expect(answersForReady(withDrills({ motes: 2, forReady: 60 }))).toBe(3);
    expect(downlinkDrillProblem(withDrills({ motes: 2, forReady: 2 }))).toBeUndefined();
    expect(downlinkDrillProblem(withDrills({ forReady: 2 }))).toMatch(/sampled/);
    expect(downlinkDrillProblem(withDrills({ degradedBelow: 2 }))).toMatch(/sampled/);
    const relay = { ...withDrills({ motes: 1 }), confidentiality: 'relay' } as const;
    expect(downlinkDrillProblem(relay)).toMatch(/never acts/);
  });
});

describe('what sensors answered', () => {
  test('is kept by sensor, the newest 64, with the margin that was told last', () => {
    let share = noteDownlink(undefined, { ...{ devEui: 'a', at: 1 }, answered: true, margin: 9 });
    share = noteDownlink(share, { ...{ devEui: 'a', at: 2 }, answered: false });
    expect(share).toEqual({ ...{ devEui: 'a', results: '10', at: 2, margin: 9 }, times: [1, 2] });
    for (let i = 0; i < 100; i++) share = noteDownlink(share, { devEui: 'a', at: i, answered: true });
    expect(share.results).toBe('1'.repeat(64));
    expect(share.times).toEqual([96, 97, 98, 99]);
    // kept before times were
    expect(noteDownlink(shareOf('01'), { devEui: 'a', at: 5, answered: true })).toMatchObject({
      ...{ results: '011', times: [1, 5] },
    });
  });

  test('bounds the share from below with 99.9 %', () => {
    expect(downlinkView(shareOf('1'))).toMatchObject({ sent: 1, answered: 1 });
    expect(downlinkView(shareOf('1')).atLeast).toBeCloseTo(0.001);
    expect(downlinkView(shareOf('1'.repeat(64))).atLeast).toBeCloseTo(0.001 ** (1 / 64));
    expect(downlinkView(shareOf('0'.repeat(64))).atLeast).toBe(0);
    expect(motesThatAnswered([shareOf('001'), shareOf('00'), shareOf('1')])).toBe(2);
  });

  test('tells that too few hear only where that is sure, and by the newest', () => {
    const terms = withDrills({ motes: 3, degradedBelow: 500 });
    const all = (results: string): DownlinkShare[] => devices.map(({ devEui }) => shareOf(results, devEui));
    expect(areMotesDeaf(terms, [])).toBe(false);
    // 9 missed: the bound is 0.536; 12: 0.438
    expect(areMotesDeaf(terms, all('000'))).toBe(false);
    expect(areMotesDeaf(terms, all('0000'))).toBe(true);
    expect(areMotesDeaf(terms, all('11110000'))).toBe(true);
    expect(areMotesDeaf(terms, all('0000000011'))).toBe(false);
    expect(areMotesDeaf(withDrills({ motes: 3 }), all('0000'))).toBe(false);
  });

  test.each([500, 50, 900])(
    'is judged by what was sent last: of a hundred sensors, below %d thousandths',
    (degradedBelow) => {
      const terms = withDrills({ motes: 5, degradedBelow });
      const shares = new Map<string, DownlinkShare>();
      const send = (at: number, answered: boolean): void => {
        const devEui = String(at % 100);
        shares.set(devEui, noteDownlink(shares.get(devEui), { devEui, at, answered }));
      };
      let at = 0;
      while (at < 400) send(at++, false);
      expect(areMotesDeaf(terms, [...shares.values()])).toBe(true);
      while (areMotesDeaf(terms, [...shares.values()])) send(at++, true);
      // its antenna is mended: no more is asked of it than shows that
      expect(at - 400).toBeLessThanOrEqual(64);
      while (!areMotesDeaf(terms, [...shares.values()])) send(at++, false);
      expect(at - 400).toBeLessThanOrEqual(400);
    },
  );
});

describe('samples', () => {
  test('come as often as the terms say, and one after the other while READY waits for them', () => {
    const terms = withDrills({ motes: 1, everyS: 600, forReady: 1 });
    const [validated, ready, deaf] = [
      { state: 'VALIDATED', areDeaf: false },
      { state: 'READY', areDeaf: false },
      { state: 'DEGRADED', areDeaf: true },
    ];
    expect(nextSampleAt(terms, validated, undefined)).toBe(-Infinity);
    expect(nextSampleAt(terms, validated, 1000)).toBe(11_000);
    expect(nextSampleAt(terms, ready, 1000)).toBe(601_000);
    expect(nextSampleAt(withDrills({ motes: 1, everyS: 600 }), validated, 1000)).toBe(601_000);
    // of one that is not heard as often as it sends any: it may have mended its antenna
    expect(nextSampleAt(terms, deaf, 1000)).toBe(57_250);
    expect(nextSampleAt(withDrills({ motes: 64 }), deaf, 0)).toBe(3_600_000);
    expect(nextSampleAt(withDrills({ motes: 64, everyS: 60 }), deaf, 0)).toBe(60_000);
  });

  test('take sensors in turn', () => {
    const terms = withDrills({ motes: 2 });
    const [a, b, c] = devices.map(({ devEui }) => devEui);
    const all = (): boolean => true;
    expect(nextSample(terms, () => undefined, all)).toEqual([a, b]);
    const tried = new Map([
      [a, 5],
      [b, 3],
    ]);
    expect(nextSample(terms, (devEui) => tried.get(devEui), all)).toEqual([c, b]);
    // another provider's now: the next in turn
    expect(
      nextSample(
        terms,
        (devEui) => tried.get(devEui),
        (devEui) => devEui !== b,
      ),
    ).toEqual([c, a]);
  });
});
