import { AntirioError, createAes128, equalBytes, type Aes128 } from '@antirio/kernel';
import { devAddrValue, type DevAddr } from './ids.ts';
import { layOutDataFrame, type DataFrame, type DataFrameFields, type Direction } from './phy-payload.ts';

/** LoRaWAN 1.0.x session keys, 16 bytes each. Without AppSKey a session verifies frames but cannot read them. */
export interface SessionKeys {
  readonly nwkSKey: Uint8Array;
  readonly appSKey?: Uint8Array;
}

/** What one session's keys can do. Key schedules are kept, so that a frame costs its blocks and no more. */
export interface SessionCipher {
  /** Whether the FRMPayload of ports other than 0 can be read. */
  readonly readsPayload: boolean;
  /** Whether the frame's MIC is right for this 32-bit counter; in constant time. */
  verifies(frame: DataFrame, fcnt: number): boolean;
  /** FRMPayload in the clear (port 0 with NwkSKey). @throws AntirioError forbidden where it takes the AppSKey and there is none. */
  decrypt(frame: DataFrame, fcnt: number): Uint8Array;
  /** A whole data frame from its fields and its payload in the clear. @throws AntirioError as `decrypt`, or invalidInput | tooLarge. */
  build(fields: DataFrameFields, payload?: Uint8Array): Uint8Array;
}

const BLOCK = 16;
const MIC = 4;

// Blocks B0 and Ai differ in their first and last byte only (LoRaWAN 1.0.x, 4.3.3.1 and 4.4).
function counterBlock(
  target: Uint8Array,
  at: number,
  first: number,
  direction: Direction,
  devAddr: DevAddr,
  fcnt: number,
): void {
  const view = new DataView(target.buffer, target.byteOffset + at, BLOCK);
  view.setUint8(0, first);
  view.setUint8(5, direction === 'up' ? 0 : 1);
  view.setUint32(6, devAddrValue(devAddr), true);
  view.setUint32(10, fcnt, true);
}

function micOf(
  nwk: Aes128,
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
  return nwk.cmac(message).subarray(0, MIC);
}

// Encryption and decryption are the same XOR with a key stream.
function crypt(
  key: Aes128,
  payload: Uint8Array,
  direction: Direction,
  devAddr: DevAddr,
  fcnt: number,
): Uint8Array {
  const count = Math.ceil(payload.length / BLOCK);
  if (count === 0) return new Uint8Array();
  const blocks = new Uint8Array(count * BLOCK);
  for (let i = 0; i < count; i++) {
    counterBlock(blocks, i * BLOCK, 0x01, direction, devAddr, fcnt);
    blocks[i * BLOCK + BLOCK - 1] = i + 1;
  }
  const stream = key.encryptBlocks(blocks);
  return payload.map((byte, i) => byte ^ (stream[i] ?? 0));
}

/** @throws AntirioError invalidInput for keys that are not 16 bytes. */
export function createSessionCipher(keys: SessionKeys): SessionCipher {
  const nwk = createAes128(keys.nwkSKey);
  const app = keys.appSKey === undefined ? undefined : createAes128(keys.appSKey);
  const keyFor = (fPort: number | undefined): Aes128 => {
    if (fPort === 0) return nwk;
    if (app === undefined)
      throw new AntirioError('forbidden', 'the payload takes the AppSKey, which is not here');
    return app;
  };
  return {
    readsPayload: app !== undefined,
    verifies: (frame, fcnt) =>
      (fcnt & 0xffff) === frame.fcnt16 &&
      equalBytes(micOf(nwk, frame.phyPayload, frame.direction, frame.devAddr, fcnt), frame.mic),
    decrypt(frame, fcnt) {
      if (frame.frmPayload.length === 0) return new Uint8Array();
      return crypt(keyFor(frame.fPort), frame.frmPayload, frame.direction, frame.devAddr, fcnt);
    },
    build(fields, payload = new Uint8Array()) {
      const { direction, devAddr, fcnt } = fields;
      const encrypted =
        payload.length === 0 ? payload : crypt(keyFor(fields.fPort), payload, direction, devAddr, fcnt);
      const bytes = layOutDataFrame(fields, encrypted);
      bytes.set(micOf(nwk, bytes, direction, devAddr, fcnt), bytes.length - MIC);
      return bytes;
    },
  };
}
