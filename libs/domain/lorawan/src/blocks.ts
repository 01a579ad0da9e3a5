import { devAddrValue, type DevAddr } from './ids.ts';
import type { Direction } from './phy-payload.ts';

export const BLOCK = 16;
export const MIC = 4;

/** Blocks B0 and Ai differ in their first and last byte only (LoRaWAN 1.0.x, 4.3.3.1 and 4.4). */
export function counterBlock(
  target: Uint8Array,
  at: number,
  first: number,
  direction: Direction,
  devAddr: DevAddr,
  fcnt: number,
): DataView {
  const view = new DataView(target.buffer, target.byteOffset + at, BLOCK);
  view.setUint8(0, first);
  view.setUint8(5, direction === 'up' ? 0 : 1);
  view.setUint32(6, devAddrValue(devAddr), true);
  view.setUint32(10, fcnt, true);
  return view;
}

/** What the MIC of a data frame covers: block B0, then the frame without its MIC. */
export function micMessage(
  phyPayload: Uint8Array,
  direction: Direction,
  devAddr: DevAddr,
  fcnt: number,
): Uint8Array {
  const length = phyPayload.length - MIC;
  const message = new Uint8Array(BLOCK + length);
  counterBlock(message, 0, 0x49, direction, devAddr, fcnt);
  message[BLOCK - 1] = length;
  message.set(phyPayload.subarray(0, length), BLOCK);
  return message;
}
