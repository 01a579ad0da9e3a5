/** Sub-bands of EU863-870 with the duty cycle of each (ETSI EN 300 220-2, annex B). */
const BANDS = [
  { name: 'K', from: 863, to: 865, ratio: 0.001 },
  { name: 'L', from: 865, to: 868, ratio: 0.01 },
  { name: 'M', from: 868, to: 868.6, ratio: 0.01 },
  { name: 'N', from: 868.7, to: 869.2, ratio: 0.001 },
  { name: 'P', from: 869.4, to: 869.65, ratio: 0.1 },
  { name: 'R', from: 869.7, to: 870, ratio: 0.01 },
] as const;
const ELSEWHERE = { name: 'none', ratio: 0.001 } as const;

const bandOf = (freqMhz: number): { readonly name: string; readonly ratio: number } =>
  BANDS.find(({ from, to }) => freqMhz >= from && freqMhz <= to) ?? ELSEWHERE;

/** When a mote may send again: each transmission is followed by a silence in its band, and by one that a network asked for. */
export interface DutyCycle {
  /** Earliest time on this frequency, ms. */
  freeAt(freqMhz: number): number;
  /** It sends from `at`, ms; all its uplinks together may take 1 / 2^maxDutyCycle of the time. */
  spend(freqMhz: number, at: number, airMs: number, maxDutyCycle: number): void;
}

/** Keeps the bands' limits only where `perBand`; what a network asked for always. */
export function createDutyCycle(perBand: boolean): DutyCycle {
  const bands = new Map<string, number>();
  let all = -Infinity;
  return {
    freeAt: (freqMhz) => Math.max(all, bands.get(bandOf(freqMhz).name) ?? -Infinity),
    spend(freqMhz, at, airMs, maxDutyCycle) {
      const { name, ratio } = bandOf(freqMhz);
      if (perBand) bands.set(name, at + airMs / ratio);
      if (maxDutyCycle > 0) all = at + airMs * 2 ** maxDutyCycle;
    },
  };
}
