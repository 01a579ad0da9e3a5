import { createAes128, equalBytes } from '@antirio/kernel';
import { micMessage } from './blocks.ts';
import type { DataFrame } from './phy-payload.ts';

/** The two keys that a LoRaWAN 1.1 uplink's MIC is made with, 16 bytes each. */
export interface Uplink11Keys {
  readonly fNwkSIntKey: Uint8Array;
  readonly sNwkSIntKey: Uint8Array;
}

/** What the MIC covers besides the frame: how it was sent. */
export interface Uplink11Transmission {
  /** Number of the data rate. */
  readonly dataRate: number;
  /** Index of the channel. */
  readonly channel: number;
  /** FCnt of the confirmed downlink that the frame acknowledges; of no account without ACK. */
  readonly confirmedFcnt?: number;
}

/** Whether the MIC of a LoRaWAN 1.1 uplink is right for a 32-bit counter; in constant time. */
export type Uplink11Verifier = (
  frame: DataFrame,
  fcnt: number,
  transmission: Uplink11Transmission,
) => boolean;

/**
 * LoRaWAN 1.1, 4.4.1: two bytes of the CMAC over block B1 and two over block B0. FOpts of such frames are encrypted and
 * not read here. @throws AntirioError invalidInput for keys that are not 16 bytes.
 */
export function createUplink11Verifier(keys: Uplink11Keys): Uplink11Verifier {
  const forwarding = createAes128(keys.fNwkSIntKey);
  const serving = createAes128(keys.sNwkSIntKey);
  return (frame, fcnt, { dataRate, channel, confirmedFcnt = 0 }) => {
    if (frame.direction !== 'up' || (fcnt & 0xffff) !== frame.fcnt16) return false;
    const message = micMessage(frame.phyPayload, 'up', frame.devAddr, fcnt);
    const byForwarding = forwarding.cmac(message).subarray(0, 2);
    const confirmed = frame.ack ? confirmedFcnt & 0xffff : 0;
    message.set([confirmed & 0xff, confirmed >>> 8, dataRate, channel], 1);
    const mic = Uint8Array.from([...serving.cmac(message).subarray(0, 2), ...byForwarding]);
    return equalBytes(mic, frame.mic);
  };
}
