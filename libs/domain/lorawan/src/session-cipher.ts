import { AntirioError, createAes128, equalBytes, type Aes128 } from '@antirio/kernel';
import { BLOCK, counterBlock, MIC, micMessage } from './blocks.ts';
import type { DevAddr } from './ids.ts';
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

const micOf = (
  nwk: Aes128,
  phyPayload: Uint8Array,
  direction: Direction,
  devAddr: DevAddr,
  fcnt: number,
): Uint8Array => nwk.cmac(micMessage(phyPayload, direction, devAddr, fcnt)).subarray(0, MIC);

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
