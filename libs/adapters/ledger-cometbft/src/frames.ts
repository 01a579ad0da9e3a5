import { AntirioError, concatBytes } from '@antirio/kernel';

/** A block, with what goes round it, or a chunk of a snapshot: CometBFT sends nothing larger. */
const MAX_FRAME_BYTES = 24 << 20;
/** A length that fits is never longer. */
const MAX_LENGTH_BYTES = 4;

/** A message as ABCI has it on a socket: its length as an unsigned varint, then the message. */
export function toFrame(message: Uint8Array): Uint8Array {
  const length: number[] = [];
  let rest = message.length;
  while (rest >= 0x80) {
    length.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  return concatBytes(Uint8Array.from([...length, rest]), message);
}

interface Prefix {
  readonly bytes: number;
  readonly length: number;
}

function prefixOf(bytes: Uint8Array): Prefix | undefined {
  let length = 0;
  for (let i = 0; i < MAX_LENGTH_BYTES; i++) {
    const byte = bytes[i];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { bytes: i + 1, length };
  }
  throw new AntirioError('invalidInput', 'no ABCI: a frame has no length');
}

/** Messages of one connection, out of what came in pieces. */
export class FrameReader {
  readonly #maxBytes: number;
  #pieces: Uint8Array[] = [];
  #waiting = 0;
  /** What the newest frame needs to be whole. */
  #needed = 1;

  constructor(maxBytes = MAX_FRAME_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /**
   * The messages that are whole now.
   * @throws AntirioError tooLarge, invalidInput: nothing that follows on this connection can be understood
   */
  push(piece: Uint8Array): Uint8Array[] {
    this.#pieces.push(piece);
    this.#waiting += piece.length;
    if (this.#waiting < this.#needed) return [];
    let rest = this.#pieces.length === 1 ? piece : concatBytes(...this.#pieces);
    const messages: Uint8Array[] = [];
    for (;;) {
      const prefix = prefixOf(rest);
      this.#needed = prefix === undefined ? rest.length + 1 : prefix.bytes + prefix.length;
      if (prefix !== undefined && prefix.length > this.#maxBytes)
        throw new AntirioError('tooLarge', `a frame of ${prefix.length} bytes, ${this.#maxBytes} at most`);
      if (prefix === undefined || rest.length < this.#needed) break;
      messages.push(rest.subarray(prefix.bytes, this.#needed));
      rest = rest.subarray(this.#needed);
    }
    this.#pieces = rest.length === 0 ? [] : [rest];
    this.#waiting = rest.length;
    return messages;
  }
}
