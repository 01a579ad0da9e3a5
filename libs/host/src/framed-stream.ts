import { AntirioError, concatBytes } from '@antirio/kernel';

/** Before each frame: its length. */
const HEADER = 4;
const MAX_FRAME_BYTES = 1 << 20;

/** Frames as one stretch of bytes: the length of each (32 bits, big-endian), then its parts. */
export function toFrames(frames: readonly (readonly Uint8Array[])[]): Uint8Array {
  const lengths = frames.map((parts) => parts.reduce((sum, part) => sum + part.length, 0));
  const bytes = new Uint8Array(lengths.reduce((sum, length) => sum + HEADER + length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [i, parts] of frames.entries()) {
    view.setUint32(at, lengths[i] ?? 0);
    at += HEADER;
    for (const part of parts) {
      bytes.set(part, at);
      at += part.length;
    }
  }
  return bytes;
}

/**
 * The frames of a stream that `toFrames` made, those of each piece together; they are valid until the next are asked for.
 * @throws AntirioError unavailable where it ends within a frame, tooLarge
 */
export async function* framesOf(
  body: AsyncIterable<Uint8Array>,
  maxFrameBytes = MAX_FRAME_BYTES,
): AsyncGenerator<Uint8Array[]> {
  let rest: Uint8Array = new Uint8Array(0);
  for await (const piece of body) {
    const bytes = rest.length === 0 ? piece : concatBytes(rest, piece);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const frames: Uint8Array[] = [];
    let at = 0;
    while (at + HEADER <= bytes.length) {
      const length = view.getUint32(at);
      if (length > maxFrameBytes)
        throw new AntirioError('tooLarge', `a frame of ${length} bytes in a stream`, { length });
      if (at + HEADER + length > bytes.length) break;
      frames.push(bytes.subarray(at + HEADER, at + HEADER + length));
      at += HEADER + length;
    }
    if (frames.length > 0) yield frames;
    // a copy, also of a Buffer: the piece's memory is another one's then
    rest = new Uint8Array(bytes.subarray(at));
  }
  if (rest.length > 0) throw new AntirioError('unavailable', 'a stream ended within a frame');
}
