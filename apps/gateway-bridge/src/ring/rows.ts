import type { Buffered } from '@antirio/shadow-buffer';

/** What is kept in memory of a record: where it is and how to tell it from others. Its digest is the first 8 bytes of its leaf hash. */
export interface Row extends Buffered {
  /** Of the framed record in its segment, which has `length` bytes. */
  readonly offset: number;
  /** The four bytes as a number. */
  readonly mic: number;
  readonly receivedAt: number;
}

export interface Rows {
  readonly count: number;
  push(row: Row): void;
  at(index: number): Row;
}

const STRIDE = 40;

/** Rows in one buffer: an hour of frames of a busy edge costs a few megabytes, not tens of them. */
export function createRows(): Rows {
  let view = new DataView(new ArrayBuffer(STRIDE * 64));
  let count = 0;
  return {
    get count() {
      return count;
    },
    push(row) {
      const at = count * STRIDE;
      if (at === view.byteLength) {
        const grown = new Uint8Array(view.byteLength * 2);
        grown.set(new Uint8Array(view.buffer));
        view = new DataView(grown.buffer);
      }
      view.setUint32(at, row.offset);
      view.setUint32(at + 4, row.length);
      view.setUint32(at + 8, row.devAddr);
      view.setUint32(at + 12, row.mic);
      view.setBigUint64(at + 16, row.digest);
      view.setFloat64(at + 24, row.receivedAt);
      view.setUint16(at + 32, row.fcnt16);
      view.setUint8(at + 34, row.radio ? 1 : 0);
      count += 1;
    },
    at(index) {
      const at = index * STRIDE;
      return {
        offset: view.getUint32(at),
        length: view.getUint32(at + 4),
        devAddr: view.getUint32(at + 8),
        mic: view.getUint32(at + 12),
        digest: view.getBigUint64(at + 16),
        receivedAt: view.getFloat64(at + 24),
        fcnt16: view.getUint16(at + 32),
        radio: view.getUint8(at + 34) === 1,
      };
    },
  };
}
