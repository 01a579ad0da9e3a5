import {
  dataRateOf,
  datrOf,
  RX1_DELAY_MS,
  RX2,
  RX2_DELAY_MS,
  spreadingFactorAt,
  spreadingFactorOf,
} from './eu868.ts';

/** Frequency and data rate of a frame on air. */
export interface RadioSettings {
  readonly freqMhz: number;
  readonly datr: string;
}

/** A frame from a gateway on air, as the radio delivers it. */
export interface RadioDownlink extends RadioSettings {
  readonly phyPayload: Buffer;
  /** Start of its preamble, monotonic ms. */
  readonly at: number;
  /** Sent with inverted polarity, as a mote expects it. */
  readonly inverted: boolean;
  /** At the mote, dB; absent where nobody computes it. */
  readonly snr?: number;
}

export type ReceiveWindow = 'rx1' | 'rx2';

/** What a network may change of a mote's windows. RX2 opens `rx2DelayMs` after the uplink. */
export interface ReceiveSettings {
  readonly rx1DelayMs: number;
  readonly rx2DelayMs: number;
  /** RX1 is this many data rates slower than the uplink, at least DR0. */
  readonly rx1DrOffset: number;
  readonly rx2: RadioSettings;
}

/** What a mote has before any network said otherwise. */
export const DEFAULT_RECEPTION: ReceiveSettings = {
  rx1DelayMs: RX1_DELAY_MS,
  rx2DelayMs: RX2_DELAY_MS,
  rx1DrOffset: 0,
  rx2: RX2,
};

/** The windows of a class A mote's last few transmissions. */
export interface ReceiveWindows {
  /** It sends until `endMs`; `rx1FreqMhz` is where RX1 listens, if not where it sent. */
  openAfter(endMs: number, radio: RadioSettings, settings: ReceiveSettings, rx1FreqMhz?: number): void;
  /** The window that catches this downlink. */
  match(downlink: RadioSettings & { readonly at: number }): ReceiveWindow | undefined;
}

interface OpenWindow extends RadioSettings {
  readonly window: ReceiveWindow;
  readonly at: number;
}

// Real motes open their windows some symbols early and keep them open for a preamble.
const WINDOW_TOLERANCE_MS = 25;
// An uplink and its retransmission may have windows open at the same time.
const WINDOWS_KEPT = 6;

const near = (a: number, b: number): boolean => Math.abs(a - b) <= WINDOW_TOLERANCE_MS;
const sameRadio = (a: RadioSettings, b: RadioSettings): boolean =>
  Math.abs(a.freqMhz - b.freqMhz) < 1e-6 && a.datr === b.datr;

function rx1Datr(uplinkDatr: string, offset: number): string {
  const spreadingFactor = spreadingFactorOf(uplinkDatr);
  if (spreadingFactor === undefined || offset === 0) return uplinkDatr;
  return datrOf(spreadingFactorAt(Math.max(0, dataRateOf(spreadingFactor) - offset)));
}

export function createReceiveWindows(): ReceiveWindows {
  let windows: OpenWindow[] = [];
  return {
    openAfter(endMs, radio, { rx1DelayMs, rx2DelayMs, rx1DrOffset, rx2 }, rx1FreqMhz = radio.freqMhz) {
      windows = [
        ...windows.slice(2 - WINDOWS_KEPT),
        {
          window: 'rx1',
          at: endMs + rx1DelayMs,
          freqMhz: rx1FreqMhz,
          datr: rx1Datr(radio.datr, rx1DrOffset),
        },
        { window: 'rx2', at: endMs + rx2DelayMs, freqMhz: rx2.freqMhz, datr: rx2.datr },
      ];
    },
    match: (downlink) =>
      windows.find((open) => near(downlink.at, open.at) && sameRadio(downlink, open))?.window,
  };
}
