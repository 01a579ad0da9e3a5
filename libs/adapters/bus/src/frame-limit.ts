/** Longest CONNECT taken from someone who has not said yet who it is. */
const MAX_FIRST_BYTES = 64 << 10;

/**
 * Watches the bytes of one MQTT connection and says whether they keep to a largest packet (MQTT 3.1.1, section 2.2.3). The parser
 * behind it would collect up to 256 MiB before it looked.
 */
export function createFrameLimit(maxPacketBytes: number): (chunk: Uint8Array) => boolean {
  let limit = Math.min(maxPacketBytes, MAX_FIRST_BYTES);
  let skip = 0;
  let inLength = false;
  let length = 0;
  let shift = 0;

  /** One byte of a fixed header; false when the packet that begins is too long. */
  const header = (byte: number): boolean => {
    if (!inLength) {
      inLength = true;
      length = 0;
      shift = 0;
      return true;
    }
    length += (byte & 0x7f) << shift;
    shift += 7;
    if ((byte & 0x80) !== 0) return shift <= 21;
    inLength = false;
    skip = length;
    const fits = length <= limit;
    limit = maxPacketBytes;
    return fits;
  };
  return (chunk) => {
    let i = 0;
    while (i < chunk.length) {
      if (skip > 0) {
        const step = Math.min(skip, chunk.length - i);
        skip -= step;
        i += step;
      } else if (!header(chunk[i++] ?? 0)) return false;
    }
    return true;
  };
}
