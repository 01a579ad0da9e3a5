/** One picture of the drone's camera: grey values, row by row. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

export interface Feed {
  /** The same seed and sequence number give the same picture, in any order and in any process. */
  picture(sequence: number): Picture;
}

const TARGET_SIZE = 12;
const TARGET_GREY = 250;
const NOISE = 24;

/** Of a text, 32 bits (FNV-1a). */
function seedOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const char of text) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
  return hash >>> 0;
}

/** Marsaglia's xorshift32: as raw as a sensor's noise, and nearly as fast. */
function noise(seed: number): () => number {
  let state = seed === 0 ? 1 : seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/**
 * A camera over ground that goes by: slopes of grey, a bright target that wanders through the picture, noise. What it shows follows
 * from seed and sequence number alone, so that whoever knows the seed can check what was made of each frame.
 */
export function createFeed(seed: string, width: number, height: number): Feed {
  const base = seedOf(seed);
  return {
    picture(sequence) {
      const random = noise((base ^ Math.imul(sequence + 1, 0x9e3779b1)) >>> 0);
      const pixels = new Uint8Array(width * height);
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) {
          const ground = 40 + (((x + sequence * 3) ^ (y + sequence)) & 0x7f);
          pixels[y * width + x] = ground + (random() % NOISE);
        }
      const left = (sequence * 7 + (base & 0xff)) % (width - TARGET_SIZE);
      const top = (sequence * 5 + ((base >>> 8) & 0xff)) % (height - TARGET_SIZE);
      for (let y = top; y < top + TARGET_SIZE; y++)
        pixels.fill(TARGET_GREY, y * width + left, y * width + left + TARGET_SIZE);
      return { width, height, pixels };
    },
  };
}
