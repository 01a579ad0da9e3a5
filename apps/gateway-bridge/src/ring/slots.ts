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
  const slots = new Map<number, number[]>();
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
    find: (row) => slots.get(keyOf(row))?.find((seq) => rowOf(seq).digest === row.digest),
    under: (devAddr, fcnt16) => slots.get(devAddr * 0x1_0000 + fcnt16) ?? [],
    hasRoom(row, acknowledged) {
      const same = (slots.get(keyOf(row)) ?? []).filter(
        (seq) => seq > acknowledged && rowOf(seq).radio === row.radio,
      );
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
      const slot = slots.get(key);
      if (slot === undefined) slots.set(key, [seq]);
      else slot.push(seq);
      charge(row.devAddr, row.length);
      count += 1;
    },
    remove(seq, row) {
      const key = keyOf(row);
      const rest = (slots.get(key) ?? []).filter((other) => other !== seq);
      if (rest.length > 0) slots.set(key, rest);
      else slots.delete(key);
      charge(row.devAddr, -row.length);
      count -= 1;
    },
  };
}
