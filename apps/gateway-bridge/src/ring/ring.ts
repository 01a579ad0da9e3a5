import { AntirioError, toHex, type Clock } from '@antirio/kernel';
import {
  createAdmission,
  createSlots,
  type BufferFilter,
  type HighWaters,
  type RateLimit,
} from '@antirio/shadow-buffer';
import type { Encoding } from '../bus/encoding.ts';
import type { RingFrame } from '../frame.ts';
import { createAges } from './ages.ts';
import { createFrontier, leafHash } from './frontier.ts';
import { encodeFrame, type Drops, type PullPosition, type StoredFrame } from './record.ts';
import { openSegments, rowOfFrame } from './segments.ts';

/** What a ring takes and for whom; kept on the disk. */
export interface RingSettings extends BufferFilter {
  /** Lower-case hex; JoinRequests of these are delivered, never kept. */
  readonly devEuis: readonly string[];
  /** Before every topic on which its frames are delivered. */
  readonly prefix: string;
  readonly deliver: boolean;
  /** Of what is delivered; JSON where absent. */
  readonly encoding?: Encoding | undefined;
  /** The number of the last join of the set's devices that was answered here: whoever reads these frames without knowing them knows not all addresses. */
  readonly joins?: number | undefined;
  /** Acknowledged frames stay for this long, so that repeated bytes are known again and neighbours may still ask for them. */
  readonly retainS: number;
}

/** What became of a frame that was offered to a ring. */
export type Taken =
  | { readonly kind: 'stored'; readonly frame: RingFrame; readonly durable: Promise<void> }
  /** The same bytes are held already. */
  | { readonly kind: 'known'; readonly seq: number; readonly durable: Promise<void> }
  | { readonly kind: 'dropped'; readonly reason: keyof Drops };

/** One line of what a ring holds: enough to see whether one lacks it, without keys. */
export interface Offer {
  readonly seq: number;
  readonly devAddr: string;
  readonly fcnt: number;
  readonly mic: string;
  /** First 8 bytes of SHA-256(0 || PHYPayload): a forgery may carry the same MIC, but not these. */
  readonly digest: string;
  readonly receivedAt: number;
}

/** A frame as the log has it: what `decodeFrame` reads. */
export interface RingRecord {
  readonly seq: number;
  readonly bytes: Uint8Array;
}

export interface RingStatus {
  readonly first: number;
  readonly last: number;
  readonly count: number;
  readonly bytes: number;
  readonly acknowledged: number;
  /** Frames that the disk has changed, as far as they have been read since the start. */
  readonly damaged: number;
  readonly dropped: Drops;
}

export interface Ring {
  readonly id: string;
  /** A random name for this life of the ring: sequence numbers mean nothing in another. */
  readonly incarnation: string;
  readonly settings: RingSettings;
  readonly failed: boolean;
  /** How far it has been filled from another edge's ring; undefined where it never was. */
  positionIn(edgeId: string, ringId: string): PullPosition | undefined;
  readonly acknowledged: number;
  /** The newest frame on the disk. */
  readonly last: number;
  /** That it fills on the disk. */
  readonly bytes: number;
  configure(settings: RingSettings): void;
  /** Offers a frame; `limit: false` for one that has been heard before. @throws AntirioError unavailable after a failed write. */
  take(frame: StoredFrame, limit?: boolean): Taken;
  holds(offer: Pick<Offer, 'devAddr' | 'fcnt' | 'mic' | 'digest'>): boolean;
  offers(after: number, limit: number): Offer[];
  frames(after: number, limit: number): Promise<RingFrame[]>;
  framesOf(seqs: readonly number[]): Promise<RingFrame[]>;
  /** The numbers of the frames after one, as far as they are on the disk. */
  seqs(after: number, limit: number): number[];
  /** As `framesOf`, each as its record in the log. */
  records(seqs: readonly number[]): Promise<RingRecord[]>;
  /** The number of the frame that an offer means. A forgery may carry the same counter and MIC; the digest tells them apart. */
  find(offer: Pick<Offer, 'devAddr' | 'fcnt' | 'mic' | 'digest'>): number | undefined;
  /** Merkle root over the PHYPayloads of frames 1 to `through`. @throws AntirioError invalidInput | gone. */
  root(through?: number): Promise<{ root: string; count: number; through: number }>;
  /** Durable when resolved; frames at or below may leave. */
  acknowledge(through: number): Promise<void>;
  pulled(position: PullPosition): Promise<void>;
  /** For `ms` nothing leaves for its age, and acknowledged frames only where no room beyond the budget is left: a statement is to be made of them. */
  hold(ms: number): void;
  /** Lets go of what may leave, oldest first, until it holds no more than these bytes; how many frames. */
  shrink(bytes: number): number;
  /** That its files fill, with what has left and not gone from them yet. */
  readonly onDisk: number;
  /** Lets its oldest file go, if all in it may leave and it is not the one that is written. */
  dropFile(): { readonly frames: number; readonly bytes: number } | undefined;
  /** Lets go of what may leave, and writes down what was dropped since. */
  tidy(): void;
  status(): RingStatus;
  /** Resolves when everything taken so far is on the disk. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

export interface RingPorts {
  readonly id: string;
  readonly incarnation: string;
  /** Durably gives the ring another incarnation, before a damaged end is cut off: its sequence numbers are given once more. */
  readonly renew?: () => string;
  readonly folder: string;
  readonly segmentBytes: number;
  readonly rate: RateLimit;
  /** Where its motes are; without them every frame is taken alike. */
  readonly marks?: Pick<HighWaters, 'of' | 'standing' | 'windowOf' | 'keepOnly'> | undefined;
  readonly clock: Clock;
  /** Bytes beyond its budget that a ring may fill while it is held. */
  readonly spare?: () => number;
  /** One budget for all motes, oldest frames first to go, and nobody acknowledges: the ring of what no contract is about. */
  readonly shared?: boolean;
}

const hex = (value: number): string => value.toString(16).padStart(8, '0');
const LOG_HEADER = 8;

/** Opens the ring in its folder; everything acknowledged before is in it. */
export function openRing(ports: RingPorts, initial: RingSettings): Ring {
  const { id, clock } = ports;
  let { incarnation } = ports;
  const store = openSegments(ports.folder, ports.segmentBytes, () => {
    incarnation = ports.renew?.() ?? incarnation;
  });
  const slots = createSlots(
    (seq) => store.rowOf(seq),
    (seq) => seq > floor && store.has(seq),
    store.state.acknowledged,
  );
  const shared = ports.shared === true;
  let settings = initial;
  let durableThrough = store.lastSeq;
  // frames at or below are gone, though their file may still be there
  let floor = store.firstSeq - 1;
  let latest: Promise<void> = Promise.resolve();
  let failed = false;
  let dropped = { ...store.state.drops };
  let heldUntil = -Infinity;
  const ages = createAges();
  ages.seen(store.lastSeq, clock.monotonic(), initial.retainS * 1000);
  for (let seq = store.firstSeq; seq <= store.lastSeq; seq++)
    if (store.has(seq)) slots.add(seq, store.rowOf(seq));

  const guard = (work: Promise<void>): Promise<void> => {
    const guarded = work.catch((error: unknown) => {
      failed = true;
      throw error;
    });
    latest = guarded;
    // whoever asked for it gets the failure; nobody may have
    guarded.catch(() => undefined);
    return guarded;
  };
  const release = (): void => {
    floor += 1;
    if (store.has(floor)) slots.remove(floor, store.rowOf(floor));
  };
  const mayRelease = (): boolean =>
    floor < (shared ? durableThrough : Math.min(store.state.acknowledged, durableThrough));
  const isHeld = (): boolean => clock.monotonic() < heldUntil;
  const admission = createAdmission({
    ...{ slots, rate: ports.rate, marks: ports.marks, clock, shared, mayRelease, release },
    acknowledged: () => store.state.acknowledged,
    spare: () => (isHeld() ? (ports.spare?.() ?? 0) : undefined),
  });
  const configure = (next: RingSettings): void => {
    settings = next;
    admission.configure(next);
  };
  configure(initial);

  const take = (frame: StoredFrame, limit = true): Taken => {
    if (failed) throw new AntirioError('unavailable', `ring ${id} cannot be written`, { ring: id });
    const leaf = leafHash(frame.phyPayload);
    const bytes = encodeFrame(frame, clock.now());
    const facts = rowOfFrame(frame, leaf);
    const row = { ...facts, offset: 0, length: LOG_HEADER + bytes.length };
    const seq = slots.find(row);
    if (seq !== undefined)
      return { kind: 'known', seq, durable: seq <= durableThrough ? Promise.resolve() : latest };
    const reason = admission.refusal(row, limit);
    if (reason !== undefined) {
      dropped = { ...dropped, [reason]: dropped[reason] + 1 };
      return { kind: 'dropped', reason };
    }
    const appended = store.appendFrame(facts, leaf, bytes);
    slots.add(appended.seq, row);
    const durable = guard(
      appended.durable.then(() => {
        durableThrough = Math.max(durableThrough, appended.seq);
      }),
    );
    return { kind: 'stored', frame: { ...frame, seq: appended.seq }, durable };
  };

  const seqsAfter = (after: number, limit: number): number[] => {
    const seqs: number[] = [];
    for (let seq = Math.max(after, floor) + 1; seq <= durableThrough && seqs.length < limit; seq++)
      if (store.has(seq)) seqs.push(seq);
    return seqs;
  };
  const read = async (seqs: readonly number[]): Promise<RingFrame[]> =>
    (await store.read(seqs)).map(({ seq, frame }) => ({ ...frame, seq }));
  const toOffer = (seq: number): Offer => {
    const row = store.rowOf(seq);
    const digest = row.digest.toString(16).padStart(16, '0');
    const { receivedAt, fcnt16: fcnt } = row;
    return { seq, devAddr: hex(row.devAddr), fcnt, mic: hex(row.mic), digest, receivedAt };
  };
  const find: Ring['find'] = ({ devAddr, fcnt, mic, digest }) =>
    slots.under(Number.parseInt(devAddr, 16), fcnt).find((seq) => {
      const row = store.rowOf(seq);
      return seq <= durableThrough && hex(row.mic) === mic && row.digest === BigInt(`0x${digest}`);
    });
  const root: Ring['root'] = async (through = durableThrough) => {
    if (through > durableThrough)
      throw new AntirioError('invalidInput', `the ring ends at ${durableThrough}`, { through });
    if (through === store.lastSeq) return { root: toHex(store.frontier.root()), count: through, through };
    const segment = store.segmentOf(through) ?? store.segmentOf(through + 1);
    if (segment === undefined) throw new AntirioError('gone', 'these frames have left the ring', { through });
    const tree = createFrontier(segment.before);
    const seqs = Array.from({ length: through - segment.firstSeq + 1 }, (_, i) => segment.firstSeq + i);
    for (const { frame } of await store.read(seqs)) tree.add(leafHash(frame.phyPayload));
    if (tree.count !== through)
      throw new AntirioError('gone', 'these frames have left the ring', { through });
    return { root: toHex(tree.root()), count: through, through };
  };

  return {
    id,
    incarnation,
    get settings() {
      return settings;
    },
    get failed() {
      return failed;
    },
    positionIn: (edgeId, ringId) =>
      store.state.pulled.find((one) => one.edgeId === edgeId && one.ringId === ringId),
    get acknowledged() {
      return store.state.acknowledged;
    },
    get last() {
      return durableThrough;
    },
    get bytes() {
      return slots.bytes;
    },
    configure,
    take,
    holds: (offer) => find(offer) !== undefined,
    find,
    offers: (after, limit) => seqsAfter(after, limit).map(toOffer),
    frames: (after, limit) => read(seqsAfter(after, limit)),
    seqs: seqsAfter,
    records: (seqs) => store.readRecords(seqs.filter((seq) => seq > floor)),
    framesOf: (seqs) =>
      read([...new Set(seqs)].filter((seq) => seq > floor && seq <= durableThrough).sort((a, b) => a - b)),
    root,
    async acknowledge(through) {
      const known = Math.min(through, durableThrough);
      if (known <= store.state.acknowledged) return;
      await guard(store.appendControl({ kind: 'acknowledged', through: known }));
      slots.acknowledge(known);
    },
    hold(ms) {
      heldUntil = clock.monotonic() + ms;
    },
    shrink(most) {
      const before = slots.count;
      while (mayRelease() && slots.bytes > most) release();
      store.dropThrough(floor);
      return before - slots.count;
    },
    get onDisk() {
      return store.bytes;
    },
    dropFile() {
      const file = store.oldest();
      if (file === undefined || file.through > Math.min(store.state.acknowledged, durableThrough))
        return undefined;
      const before = slots.count;
      while (floor < file.through) release();
      store.dropThrough(floor);
      return { frames: before - slots.count, bytes: file.bytes };
    },
    pulled: (position) => guard(store.appendControl({ kind: 'pulled', position })),
    tidy() {
      if (failed) return;
      const before = store.state.drops;
      if (dropped.budget !== before.budget || dropped.rate !== before.rate || dropped.slots !== before.slots)
        void guard(store.appendControl({ kind: 'drops', drops: dropped })).catch(() => undefined);
      const now = clock.monotonic();
      const retainMs = settings.retainS * 1000;
      ages.seen(durableThrough, now, retainMs);
      const old = ages.olderThan(retainMs, now);
      const isOver = (): boolean => floor < old || slots.bytes > settings.budgetBytes;
      if (!isHeld()) while (mayRelease() && isOver()) release();
      store.dropThrough(floor);
      ports.rate.tidy(now);
    },
    status: () => ({
      first: floor + 1,
      last: durableThrough,
      count: slots.count,
      bytes: slots.bytes,
      acknowledged: store.state.acknowledged,
      damaged: store.damaged,
      dropped,
    }),
    settled: () => latest,
    close: () => store.close(),
  };
}
