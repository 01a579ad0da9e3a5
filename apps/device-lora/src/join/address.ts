import { AntirioError, type Random } from '@antirio/kernel';
import { devAddrOf, devAddrValue, type DevAddr } from '@antirio/lorawan';
import type { AddressRange } from '../options.ts';

export interface AddressPorts {
  readonly range: AddressRange;
  readonly random: Random;
  /** A device has it, or may still send with it. */
  readonly isInUse: (devAddr: DevAddr) => boolean;
  /** A join was given it once: its FCntDown goes on from there. */
  readonly wasGiven: (devAddr: DevAddr) => boolean;
}

/** Drawn by chance before the range is looked through. */
const DRAWS = 16;
/** Addresses that are looked at from there on. */
const LOOKED_AT = 65_536;

/**
 * An address for a device that joins: by chance, so that neighbours with the same range seldom give the same one; one that was never
 * given before where there is any.
 * @throws AntirioError busy where all are in use.
 */
export function freeAddress({ range, random, isInUse, wasGiven }: AddressPorts): DevAddr {
  const first = devAddrValue(range.first);
  const size = devAddrValue(range.last) - first + 1;
  const draw = (): number => new DataView(random.bytes(4).buffer).getUint32(0) % size;
  const addressAt = (index: number): DevAddr => devAddrOf(first + (index % size));
  for (let i = 0; i < DRAWS; i++) {
    const drawn = addressAt(draw());
    if (!isInUse(drawn) && !wasGiven(drawn)) return drawn;
  }
  const start = draw();
  let used: DevAddr | undefined;
  for (let i = 0; i < Math.min(size, LOOKED_AT); i++) {
    const one = addressAt(start + i);
    if (isInUse(one)) continue;
    if (!wasGiven(one)) return one;
    used ??= one;
  }
  if (used === undefined) throw new AntirioError('busy', 'all addresses of devAddrRange are in use');
  return used;
}
