import { z } from 'zod';
import { AntirioError, describeError, isAntirioError, type Clock } from '@antirio/kernel';
import {
  answerError,
  callJson,
  parseInput,
  repeat,
  sleep,
  type HttpPeer,
  type Log,
  type Repeating,
} from '@antirio/host';
import type { RingFrame } from '../frame.ts';
import { fetchFrames } from './fetch-frames.ts';
import { createPageSize } from './page-size.ts';
import { dropsSchema, type StoredFrame } from './record.ts';
import type { Ring } from './ring.ts';
import type { Rings } from './rings.ts';
import type { GapSource } from './stored-ring.ts';
import type { SourceNotes } from './source-notes.ts';
import { pullStream } from './stream-pull.ts';

/** How far a ring has been filled from its source. */
export interface GapStatus {
  readonly edgeId: string;
  readonly ringId: string;
  /** Everything up to here in the source's ring is here too, or is not ours. */
  readonly pulledThrough: number;
  /** The number that the next frame of the source's ring will have, as it said last. */
  readonly remoteNext: number;
  /** Frames that came this way since the start. */
  readonly fetched: number;
  /** Frames that the source offered and then did not give, or that were not what it had offered. */
  readonly refused: number;
  /** Frames that had left the source's ring, since the start, before they were read. */
  readonly gone: number;
  /** Wall ms. */
  readonly lastSuccessAt: number | undefined;
  /** The source tells of joins up to this number. */
  readonly remoteJoins: number;
  /** Why nothing is fetched now. */
  readonly waiting: string | undefined;
  /** Whether the source itself answered last, or the centre for it, the way between the two being cut. */
  readonly way: 'direct' | 'central';
  /** Why the source was not told how far our motes have counted. */
  readonly marksUntold: string | undefined;
}

export interface GapFiller {
  status(): GapStatus;
  stop(): Promise<void>;
}

export interface GapFillerPorts {
  readonly rings: Rings;
  readonly edge2edge: HttpPeer;
  readonly clock: Clock;
  readonly log: Log;
  readonly intervalMs: number;
  readonly maxIntervalMs: number;
  readonly pageFrames: number;
  /** From so many frames on the rest is read as a stream. */
  readonly streamFrames: number;
  readonly timeoutMs: number;
  readonly notes: SourceNotes;
  /** Called with each frame that was stored, in order. */
  readonly onStored: (ring: Ring, frame: RingFrame) => void;
}

/** As many as fit into an answer, where the line is good. */
const OFFERS_AT_ONCE = 500;
const PAGES_AT_ONCE = 20;

const offersSchema = z.object({
  offers: z
    .array(
      z.object({
        seq: z.int().min(1),
        devAddr: z.string().regex(/^[0-9a-f]{8}$/),
        fcnt: z.int().min(0).max(0xffff),
        mic: z.string().regex(/^[0-9a-f]{8}$/),
        digest: z.string().regex(/^[0-9a-f]{16}$/),
        receivedAt: z.number(),
      }),
    )
    .max(OFFERS_AT_ONCE),
  next: z.int().min(0),
  /** The oldest that is still there; of an edge of before, nothing. */
  first: z.int().min(1).default(1),
  last: z.int().min(0),
  incarnation: z.string().min(1).max(64),
  joins: z.int().min(0).default(0),
  /** Of an edge of before, nothing. */
  dropped: dropsSchema.optional(),
});

type Page = z.output<typeof offersSchema>;

/** Fills one ring from another edge's, for as long as it is not stopped. */
export function createGapFiller(ringId: string, source: GapSource, ports: GapFillerPorts): GapFiller {
  const { edge2edge, clock, timeoutMs } = ports;
  const base = `/edge2edge/peer/${encodeURIComponent(source.edgeId)}/gateway-bridge/api/v3/ring/${source.ringId}`;
  const { edgeId, joins: joinsKnown = Infinity } = source;
  // the position of before may have passed over what was not known to be ours then
  const readAs = source.anew === undefined ? source.ringId : `${source.ringId} ${source.anew}`;
  const place = { edgeId, ringId: readAs };
  let remoteNext = 0;
  let remoteJoins = 0;
  let sourceLife = '';
  let fetched = 0;
  let refused = 0;
  let gone = 0;
  let goneThrough = 0;
  let lastSuccessAt: number | undefined;
  let waiting: string | undefined;
  let acknowledged = -1;
  let failures = 0;
  let way: GapStatus['way'] = 'direct';
  const pageSize = createPageSize();

  const ringNow = (): Ring => ports.rings.get(ringId).ring;
  const throughOf = (ring: Ring, incarnation?: string): number => {
    const known = ring.positionIn(edgeId, readAs);
    const same = incarnation === undefined || known?.incarnation === incarnation;
    return known !== undefined && same ? known.through : 0;
  };
  const askOffers = async (after: number): Promise<Page> => {
    const call = { path: `${base}/offers?after=${after}&limit=${pageSize.of(OFFERS_AT_ONCE)}`, timeoutMs };
    const answer = await edge2edge.call(call);
    if (answer.status !== 200) throw answerError(call, answer);
    way = answer.headers['x-antirio-way'] === 'central' ? 'central' : 'direct';
    const page = parseInput(offersSchema, answer.json());
    sourceLife = page.incarnation;
    if (page.dropped !== undefined) ports.notes.noteDrops(source, page.dropped);
    return page;
  };

  const takeAll = (
    ring: Ring,
    frames: readonly StoredFrame[],
  ): { writes: Promise<void>[]; full: boolean } => {
    const writes: Promise<void>[] = [];
    let full = false;
    for (const frame of frames) {
      const taken = ring.take(frame);
      if (taken.kind === 'dropped') refused += 1;
      else writes.push(taken.durable);
      if (taken.kind === 'stored') {
        fetched += 1;
        writes.push(taken.durable.then(() => ports.onStored(ring, taken.frame)));
      }
      full ||= taken.kind === 'dropped' && taken.reason === 'budget';
    }
    return { writes, full };
  };
  /** Frames of an address that nobody here knows yet would be passed over, and let go of at the source. */
  const checkJoins = (joins: number): void => {
    remoteJoins = joins;
    if (joins > joinsKnown)
      throw new AntirioError('unavailable', `ring ${ringId} waits for joins of its source`);
  };
  const noteGone = (through: number, after: number): void => {
    gone += Math.max(0, through - Math.max(after, goneThrough));
    goneThrough = Math.max(goneThrough, through);
  };
  // not acknowledged: the source keeps what does not fit here yet
  const tooFull = (): AntirioError => new AntirioError('storageFull', `ring ${ringId} is full`);
  const store = async (ring: Ring, frames: readonly StoredFrame[]): Promise<void> => {
    const { writes, full } = takeAll(ring, frames);
    await Promise.all(writes);
    if (full) throw tooFull();
  };
  /** How many of the page's frames were not here. */
  const takePage = async (ring: Ring, page: Page): Promise<number> => {
    const ours = new Set(ring.settings.devAddrs);
    const lacking = page.offers.filter((offer) => ours.has(offer.devAddr) && !ring.holds(offer));
    const most = pageSize.of(ports.pageFrames);
    for (let i = 0; i < lacking.length; i += most) {
      const wanted = lacking.slice(i, i + most);
      const frames = await fetchFrames({ edge2edge, base, edgeId: source.edgeId, timeoutMs }, wanted);
      refused += wanted.length - frames.length;
      await store(ring, frames);
    }
    return lacking.length;
  };
  const acknowledge = async (ring: Ring, through: number, incarnation: string): Promise<void> => {
    if (source.anew !== undefined || through <= acknowledged) return;
    // what is here is known again only when it has been opened anew
    if (ring.failed) throw new AntirioError('unavailable', `ring ${ringId} cannot be written`);
    const json = { through, incarnation };
    try {
      if (through > 0)
        await callJson(edge2edge, { method: 'POST', path: `${base}/acknowledge`, json, timeoutMs });
      acknowledged = through;
    } catch (error) {
      // the source's ring has begun anew meanwhile: its next offers say so
      if (!isAntirioError(error, 'conflict')) throw error;
    }
  };

  /** Takes all that follows as one stream; where the source gives none, false. */
  const stream = async (ring: Ring, after: number, incarnation: string): Promise<boolean> => {
    let isFull = false;
    const take = async (into: Ring, frames: readonly StoredFrame[], through: number): Promise<void> => {
      if (isFull) throw tooFull();
      const { writes, full } = takeAll(into, frames);
      isFull = full;
      // in the log behind the frames, so that it is never there without them
      if (!full) writes.push(into.pulled({ ...place, incarnation, through }));
      await Promise.all(writes);
      lastSuccessAt = clock.now();
      if (full) throw tooFull();
    };
    const refuse = (): void => void (refused += 1);
    const tell = (through: number): Promise<void> => acknowledge(ring, through, incarnation);
    const parts = { edge2edge, clock, edgeId, base, take, refuse, checkJoins, acknowledge: tell };
    const end = await pullStream(parts, ring, { after, incarnation }, stop.signal);
    if (end === undefined) return false;
    remoteNext = end.last + 1;
    return true;
  };
  const pull = async (): Promise<void> => {
    for (let pages = 0; pages < PAGES_AT_ONCE; pages++) {
      const ring = ringNow();
      let after = throughOf(ring);
      let page = await askOffers(after);
      const { incarnation } = page;
      // another life, or an older one brought back
      if (throughOf(ring, incarnation) !== after || page.last < after) {
        after = 0;
        acknowledged = -1;
        page = await askOffers(0);
      }
      remoteNext = page.last + 1;
      checkJoins(page.joins);
      noteGone(page.first - 1, after);
      const lacked = await takePage(ring, page);
      const through = Math.max(page.next, after);
      if (through > after) await ring.pulled({ ...place, incarnation, through });
      await acknowledge(ring, through, incarnation);
      lastSuccessAt = clock.now();
      pageSize.came();
      if (page.next <= after || page.next >= page.last) return;
      // Most of a long rest is lacking too: its names would cost more than itself. The centre carries no streams.
      const isLong = page.last - through >= ports.streamFrames && lacked * 2 >= page.offers.length;
      if (isLong && way === 'direct') await stream(ring, through, incarnation);
    }
  };
  const attempt = async (): Promise<void> => {
    try {
      await pull();
      // the centre carries no marks: they are as good some minutes later
      if (way === 'direct') await ports.notes.tell(ports.rings.get(ringId), source, sourceLife);
      failures = 0;
      waiting = undefined;
    } catch (error) {
      waiting = describeError(error);
      failures += 1;
      pageSize.failed();
      await sleep(
        Math.min(ports.maxIntervalMs - ports.intervalMs, ports.intervalMs * failures) * Math.random(),
        stop.signal,
      );
      throw error;
    }
    // edges that began together do not go on in step
    await sleep(ports.intervalMs * 0.2 * Math.random(), stop.signal);
  };
  const stop = new AbortController();
  const loop: Repeating = repeat(`gap filling of ${ringId}`, ports.intervalMs * 0.9, ports.log, attempt);
  return {
    status: () => ({
      ...{ edgeId, ringId: source.ringId },
      remoteJoins,
      pulledThrough: throughOf(ringNow()),
      remoteNext,
      fetched,
      refused,
      gone,
      lastSuccessAt,
      waiting,
      way,
      marksUntold: ports.notes.untold(source),
    }),
    async stop() {
      stop.abort();
      await loop.stop();
    },
  };
}
