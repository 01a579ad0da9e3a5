import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto';
import { AntirioError } from './errors.ts';

const BLOCK = 16;
const ZERO = new Uint8Array(BLOCK);

/** AES-128 on single blocks (ECB without padding): what LoRaWAN's own modes are made of. */
export interface Aes128 {
  encryptBlocks(blocks: Uint8Array): Uint8Array;
  decryptBlocks(blocks: Uint8Array): Uint8Array;
  /** AES-CMAC, RFC 4493. */
  cmac(message: Uint8Array): Uint8Array;
}

function leftShift(block: Uint8Array): Uint8Array {
  const out = new Uint8Array(BLOCK);
  for (let i = 0; i < BLOCK; i++) out[i] = (((block[i] ?? 0) << 1) | ((block[i + 1] ?? 0) >> 7)) & 0xff;
  if (((block[0] ?? 0) & 0x80) !== 0) out[BLOCK - 1] = (out[BLOCK - 1] ?? 0) ^ 0x87;
  return out;
}

class KeyedAes128 implements Aes128 {
  // A key object is imported once; raw bytes would be on every call, at several times the cost of the cipher itself.
  readonly #secret: KeyObject;
  #subkeys: { readonly whole: Uint8Array; readonly padded: Uint8Array } | undefined;

  constructor(key: Uint8Array) {
    this.#secret = createSecretKey(key);
  }

  // Whole blocks without padding all come out of `update`; nothing is left for `final`.
  encryptBlocks(blocks: Uint8Array): Uint8Array {
    return createCipheriv('aes-128-ecb', this.#secret, null).setAutoPadding(false).update(blocks);
  }

  decryptBlocks(blocks: Uint8Array): Uint8Array {
    return createDecipheriv('aes-128-ecb', this.#secret, null).setAutoPadding(false).update(blocks);
  }

  cmac(message: Uint8Array): Uint8Array {
    const { whole, padded } = (this.#subkeys ??= this.#derived());
    const count = Math.max(1, Math.ceil(message.length / BLOCK));
    const blocks = new Uint8Array(count * BLOCK);
    blocks.set(message);
    const isWhole = message.length === blocks.length;
    if (!isWhole) blocks[message.length] = 0x80;
    const subkey = isWhole ? whole : padded;
    const last = blocks.length - BLOCK;
    for (let i = 0; i < BLOCK; i++) blocks[last + i] = (blocks[last + i] ?? 0) ^ (subkey[i] ?? 0);
    const cipher = createCipheriv('aes-128-cbc', this.#secret, ZERO).setAutoPadding(false);
    return cipher.update(blocks).subarray(-BLOCK);
  }

  #derived(): { readonly whole: Uint8Array; readonly padded: Uint8Array } {
    const whole = leftShift(this.encryptBlocks(ZERO));
    return { whole, padded: leftShift(whole) };
  }
}

/** Keys are 16 bytes; the CMAC subkeys are derived when they are needed first, and kept. */
export function createAes128(key: Uint8Array): Aes128 {
  if (key.length !== BLOCK) throw new AntirioError('invalidInput', 'an AES-128 key is 16 bytes');
  return new KeyedAes128(key);
}

const TAG = 16;

/** AES-256-GCM; returns ciphertext with the 16-byte tag behind it. `nonce` is 12 bytes and never used twice with a key. */
export function aesGcmEncrypt(
  key: Uint8Array,
  nonce: Uint8Array,
  plain: Uint8Array,
  aad: Uint8Array,
): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(aad);
  return new Uint8Array(Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]));
}

/** @throws AntirioError corrupt when key, nonce, associated data or bytes are not those of the encryption. */
export function aesGcmDecrypt(
  key: Uint8Array,
  nonce: Uint8Array,
  sealed: Uint8Array,
  aad: Uint8Array,
): Uint8Array {
  if (sealed.length < TAG) throw new AntirioError('corrupt', 'sealed bytes are too short');
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, nonce);
    decipher.setAAD(aad);
    decipher.setAuthTag(sealed.subarray(sealed.length - TAG));
    return new Uint8Array(
      Buffer.concat([decipher.update(sealed.subarray(0, sealed.length - TAG)), decipher.final()]),
    );
  } catch (cause) {
    throw new AntirioError('corrupt', 'sealed bytes do not open with this key', {}, cause);
  }
}
