import type { Row } from './rows.ts';

/** Distinct frames that wait under one counter of one device from one source: more are forgeries for sure. */
export const FRAMES_PER_SLOT = 4;

const keyOf = (row: Row): number => row.devAddr * 0x1_0000 + row.fcnt16;

/** Finds the frames of a ring by (DevAddr, FCnt16), and counts the bytes of each device. */
export interface Slots {
  /** The sequence number under which these very bytes are held. */
  find(row: Row): number | undefined;
  /** Everything held under a device's counter. */
  under(devAddr: number, fcnt16: number): readonly number[];
  /** Whether another frame from this source fits under its counter, beside those that came after `acknowledged`. */
  hasRoom(row: Row, acknowledged: number): boolean;
  /** Bytes that a device holds. */
  bytesOf(devAddr: number): number;
  readonly bytes: number;
  readonly count: number;
  add(seq: number, row: Row): void;
  remove(seq: number, row: Row): void;
}

export function createSlots(rowOf: (seq: number) => Row): Slots {
  // one frame for itself, not in a list: nearly all counters have but one, and lists would be most of what a ring holds in memory
  const slots = new Map<number, number | readonly number[]>();
  const at = (key: number): readonly number[] => {
    const held = slots.get(key) ?? [];
    return typeof held === 'number' ? [held] : held;
  };
  const put = (key: number, seqs: readonly number[]): void => {
    const [first, ...more] = seqs;
    if (first === undefined) slots.delete(key);
    else slots.set(key, more.length === 0 ? first : seqs);
  };
  const perDevice = new Map<number, number>();
  let bytes = 0;
  let count = 0;
  const charge = (devAddr: number, amount: number): void => {
    const left = (perDevice.get(devAddr) ?? 0) + amount;
    if (left > 0) perDevice.set(devAddr, left);
    else perDevice.delete(devAddr);
    bytes += amount;
  };
  return {
    find: (row) => at(keyOf(row)).find((seq) => rowOf(seq).digest === row.digest),
    under: (devAddr, fcnt16) => at(devAddr * 0x1_0000 + fcnt16),
    hasRoom(row, acknowledged) {
      const same = at(keyOf(row)).filter((seq) => seq > acknowledged && rowOf(seq).radio === row.radio);
      return same.length < FRAMES_PER_SLOT;
    },
    bytesOf: (devAddr) => perDevice.get(devAddr) ?? 0,
    get bytes() {
      return bytes;
    },
    get count() {
      return count;
    },
    add(seq, row) {
      const key = keyOf(row);
      put(key, [...at(key), seq]);
      charge(row.devAddr, row.length);
      count += 1;
    },
    remove(seq, row) {
      const key = keyOf(row);
      put(
        key,
        at(key).filter((other) => other !== seq),
      );
      charge(row.devAddr, -row.length);
      count -= 1;
    },
  };
}
