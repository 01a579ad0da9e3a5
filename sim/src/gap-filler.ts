import type { RingFrame, Ring, RingDisk } from './ring.ts';
import type { Host } from './host.ts';
import type { CallResult } from './network.ts';

/** A line of what another edge's ring holds. */
export type Offer = Pick<RingFrame, 'seq' | 'frame'>;

export interface Page {
  readonly offers: readonly Offer[];
  /** The newest frame of that ring. */
  readonly last: number;
}

export interface GapSource {
  offers(after: number, done: (answer: CallResult<Page>) => void): void;
  frames(seqs: readonly number[], done: (answer: CallResult<readonly RingFrame[]>) => void): void;
  acknowledge(through: number, done: (answer: CallResult<unknown>) => void): void;
}

export interface GapFillerPorts {
  readonly host: Host;
  readonly ring: Ring;
  readonly disk: RingDisk;
  /** Whose ring it is filled from. */
  readonly from: string;
  readonly source: GapSource;
  readonly intervalMs: number;
}

export interface GapFiller {
  /** Where filling stands: through which frame of the other ring, and whether that was all, just now. */
  status(): { readonly pulledThrough: number; readonly caughtUp: boolean };
}

export const PAGE_FRAMES = 100;
const RECENT_MS = 3000;

/** Pulls what the ring lacks from another edge's; the position moves only when everything before it is on the disk. */
export function startGapFiller({ host, ring, disk, from, source, intervalMs }: GapFillerPorts): GapFiller {
  const { clock } = host;
  let remoteLast = 0;
  let lastSuccessAt = -Infinity;

  const pulledThrough = (): number => disk.pulled.get(from) ?? 0;
  const again = (): void => {
    host.after(intervalMs * host.dice.between(0.9, 1.1), pull);
  };
  const conclude = (through: number, wentOn: boolean): void => {
    if (through > pulledThrough()) {
      if (host.full) {
        again();
        return;
      }
      disk.pulled.set(from, through);
      host.wrote('pulled');
    }
    source.acknowledge(through, (answer) => {
      if (answer.ok) lastSuccessAt = clock.monotonic();
      if (wentOn) pull();
      else again();
    });
  };
  const store = (frames: readonly RingFrame[], through: number, more: boolean): void => {
    let open = frames.length;
    if (open === 0) {
      conclude(through, more);
      return;
    }
    let isRefused = false;
    const refused = (): void => {
      if (!isRefused) again();
      isRefused = true;
    };
    const stored = (): void => {
      open -= 1;
      if (open === 0) conclude(through, more);
    };
    for (const { frame } of frames) ring.take(frame, false, -Infinity, stored, refused);
  };
  const pull = (): void => {
    source.offers(pulledThrough(), (page) => {
      if (!page.ok) {
        again();
        return;
      }
      const { offers, last } = page.value;
      remoteLast = last;
      const through = offers.at(-1)?.seq ?? pulledThrough();
      const lacking = offers.filter(({ frame }) => !ring.holds(frame.bytes)).map(({ seq }) => seq);
      if (lacking.length === 0) {
        conclude(through, through < last);
        return;
      }
      source.frames(lacking, (answer) => {
        if (answer.ok && answer.value.length === lacking.length) store(answer.value, through, through < last);
        else again();
      });
    });
  };
  again();
  return {
    status: () => ({
      pulledThrough: pulledThrough(),
      caughtUp: clock.monotonic() - lastSuccessAt < RECENT_MS && pulledThrough() >= remoteLast,
    }),
  };
}
