/** A frame as a buffer knows it. */
export interface Buffered {
  /** As a number. */
  readonly devAddr: number;
  readonly fcnt16: number;
  /** Of all its bytes: a forgery may have the same MIC, but not this. */
  readonly digest: bigint;
  /** Bytes that it takes. */
  readonly length: number;
  /** Heard by radio, not fetched. */
  readonly radio: boolean;
}

/** Distinct frames that wait under one counter of one device from one source: more are forgeries for sure. */
const FRAMES_PER_SLOT = 4;

const keyOf = (row: Pick<Buffered, 'devAddr' | 'fcnt16'>): number => row.devAddr * 0x1_0000 + row.fcnt16;

/** Finds the frames of a buffer by (DevAddr, FCnt16), and counts the bytes of each device. */
export interface Slots {
  /** The sequence number under which these very bytes are held. */
  find(row: Buffered): number | undefined;
  /** Everything held under a device's counter. */
  under(devAddr: number, fcnt16: number): readonly number[];
  /** Whether another frame from this source fits under its counter, beside those that came after `acknowledged`. */
  hasRoom(row: Buffered, acknowledged: number): boolean;
  /** Bytes that a device holds. */
  bytesOf(devAddr: number): number;
  /** Those of them that nobody has acknowledged. */
  pendingOf(devAddr: number): number;
  /** The same of the counters from one on, over the rollover. */
  pendingWithin(devAddr: number, fcnt16: number, count: number): number;
  readonly bytes: number;
  readonly count: number;
  add(seq: number, row: Buffered): void;
  remove(seq: number, row: Buffered): void;
  /** All frames up to this one are acknowledged. */
  acknowledge(through: number): void;
}

export function createSlots(
  rowOf: (seq: number) => Buffered,
  has: (seq: number) => boolean,
  after = 0,
): Slots {
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
  const pending = new Map<number, number>();
  let acknowledged = after;
  let bytes = 0;
  let count = 0;
  const charge = (to: Map<number, number>, devAddr: number, amount: number): void => {
    const left = (to.get(devAddr) ?? 0) + amount;
    if (left > 0) to.set(devAddr, left);
    else to.delete(devAddr);
  };
  return {
    find: (row) => at(keyOf(row)).find((seq) => rowOf(seq).digest === row.digest),
    under: (devAddr, fcnt16) => at(devAddr * 0x1_0000 + fcnt16),
    hasRoom(row, acknowledged) {
      const same = at(keyOf(row)).filter((seq) => seq > acknowledged && rowOf(seq).radio === row.radio);
      return same.length < FRAMES_PER_SLOT;
    },
    bytesOf: (devAddr) => perDevice.get(devAddr) ?? 0,
    pendingOf: (devAddr) => pending.get(devAddr) ?? 0,
    pendingWithin(devAddr, fcnt16, among) {
      let sum = 0;
      for (let i = 0; i < among; i++)
        for (const seq of at(devAddr * 0x1_0000 + ((fcnt16 + i) & 0xffff)))
          if (seq > acknowledged) sum += rowOf(seq).length;
      return sum;
    },
    get bytes() {
      return bytes;
    },
    get count() {
      return count;
    },
    add(seq, row) {
      const key = keyOf(row);
      put(key, [...at(key), seq]);
      charge(perDevice, row.devAddr, row.length);
      if (seq > acknowledged) charge(pending, row.devAddr, row.length);
      bytes += row.length;
      count += 1;
    },
    remove(seq, row) {
      const key = keyOf(row);
      put(
        key,
        at(key).filter((other) => other !== seq),
      );
      charge(perDevice, row.devAddr, -row.length);
      if (seq > acknowledged) charge(pending, row.devAddr, -row.length);
      bytes -= row.length;
      count -= 1;
    },
    acknowledge(through) {
      for (; acknowledged < through; acknowledged++) {
        const seq = acknowledged + 1;
        if (!has(seq)) continue;
        const row = rowOf(seq);
        charge(pending, row.devAddr, -row.length);
      }
    },
  };
}
