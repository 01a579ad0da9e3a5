import type { DownlinkHeader } from './frames.ts';
import type { Frame } from './transmission.ts';

/** An uplink that may go on air more than once, until the mote is content (LoRaWAN 1.0.x, sections 4.3.1.2 and 5.3). */
export interface Exchange {
  /** The uplink still waits for something; the next must not go out before. */
  readonly isOpen: boolean;
  /** Begins with the first transmission of a new frame; `attempts` counts that one too, and even one may wait. */
  begin(frame: Frame, attempts: number, waits?: boolean): void;
  /** A downlink was accepted. */
  settle(header: Pick<DownlinkHeader, 'ack'>): void;
  /** Whether this frame must go on air once more; asking spends the attempt. */
  takeAttempt(frame: Frame): boolean;
  /** Gives up this frame, or whatever waits. */
  end(frame?: Frame): void;
}

export function createExchange(): Exchange {
  let current: Frame | undefined;
  let left = 0;
  return {
    get isOpen() {
      return current !== undefined;
    },
    begin(frame, attempts, waits = attempts > 1) {
      current = waits ? frame : undefined;
      left = attempts - 1;
    },
    settle({ ack }) {
      // An unconfirmed uplink is repeated for want of any answer, a confirmed one for want of its acknowledgement.
      if (current !== undefined && (ack || !current.confirmed)) current = undefined;
    },
    takeAttempt(frame) {
      if (frame !== current || left === 0) return false;
      left -= 1;
      return true;
    },
    end(frame = current) {
      if (frame === current) current = undefined;
    },
  };
}
