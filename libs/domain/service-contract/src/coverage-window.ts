import type { JudgedDevice } from './coverage-breach.ts';
import { baselineOf, haveChanged, type CoverageMark, type CoverageSettings } from './coverage-mark.ts';

/**
 * The uplinks of a device that only its customer's provider can have heard, by FCnt: those after its last signed mark and after what
 * the customer heard last before the outage, to the one before what it hears first after it. Both ends are of the customer's ear, which
 * does not know what its provider hears: so the window is not chosen by its outcome.
 */

/** A frame of the customer's own ring that its keys verify. */
export interface OwnRingFrame {
  /** 32 bits. */
  readonly fcnt: number;
  /** Its own gateway heard it, wall ms; undefined where it came from its provider. */
  readonly heardAt: number | undefined;
  readonly dataRate: string;
  /** It tells that the device may have followed a command about how it is to send. */
  readonly isAnswer: boolean;
}

export const NOT_JUDGED = [
  /** Fewer than 100 uplinks in the baseline. */
  'noBaseline',
  /** It sends otherwise than when the baseline was made. */
  'changed',
  /** It has joined, or was given other keys. */
  'otherSession',
  /** Our own ring does not reach back to before the outage. */
  'unknownBefore',
  /** The provider handed nothing back of after the mark: there is no end that both hold. */
  'noEnd',
  /** There was no uplink in it. */
  'noUplinks',
] as const;
export type NotJudged = (typeof NOT_JUDGED)[number];

/** Uplinks of one device in one outage that are looked at; one that was away longer is judged to there. */
const LONGEST = 16_384;

export interface OutageWindow {
  take(frame: OwnRingFrame): void;
  /** `statedLast`: the newest FCnt that the provider handed back; `settings`: as the device sends now, as far as that is known. */
  judge(statedLast: number | undefined, settings: CoverageSettings): JudgedDevice | NotJudged;
}

/** `outageAt`: wall ms within the outage, when the provider took over. */
export function createOutageWindow(mark: CoverageMark, outageAt: number): OutageWindow {
  const theirs: OwnRingFrame[] = [];
  let before: number | undefined;
  let after: OwnRingFrame | undefined;
  const isWithin = ({ fcnt }: OwnRingFrame): boolean => fcnt > mark.last && fcnt <= mark.last + LONGEST;
  const hasChanged = (frames: readonly OwnRingFrame[], settings: CoverageSettings): boolean =>
    haveChanged(mark.settings, settings) ||
    frames.some(({ dataRate, isAnswer }) => isAnswer || haveChanged(mark.settings, { dataRate }));
  return {
    take(frame) {
      const { fcnt, heardAt } = frame;
      if (heardAt === undefined) {
        if (isWithin(frame)) theirs.push(frame);
      } else if (heardAt <= outageAt) before = Math.max(before ?? 0, fcnt);
      else if (after === undefined || fcnt < after.fcnt) after = frame;
    },
    judge(statedLast, { dataRate: _unused, ...settings }) {
      if (before === undefined) return 'unknownBefore';
      if (statedLast === undefined) return 'noEnd';
      const from = Math.max(before, mark.last) + 1;
      const ends = [(after?.fcnt ?? Infinity) - 1, statedLast, mark.last + LONGEST];
      const last = ends.reduce((a, b) => Math.min(a, b));
      if (last < from) return statedLast < from ? 'noEnd' : 'noUplinks';
      const within = theirs.filter(({ fcnt }) => fcnt >= from && fcnt <= last);
      if (hasChanged(after === undefined ? within : [...within, after], settings)) return 'changed';
      const { atLeast } = baselineOf(mark);
      if (atLeast === undefined) return 'noBaseline';
      const heard = new Set(within.map(({ fcnt }) => fcnt)).size;
      return { expected: last - from + 1, heard, atLeast };
    },
  };
}
