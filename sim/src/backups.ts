import type { Dice } from './random.ts';
import type { Fault, When } from './scenario.ts';

/** Of the disks that know which counters were used one comes back old at a time: what all of them have forgotten nobody knows. */
export function oneOldDisk(faults: readonly Fault[]): readonly Fault[] {
  const isOld = faults.some(({ kind }) => kind === 'oldDisk');
  return isOld ? faults.filter(({ kind }) => kind !== 'oldBackup') : faults;
}

/** Disks come back from old backups. */
export function drawBackups(dice: Dice, activeMs: number): Fault[] {
  const faults: Fault[] = [];
  const when = (): When =>
    dice.chance(0.5)
      ? { at: dice.between(8000, activeMs) }
      : {
          node: dice.pick(['A', 'B']),
          enters: dice.pick(['recovering', 'retaken', 'active', 'released', 'stated']),
          delayMs: dice.between(0, 4000),
        };
  if (dice.chance(0.1))
    faults.push({
      when: when(),
      kind: 'oldLedger',
      agoMs: dice.between(1000, 15_000),
      downMs: dice.between(50, 800),
      forMs: dice.between(2000, 12_000),
    });
  if (dice.chance(0.1))
    faults.push({
      when: when(),
      kind: 'oldDisk',
      node: dice.pick(['A', 'B']),
      agoMs: dice.between(1000, 15_000),
      forMs: dice.between(200, 4000),
    });
  return faults;
}
