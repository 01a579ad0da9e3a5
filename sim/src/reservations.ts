import { provenWithin, type Reservation, type nextBlock as nextBlockOf } from '@antirio/service-contract';
import type { Host } from './host.ts';

/** What the centre keeps of FCntDown, by DevAddr. */
export interface CounterRecords {
  /** Highest block given out. */
  blocks: Map<string, number>;
  /** The highest counter that a device surely heard, as far as those who sent to it have told. */
  readonly proven: Map<string, number>;
}

export interface GivenBlock {
  readonly devAddr: string;
  readonly index: number;
  readonly proven?: number;
}

/** Gives blocks as the grantor's store does: each on the disk before it is told, with what is known of the device's hearing. */
export function reserveBlocks(
  wanted: readonly Reservation[],
  disk: CounterRecords,
  host: Host,
  nextBlock: typeof nextBlockOf,
  onGiven: (devAddr: string, index: number) => void,
): GivenBlock[] {
  return wanted.map(({ devAddr, slot, above, proven: told }) => {
    const given = Math.max(disk.blocks.get(devAddr) ?? -1, above);
    const index = nextBlock(slot, given);
    disk.blocks.set(devAddr, index);
    onGiven(devAddr, index);
    const heard = [disk.proven.get(devAddr), told].flatMap((one) => provenWithin(one, given) ?? []);
    if (heard.length > 0) disk.proven.set(devAddr, Math.max(...heard));
    host.wrote('block reserved');
    return { devAddr, index, ...(heard.length === 0 ? {} : { proven: Math.max(...heard) }) };
  });
}
