import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, unlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { AntirioError, fromHex, toHex } from '@antirio/kernel';
import { openAppendLog, type AppendLog } from '@antirio/host';
import { devAddrValue, parseDataFrame } from '@antirio/lorawan';
import { RADIO } from '../frame.ts';
import { createFrontier, leafHash, type Frontier, type FrontierState } from './frontier.ts';
import {
  decodeRecord,
  encodeControl,
  type Control,
  type Drops,
  type PullPosition,
  type StoredFrame,
} from './record.ts';
import { createRows, type Row, type Rows } from './rows.ts';

/** Length and checksum before each record of an append log. */
const LOG_HEADER = 8;
const READ_AT_ONCE = 1 << 20;

/** One file of a ring. */
export interface Segment {
  readonly path: string;
  readonly firstSeq: number;
  readonly rows: Rows;
  /** The tree before its first frame. */
  readonly before: FrontierState;
}

/** What a ring's log says besides its frames. */
export interface RingState {
  acknowledged: number;
  /** One for each source, the one that was read last at the end. */
  pulled: readonly PullPosition[];
  drops: Drops;
}

/** The files of a ring, with everything in memory that they told. */
export interface Segments {
  readonly state: RingState;
  readonly frontier: Frontier;
  readonly lastSeq: number;
  /** The first frame that is still on the disk. */
  readonly firstSeq: number;
  /** False for what has left, and for what damage has taken. */
  has(seq: number): boolean;
  rowOf(seq: number): Row;
  /** The segment that holds the frame, or would have held it as its next one. */
  segmentOf(seq: number): Segment | undefined;
  /** Gives the frame the next sequence number; resolves when it is on the disk. */
  appendFrame(
    row: Omit<Row, 'offset' | 'length'>,
    leaf: Uint8Array,
    bytes: Uint8Array,
  ): { seq: number; durable: Promise<void> };
  /** The state says so once it is on the disk, never before. */
  appendControl(control: Control): Promise<void>;
  /** Frames in order; those that are gone, or that the disk has changed, are left out. */
  read(seqs: readonly number[]): Promise<{ seq: number; frame: StoredFrame }[]>;
  /** The same, as they are in the log. */
  readRecords(seqs: readonly number[]): Promise<{ seq: number; bytes: Uint8Array }[]>;
  /** Frames that were found changed by the disk when they were read. */
  readonly damaged: number;
  /** Bytes of all files. */
  readonly bytes: number;
  /** The oldest file: its last frame, and its bytes; undefined where it is the one that is written. */
  oldest(): { readonly through: number; readonly bytes: number } | undefined;
  /** Removes the files all of whose frames are at or below. */
  dropThrough(seq: number): void;
  close(): Promise<void>;
}

export function rowOfFrame(frame: StoredFrame, leaf: Uint8Array): Omit<Row, 'offset' | 'length'> {
  const { devAddr, fcnt16, mic } = parseDataFrame(frame.phyPayload);
  const number = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return {
    devAddr: devAddrValue(devAddr),
    fcnt16,
    mic: number(mic).getUint32(0),
    digest: number(leaf).getBigUint64(0),
    receivedAt: frame.receivedAt,
    radio: frame.via === RADIO,
  };
}

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Of so many sources it is known how far each was read: living contracts, and as many ended ones as are fetched at once. */
const MAX_SOURCES = 128;

const isSameSource = (a: PullPosition, b: PullPosition): boolean =>
  a.edgeId === b.edgeId && a.ringId === b.ringId;

function withPosition(known: readonly PullPosition[], newest: PullPosition): PullPosition[] {
  return [...known.filter((one) => !isSameSource(one, newest)), newest].slice(-MAX_SOURCES);
}

function apply(state: RingState, control: Control): void {
  if (control.kind === 'acknowledged') state.acknowledged = Math.max(state.acknowledged, control.through);
  else if (control.kind === 'pulled') state.pulled = withPosition(state.pulled, control.position);
  else if (control.kind === 'drops') state.drops = control.drops;
  else {
    state.acknowledged = Math.max(state.acknowledged, control.acknowledged);
    state.pulled = [
      ...(control.pulledBefore ?? []),
      ...(control.pulled === undefined ? [] : [control.pulled]),
    ];
    state.drops = control.drops;
  }
}

/** The records of rows that follow one another in a file; undefined for one whose bytes are not those that were written. */
async function readSpan(path: string, rows: readonly Row[]): Promise<(Uint8Array | undefined)[]> {
  const [first] = rows;
  const last = rows.at(-1);
  if (first === undefined || last === undefined) return [];
  const file = await open(path, 'r');
  try {
    const bytes = new Uint8Array(last.offset + last.length - first.offset);
    const { bytesRead } = await file.read(bytes, 0, bytes.length, first.offset);
    const view = new DataView(bytes.buffer, 0, bytesRead);
    return rows.map(({ offset, length }) => {
      const at = offset - first.offset;
      if (at + length > bytesRead) return undefined;
      const record = bytes.subarray(at + LOG_HEADER, at + length);
      return crc32(record) === view.getUint32(at + 4, true) ? record : undefined;
    });
  } finally {
    await file.close();
  }
}

function frameOf(bytes: Uint8Array): StoredFrame {
  const record = decodeRecord(bytes);
  if (record.kind === 'frame') return record.frame;
  throw new AntirioError('corrupt', 'a ring has no frame where it should have one');
}

interface Opened extends Segment {
  readonly log: AppendLog;
}

/**
 * Opens the ring in a folder, cuts a torn tail, reads everything. `segmentBytes` is where a new file is begun; `onCut` is called
 * before anything is cut off.
 */
export function openSegments(folder: string, segmentBytes: number, onCut: () => void): Segments {
  mkdirSync(folder, { recursive: true });
  const state: RingState = { acknowledged: 0, pulled: [], drops: { budget: 0, rate: 0, slots: 0 } };
  const segments: Opened[] = [];
  let frontier = createFrontier();
  let lastSeq = 0;
  let ordinal = 0;
  let pending = 0;
  const damaged = new Set<number>();

  const openOne = (name: string): Opened => {
    const path = join(folder, name);
    const rows = createRows();
    let offset = 0;
    let before = frontier.state();
    const onRecord = (bytes: Uint8Array): void => {
      const record = decodeRecord(bytes);
      const length = LOG_HEADER + bytes.length;
      if (record.kind === 'frame') {
        const leaf = leafHash(record.frame.phyPayload);
        rows.push({ ...rowOfFrame(record.frame, leaf), offset, length });
        frontier.add(leaf);
        lastSeq += 1;
      } else {
        apply(state, record.control);
        if (record.control.kind === 'segment') {
          lastSeq = record.control.firstSeq - 1;
          before = { count: lastSeq, nodes: record.control.nodes.map((node) => fromHex(node, 32)) };
          frontier = createFrontier(before);
        }
      }
      offset += length;
    };
    const log = openAppendLog({ path, onRecord, onCut });
    return { path, rows, before, firstSeq: before.count + 1, log };
  };
  const head = (): Control => ({
    kind: 'segment',
    firstSeq: lastSeq + 1,
    nodes: frontier.state().nodes.map(toHex),
    acknowledged: state.acknowledged,
    pulled: state.pulled.at(-1),
    pulledBefore: state.pulled.slice(0, -1),
    drops: state.drops,
  });
  const names = readdirSync(folder)
    .filter((name) => /^\d{12}\.log$/.test(name))
    .sort();
  let active: Opened | undefined;
  let closed = false;
  for (const name of names) {
    void active?.log.close();
    active = openOne(name);
    segments.push(active);
    ordinal = Number.parseInt(name, 10);
  }

  const append = (bytes: Uint8Array, onDurable?: () => void): { offset: number; durable: Promise<void> } => {
    if (closed) throw new AntirioError('unavailable', 'the ring is closed');
    // only between two syncs, so that no file ever begins before all of the one before it is on the disk
    if (active === undefined || (active.log.size >= segmentBytes && pending === 0)) {
      void active?.log.close();
      ordinal += 1;
      active = openOne(`${String(ordinal).padStart(12, '0')}.log`);
      segments.push(active);
      syncDirectory(folder);
    }
    // no bytes: just begun, or begun by a process that ended before it wrote the head
    if (active.log.size === 0) void active.log.append(encodeControl(head())).catch(() => undefined);
    const offset = active.log.size;
    pending += 1;
    // before the next file may begin, whose head repeats the state
    const durable = active.log
      .append(bytes)
      .then(onDurable)
      .finally(() => {
        pending -= 1;
      });
    return { offset, durable };
  };
  // most are asked for one after the other
  let found: Segment | undefined;
  const segmentOf = (seq: number): Segment | undefined => {
    if (found === undefined || seq < found.firstSeq || seq - found.firstSeq >= found.rows.count)
      found = segments.findLast(({ firstSeq }) => firstSeq <= seq);
    return found;
  };
  const has = (seq: number): boolean => {
    const segment = segmentOf(seq);
    return segment !== undefined && seq - segment.firstSeq < segment.rows.count;
  };
  const rowOf = (seq: number): Row => {
    const segment = segmentOf(seq);
    if (segment === undefined || seq - segment.firstSeq >= segment.rows.count)
      throw new AntirioError('internal', `no frame ${seq} in the ring`, { seq });
    return segment.rows.at(seq - segment.firstSeq);
  };
  // what one read of one file gives
  const spansOf = (seqs: readonly number[]): { path: string; seqs: number[]; rows: Row[] }[] => {
    const spans: { path: string; seqs: number[]; rows: Row[]; end: number }[] = [];
    for (const seq of seqs) {
      const path = segmentOf(seq)?.path ?? '';
      const row = rowOf(seq);
      const span = spans.at(-1);
      if (span?.path === path && row.offset + row.length <= span.end) {
        span.seqs.push(seq);
        span.rows.push(row);
      } else spans.push({ path, seqs: [seq], rows: [row], end: row.offset + READ_AT_ONCE });
    }
    return spans;
  };
  const readRecords = async (seqs: readonly number[]): Promise<{ seq: number; bytes: Uint8Array }[]> => {
    const records: { seq: number; bytes: Uint8Array }[] = [];
    for (const { path, seqs: span, rows } of spansOf(seqs.filter(has)))
      for (const [at, bytes] of (await readSpan(path, rows)).entries()) {
        const seq = span[at] ?? 0;
        if (bytes === undefined) damaged.add(seq);
        else records.push({ seq, bytes });
      }
    return records;
  };

  return {
    state,
    get frontier() {
      return frontier;
    },
    get lastSeq() {
      return lastSeq;
    },
    get firstSeq() {
      return segments[0]?.firstSeq ?? lastSeq + 1;
    },
    has,
    rowOf,
    segmentOf,
    appendFrame(row, leaf, bytes) {
      const { offset, durable } = append(bytes);
      active?.rows.push({ ...row, offset, length: LOG_HEADER + bytes.length });
      frontier.add(leaf);
      lastSeq += 1;
      return { seq: lastSeq, durable };
    },
    appendControl(control) {
      // only then: what others are told by it must still be so after a failed write
      return append(encodeControl(control), () => apply(state, control)).durable;
    },
    async read(seqs) {
      return (await readRecords(seqs)).map(({ seq, bytes }) => ({ seq, frame: frameOf(bytes) }));
    },
    readRecords,
    get damaged() {
      return damaged.size;
    },
    get bytes() {
      return segments.reduce((sum, { log }) => sum + log.size, 0);
    },
    oldest() {
      const [first] = segments;
      if (first === undefined || first === active) return undefined;
      return { through: first.firstSeq + first.rows.count - 1, bytes: first.log.size };
    },
    dropThrough(seq) {
      for (;;) {
        const [first] = segments;
        if (first === undefined || first === active || first.firstSeq + first.rows.count - 1 > seq) return;
        segments.shift();
        if (found === first) found = undefined;
        unlinkSync(first.path);
      }
    },
    async close() {
      // once only: the number of a closed file may be another file's by now
      if (closed) return;
      closed = true;
      await active?.log.close();
    },
  };
}
