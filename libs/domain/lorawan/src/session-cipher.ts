import { AntirioError, createAes128, equalBytes, hmacSha256, utf8, type Aes128 } from '@antirio/kernel';
import { BLOCK, counterBlock, MIC, micMessage } from './blocks.ts';
import type { DevAddr } from './ids.ts';
import { layOutDataFrame, type DataFrame, type DataFrameFields, type Direction } from './phy-payload.ts';

/** LoRaWAN 1.0.x session keys, 16 bytes each. Without AppSKey a session verifies frames but cannot read them. */
export interface SessionKeys {
  readonly nwkSKey: Uint8Array;
  readonly appSKey?: Uint8Array;
}

/** What one session's keys can do. Key schedules are kept for a while, so that a frame costs its blocks and little more. */
export interface SessionCipher {
  /** Whether the FRMPayload of ports other than 0 can be read. */
  readonly readsPayload: boolean;
  /** Whether the frame's MIC is right for this 32-bit counter; in constant time. */
  verifies(frame: DataFrame, fcnt: number): boolean;
  /** FRMPayload in the clear (port 0 with NwkSKey). @throws AntirioError forbidden where it takes the AppSKey and there is none. */
  decrypt(frame: DataFrame, fcnt: number): Uint8Array;
  /** A whole data frame from its fields and its payload in the clear. @throws AntirioError as `decrypt`, or invalidInput | tooLarge. */
  build(fields: DataFrameFields, payload?: Uint8Array): Uint8Array;
  /**
   * A whole data frame around an FRMPayload that whoever has the AppSKey has encrypted, for this very counter. It takes the NwkSKey only.
   * @throws AntirioError invalidInput | tooLarge.
   */
  buildEncrypted(fields: DataFrameFields, frmPayload: Uint8Array): Uint8Array;
  /** The FRMPayload of a downlink for `buildEncrypted` elsewhere. One counter for one payload only. @throws AntirioError as `decrypt`. */
  encryptDown(devAddr: DevAddr, fcnt: number, payload: Uint8Array): Uint8Array;
  /** A key of 32 bytes that only holders of the AppSKey have, another one for each purpose; undefined without the AppSKey. */
  keyFor(purpose: string): Uint8Array | undefined;
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
  const out = new Uint8Array(payload.length);
  for (let i = 0; i < out.length; i++) out[i] = (payload[i] ?? 0) ^ (stream[i] ?? 0);
  return out;
}

const KEY = 16;
/**
 * Sessions that keep their key schedules, the last ones that made them. Making them anew costs some microseconds; those of all the
 * sessions of a large fleet would hold two kilobytes for each. The references are weak: keys go with their session.
 */
const SCHEDULES = 256;
const scheduled: WeakRef<KeyedSession>[] = [];
let place = 0;

interface Schedules {
  readonly nwk: Aes128;
  readonly app: Aes128 | undefined;
}

class KeyedSession implements SessionCipher {
  /** NwkSKey, and behind it AppSKey where it is there: a character for each byte, as an array would hold a multiple of its bytes. */
  readonly #keys: string;
  #schedules: Schedules | undefined;

  constructor({ nwkSKey, appSKey = new Uint8Array() }: SessionKeys) {
    this.#keys = String.fromCharCode(...nwkSKey, ...appSKey);
  }

  get readsPayload(): boolean {
    return this.#keys.length > KEY;
  }

  verifies({ phyPayload, direction, devAddr, fcnt16, mic }: DataFrame, fcnt: number): boolean {
    return (
      (fcnt & 0xffff) === fcnt16 &&
      equalBytes(micOf(this.#keyed.nwk, phyPayload, direction, devAddr, fcnt), mic)
    );
  }

  decrypt({ frmPayload, fPort, direction, devAddr }: DataFrame, fcnt: number): Uint8Array {
    if (frmPayload.length === 0) return new Uint8Array();
    return crypt(this.#keyFor(fPort), frmPayload, direction, devAddr, fcnt);
  }

  build(fields: DataFrameFields, payload = new Uint8Array()): Uint8Array {
    const { direction, devAddr, fcnt, fPort } = fields;
    const encrypted =
      payload.length === 0 ? payload : crypt(this.#keyFor(fPort), payload, direction, devAddr, fcnt);
    return this.buildEncrypted(fields, encrypted);
  }

  buildEncrypted(fields: DataFrameFields, frmPayload: Uint8Array): Uint8Array {
    const { direction, devAddr, fcnt } = fields;
    const bytes = layOutDataFrame(fields, frmPayload);
    bytes.set(micOf(this.#keyed.nwk, bytes, direction, devAddr, fcnt), bytes.length - MIC);
    return bytes;
  }

  encryptDown(devAddr: DevAddr, fcnt: number, payload: Uint8Array): Uint8Array {
    return crypt(this.#keyFor(undefined), payload, 'down', devAddr, fcnt);
  }

  keyFor(purpose: string): Uint8Array | undefined {
    return this.readsPayload ? hmacSha256(this.#bytes().subarray(KEY), utf8(purpose)) : undefined;
  }

  get #keyed(): Schedules {
    return (this.#schedules ??= this.#schedule());
  }

  #keyFor(fPort: number | undefined): Aes128 {
    const { nwk, app } = this.#keyed;
    if (fPort === 0) return nwk;
    if (app === undefined)
      throw new AntirioError('forbidden', 'the payload takes the AppSKey, which is not here');
    return app;
  }

  #bytes(): Uint8Array {
    return Uint8Array.from(this.#keys, (character) => character.charCodeAt(0));
  }

  #schedule(): Schedules {
    const longest = scheduled[place]?.deref();
    if (longest !== undefined) longest.#schedules = undefined;
    scheduled[place] = new WeakRef(this);
    place = (place + 1) % SCHEDULES;
    const bytes = this.#bytes();
    // copies: what is imported gets memory of its own outside of the heap
    return {
      nwk: createAes128(bytes.slice(0, KEY)),
      app: this.readsPayload ? createAes128(bytes.slice(KEY)) : undefined,
    };
  }
}

/** @throws AntirioError invalidInput for keys that are not 16 bytes. */
export function createSessionCipher(keys: SessionKeys): SessionCipher {
  for (const key of [keys.nwkSKey, keys.appSKey])
    if (key !== undefined && key.length !== KEY)
      throw new AntirioError('invalidInput', `a session key is ${KEY} bytes`);
  return new KeyedSession(keys);
}
