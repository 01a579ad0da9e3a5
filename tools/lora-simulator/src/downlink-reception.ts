import type { Device } from './devices.ts';
import type { DownlinkHeader, SessionKeys } from './frames.ts';
import type { RadioDownlink, RadioSettings, ReceiveSettings, ReceiveWindow } from './receive-windows.ts';
import { MAX_FCNT_GAP } from './eu868.ts';
import { decryptFrame, micVerifies } from './frames.ts';
import { createReceiveWindows, DEFAULT_RECEPTION } from './receive-windows.ts';

/** A data downlink on air, as the radio delivers it. */
export interface DownlinkOnAir extends RadioDownlink {
  readonly header: DownlinkHeader;
}

/** Why a mote ignores a downlink that carries its DevAddr. */
export type IgnoredReason = 'noWindow' | 'polarity' | 'mic' | 'repeated' | 'counterBack' | 'counterGap';

/** What a mote makes of a downlink. `fcnt` has 32 bits. */
export type ReceptionResult =
  | {
      readonly accepted: true;
      readonly fcnt: number;
      readonly payload: Buffer;
      readonly window: ReceiveWindow;
    }
  | { readonly accepted: false; readonly reason: IgnoredReason };

/** The receiving half of a class A mote: windows, FCntDown, acknowledgements owed. */
export interface DownlinkReception {
  /** Uplinks since it last accepted a downlink. */
  readonly silentUplinks: number;
  countUplink(): void;
  /** It sends until `endMs`: its two receive windows follow. */
  listenAfter(endMs: number, radio: RadioSettings, settings?: ReceiveSettings, rx1FreqMhz?: number): void;
  /** Whether the next uplink must carry the ACK bit; asking settles it. */
  takeAck(): boolean;
  receive(downlink: DownlinkOnAir): ReceptionResult;
}

type CounterVerdict = { readonly fcnt: number } | { readonly reason: IgnoredReason };

// LoRaWAN 1.0.x, 4.3.1.5: only upward and by less than MAX_FCNT_GAP. The MIC decides which 32 bits are meant.
function judgeCounter(last: number, fcnt16: number, verifies: (fcnt: number) => boolean): CounterVerdict {
  const sameHalf = (Math.max(last, 0) & 0xffff_0000) >>> 0;
  const here = sameHalf + fcnt16;
  const upward = here > last ? here : here + 0x1_0000;
  const downward = upward - 0x1_0000;
  if (upward <= 0xffff_ffff && verifies(upward)) {
    return upward - last < MAX_FCNT_GAP ? { fcnt: upward } : { reason: 'counterGap' };
  }
  if (downward >= 0 && verifies(downward)) return { reason: downward === last ? 'repeated' : 'counterBack' };
  return { reason: 'mic' };
}

/** Reception of one device, which accepts `fcntDownStart` as its first counter. */
export function createDownlinkReception(
  device: Pick<Device, 'devAddr'>,
  keys: SessionKeys,
  fcntDownStart: number,
): DownlinkReception {
  const windows = createReceiveWindows();
  let last = fcntDownStart - 1;
  let ackOwed = false;
  let silentUplinks = 0;

  const accept = (downlink: DownlinkOnAir, window: ReceiveWindow): ReceptionResult => {
    const verdict = judgeCounter(last, downlink.header.fcnt16, (fcnt) =>
      micVerifies(downlink.phyPayload, keys.nwkSKey, fcnt),
    );
    // A repeated confirmed downlink says that our acknowledgement was lost.
    if ('reason' in verdict) {
      if (verdict.reason === 'repeated' && downlink.header.confirmed) ackOwed = true;
      return { accepted: false, reason: verdict.reason };
    }
    last = verdict.fcnt;
    silentUplinks = 0;
    if (downlink.header.confirmed) ackOwed = true;
    return { accepted: true, window, fcnt: last, payload: decryptFrame(downlink.phyPayload, keys, last) };
  };

  return {
    get silentUplinks() {
      return silentUplinks;
    },
    countUplink() {
      silentUplinks += 1;
    },
    listenAfter(endMs, radio, settings = DEFAULT_RECEPTION, rx1FreqMhz = radio.freqMhz) {
      windows.openAfter(endMs, radio, settings, rx1FreqMhz);
    },
    takeAck() {
      const owed = ackOwed;
      ackOwed = false;
      return owed;
    },
    receive(downlink) {
      if (downlink.header.devAddr !== device.devAddr) return { accepted: false, reason: 'noWindow' };
      const window = windows.match(downlink);
      if (window === undefined) return { accepted: false, reason: 'noWindow' };
      if (!downlink.inverted) return { accepted: false, reason: 'polarity' };
      return accept(downlink, window);
    },
  };
}
