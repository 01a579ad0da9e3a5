import { toBase64 } from '@antirio/kernel';
import type { Reception, RingFrame, Rx } from '../frame.ts';

/** What a reader needs to know of a frame's place in its ring. All values are strings, as ChirpStack's metadata are. */
export interface RingMetadata {
  readonly ring: string;
  readonly incarnation: string;
  readonly seq: string;
  /** Nothing that is still to be given lies between this one and `seq`. */
  readonly previousSeq: string;
  /** The ring's newest frame. */
  readonly last: string;
  /** `radio`, or the edge that it was fetched from. */
  readonly via: string;
  /** Wall ms. */
  readonly receivedAt: string;
  /** `first`, or `again` when the same bytes were heard once more. */
  readonly reception: 'first' | 'again';
  /** By which right this edge may act for the device now; empty: by none. */
  readonly tenure: string;
  /** Monotonic ms of this host at the radio reception; absent in what is given again from the disk. */
  readonly heardAt?: string;
}

/** What a reader needs to know of a JoinRequest, which is in no ring. */
export interface JoinMetadata {
  readonly kind: 'join';
  /** The ring with its DevEUI. */
  readonly ring: string;
  /** Wall ms. */
  readonly receivedAt: string;
  /** Monotonic ms of this host at the radio reception. */
  readonly heardAt: string;
}

/** `4/5` as ChirpStack's API writes it. */
export function codeRateName(codeRate: string): string {
  const match = /^(\d)\/(\d)$/.exec(codeRate);
  return match === null ? 'CR_UNDEFINED' : `CR_${String(match[1])}_${String(match[2])}`;
}

/** The concentrator's counter as ChirpStack's bridge passes it round: four bytes, most significant first. */
export function contextOf(tmst: number): string {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, tmst);
  return toBase64(bytes);
}

const secondsText = (seconds: number, nanos: number): string =>
  `${seconds}${nanos === 0 ? '' : `.${String(nanos).padStart(9, '0').replace(/0+$/, '')}`}s`;

function timesOf({ time, gpsTimeMs, fineTimeNs }: Rx): object {
  if (gpsTimeMs === undefined) return time === undefined ? {} : { gwTime: time };
  const seconds = Math.floor(gpsTimeMs / 1000);
  return {
    ...(time === undefined ? {} : { gwTime: time }),
    timeSinceGpsEpoch: secondsText(seconds, (gpsTimeMs % 1000) * 1e6),
    ...(fineTimeNs === undefined ? {} : { fineTimeSinceGpsEpoch: secondsText(seconds, fineTimeNs) }),
  };
}

/** ChirpStack's `gw.UplinkFrame` in the form of its JSON. */
export function uplinkFrame(
  frame: Reception & Pick<RingFrame, 'seq'>,
  metadata: RingMetadata | JoinMetadata,
): object {
  const { rx } = frame;
  const { bandwidth, spreadingFactor } = rx;
  return {
    phyPayload: toBase64(frame.phyPayload),
    txInfo: {
      frequency: rx.frequency,
      modulation: { lora: { bandwidth, spreadingFactor, codeRate: codeRateName(rx.codeRate) } },
    },
    rxInfo: {
      gatewayId: frame.gatewayId,
      uplinkId: frame.seq % 2 ** 32,
      ...timesOf(rx),
      rssi: Math.round(rx.rssi),
      snr: rx.snr,
      channel: rx.channel,
      rfChain: rx.rfChain,
      ...(rx.board === undefined ? {} : { board: rx.board }),
      ...(rx.antenna === undefined ? {} : { antenna: rx.antenna }),
      context: contextOf(rx.tmst),
      metadata,
      crcStatus: rx.crcOk ? 'CRC_OK' : 'NO_CRC',
    },
  };
}

export const uplinkEvent = (...about: Parameters<typeof uplinkFrame>): string =>
  JSON.stringify(uplinkFrame(...about));
