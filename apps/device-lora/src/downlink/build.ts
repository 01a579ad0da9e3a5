import type { Session } from '../uplink/sessions.ts';
import type { Downlink } from './store.ts';

/** What goes into a downlink frame. */
export interface FrameParts {
  readonly fcnt: number;
  /** Whether it acknowledges the uplink. */
  readonly ack: boolean;
  /** Whether the network adapts the device's data rate. */
  readonly adr: boolean;
  /** Whether others wait behind it. */
  readonly more: boolean;
  /** Encoded MAC commands. */
  readonly commands: Uint8Array;
  /** Undefined for a frame of the MAC layer alone. */
  readonly downlink: Downlink | undefined;
}

/** Bytes of a data frame besides FOpts and FRMPayload: MHDR, FHDR, FPort, MIC. */
export const OVERHEAD = 13;
const FOPTS = 15;
const FCTRL = 5;
const ACK = 0x20;

/** The frame's bytes; MAC commands are in FOpts, or the payload of port 0 where they are too long for that. */
export function buildFrame({ cipher, devAddr }: Session, parts: FrameParts): Uint8Array {
  const { fcnt, ack, adr, more, commands, downlink } = parts;
  const fields = { direction: 'down', devAddr, fcnt, ack, adr } as const;
  if (downlink !== undefined) {
    const { confirmed, fPort, payload, isEncrypted } = downlink;
    const all = { ...fields, confirmed, fPort, fPending: more, fOpts: commands };
    return isEncrypted ? cipher.buildEncrypted(all, payload) : cipher.build(all, payload);
  }
  const plain = { ...fields, confirmed: false, fPending: more } as const;
  return commands.length > FOPTS
    ? cipher.build({ ...plain, fPort: 0 }, commands)
    : cipher.build({ ...plain, fOpts: commands });
}

/** Whether the bytes of a data downlink acknowledge an uplink. */
export const hasAck = (bytes: Uint8Array): boolean => ((bytes[FCTRL] ?? 0) & ACK) !== 0;
