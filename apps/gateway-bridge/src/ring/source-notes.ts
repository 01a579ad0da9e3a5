import { z } from 'zod';
import { callJson, parseInput, type HttpPeer } from '@antirio/host';
import { describeError, isAntirioError, type Clock } from '@antirio/kernel';
import { MARKS_AT_ONCE, type HighWater } from '@antirio/shadow-buffer';
import type { Drops } from './record.ts';
import type { HeldRing } from './rings.ts';
import type { GapSource } from './stored-ring.ts';

/** What this edge and the rings that its own are filled from tell each other beside the frames; rings take turns as sources. */
export interface SourceNotes {
  /**
   * Tells the source's ring how far its motes have counted, as our keys verified: what changed, now and then all of it. A ring that
   * does not know is one that forgeries fill; nothing else hangs on it, so that failures are for the status only.
   */
  tell(held: HeldRing, source: GapSource, incarnation: string): Promise<void>;
  /** What the source's ring has dropped in its life. */
  noteDrops(source: GapSource, drops: Drops): void;
  /** By the ring's name there. */
  dropped(): Readonly<Record<string, Drops>>;
  /** Why marks were not told when that was tried last. */
  untold(source: GapSource): string | undefined;
}

interface Note {
  incarnation: string;
  /** Monotonic ms. */
  nextAt: number;
  wholeAt: number;
  wanted: readonly string[];
  readonly told: Map<string, HighWater>;
  dropped: Drops | undefined;
  untold: string | undefined;
}

/** A window is 1024 counters: marks that are so old are as good. */
const TELL_EVERY_MS = 5000;
const WHOLE_EVERY_MS = 600_000;
/** Where it was refused or did not come through. */
const TRY_AGAIN_MS = 60_000;
/** Contracts, of now and before. */
const MOST_SOURCES = 256;

const ringThere = z.object({ devAddrs: z.array(z.string().regex(/^[0-9a-f]{8}$/)).max(100_000) });

export function createSourceNotes(ports: {
  readonly edge2edge: HttpPeer | undefined;
  readonly clock: Clock;
  readonly timeoutMs: number;
}): SourceNotes {
  const { edge2edge, clock, timeoutMs } = ports;
  const notes = new Map<string, Note>();
  const noteOf = ({ ringId }: GapSource): Note => {
    const known = notes.get(ringId);
    if (known !== undefined) return known;
    const times = { nextAt: -Infinity, wholeAt: -Infinity };
    const fresh: Note = {
      incarnation: '',
      ...times,
      wanted: [],
      told: new Map(),
      dropped: undefined,
      untold: undefined,
    };
    notes.set(ringId, fresh);
    const [oldest] = notes.keys();
    if (notes.size > MOST_SOURCES && oldest !== undefined) notes.delete(oldest);
    return fresh;
  };
  const pathOf = ({ edgeId, ringId }: GapSource): string =>
    `/edge2edge/peer/${encodeURIComponent(edgeId)}/gateway-bridge/api/v3/ring/${ringId}`;
  /** What the ring there is about may change, as when a device joins; it may have come from an old disk, too. */
  const beginAnew = async (
    peer: HttpPeer,
    note: Note,
    source: GapSource,
    incarnation: string,
  ): Promise<void> => {
    note.wanted = parseInput(ringThere, await callJson(peer, { path: pathOf(source), timeoutMs })).devAddrs;
    note.told.clear();
    note.incarnation = incarnation;
    note.wholeAt = clock.monotonic() + WHOLE_EVERY_MS;
  };
  const tellAll = async (peer: HttpPeer, note: Note, held: HeldRing, source: GapSource): Promise<void> => {
    const news = note.wanted.flatMap((devAddr): [string, HighWater][] => {
      const mark = held.markOf(devAddr);
      return mark === undefined || note.told.get(devAddr) === mark ? [] : [[devAddr, mark]];
    });
    for (let i = 0; i < news.length; i += MARKS_AT_ONCE) {
      const some = news.slice(i, i + MARKS_AT_ONCE);
      const json = { marks: Object.fromEntries(some) };
      await callJson(peer, { method: 'POST', path: `${pathOf(source)}/marks`, json, timeoutMs });
      for (const [devAddr, mark] of some) note.told.set(devAddr, mark);
    }
  };
  return {
    async tell(held, source, incarnation) {
      const note = noteOf(source);
      const now = clock.monotonic();
      if (edge2edge === undefined || now < note.nextAt) return;
      note.nextAt = now + TELL_EVERY_MS;
      try {
        if (note.incarnation !== incarnation || now >= note.wholeAt)
          await beginAnew(edge2edge, note, source, incarnation);
        await tellAll(edge2edge, note, held, source);
        note.untold = undefined;
      } catch (error) {
        note.untold = describeError(error);
        note.nextAt = clock.monotonic() + TRY_AGAIN_MS;
        // an edge of before does not know the question
        if (isAntirioError(error, 'notFound') || isAntirioError(error, 'forbidden'))
          note.nextAt += WHOLE_EVERY_MS;
      }
    },
    noteDrops(source, drops) {
      noteOf(source).dropped = drops;
    },
    dropped: () =>
      Object.fromEntries(
        [...notes].flatMap(([ringId, { dropped }]) => (dropped === undefined ? [] : [[ringId, dropped]])),
      ),
    untold: (source) => notes.get(source.ringId)?.untold,
  };
}
