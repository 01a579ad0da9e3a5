/** What a UUID is looked up by: two hashes of 32 bits of all its bytes, so that UUIDs that count up spread as random ones do. */
export interface KeyHash {
  readonly key: number;
  readonly check: number;
}

/** The finalizer of MurmurHash3. */
function mixed(h: number): number {
  let x = h;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

function word(bytes: Uint8Array, at: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
  return a | (b << 8) | (c << 16) | (d << 24);
}

export function keyHashOf(uuid: Uint8Array): KeyHash {
  let key = 0;
  let check = 0x9e3779b9;
  for (let at = 0; at < 16; at += 4) {
    const part = word(uuid, at);
    key = mixed((key + at) ^ part);
    check = mixed(Math.imul(check, 31) ^ part);
  }
  return { key, check };
}

const BLOCK_BITS = 512;
const PROBES = 7;

/** Bytes of a filter for so many keys, two for each: of the keys that are not there, one in about a thousand seems to be. */
export function filterBytes(keys: number): number {
  return Math.max(1, Math.ceil((keys * 16) / BLOCK_BITS)) * (BLOCK_BITS / 8);
}

/** The block that has a key's bits, in a filter of this size: asking costs one miss of the processor's cache (a blocked Bloom filter). */
const blockOf = (key: number, check: number, bytes: number): number =>
  (mixed(key ^ check) % (bytes / (BLOCK_BITS / 8))) * BLOCK_BITS;

/** From one of a key's places in its block to the next; the upper 9 bits are the bit's number. */
const nextPlace = (place: number, key: number): number => (Math.imul(place, 0x9e3779b1) + key) | 0;

/** A key's bits, to be asked for in several filters of one size. */
export function probesOf({ key, check }: KeyHash, bytes: number): readonly number[] {
  const block = blockOf(key, check, bytes);
  const probes: number[] = [];
  for (let i = 0, place = check; i < PROBES; i++, place = nextPlace(place, key))
    probes.push(block + (place >>> 23));
  return probes;
}

export function addTo(filter: Uint8Array, { key, check }: KeyHash): void {
  const block = blockOf(key, check, filter.length);
  for (let i = 0, place = check; i < PROBES; i++, place = nextPlace(place, key)) {
    const bit = block + (place >>> 23);
    filter[bit >> 3] = (filter[bit >> 3] ?? 0) | (1 << (bit & 7));
  }
}

/** False: surely not there. */
export function mayHave(filter: Uint8Array, probes: readonly number[]): boolean {
  for (const bit of probes) if (((filter[bit >> 3] ?? 0) & (1 << (bit & 7))) === 0) return false;
  return true;
}
