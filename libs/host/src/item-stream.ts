import { AntirioError, fromUtf8, utf8 } from '@antirio/kernel';
import { framesOf, toFrames } from './framed-stream.ts';

/** The first byte of each frame. */
const HEAD = 0;
const ITEM = 1;
const END = 2;
const NUMBER_BYTES = 9;

/** Bytes with a number, from 1. */
export interface StreamItem {
  readonly seq: number;
  readonly bytes: Uint8Array;
}

export type StreamPart =
  | { readonly kind: 'head'; readonly value: unknown }
  | { readonly kind: 'items'; readonly items: readonly StreamItem[] }
  | { readonly kind: 'end'; readonly value: unknown };

const told = (kind: number, value: unknown): Uint8Array =>
  toFrames([[Uint8Array.of(kind), utf8(JSON.stringify(value))]]);

/** What such a stream begins with, as JSON. */
export const streamHead = (value: unknown): Uint8Array => told(HEAD, value);

/** What says that it is whole, as JSON. */
export const streamEnd = (value: unknown): Uint8Array => told(END, value);

function prefixOf(seq: number): Uint8Array {
  const bytes = new Uint8Array(NUMBER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, ITEM);
  view.setFloat64(1, seq);
  return bytes;
}

export const streamItems = (items: readonly StreamItem[]): Uint8Array =>
  toFrames(items.map(({ seq, bytes }) => [prefixOf(seq), bytes]));

const nonsense = (cause?: unknown): AntirioError =>
  new AntirioError('invalidInput', 'a stream of numbered items that is none', {}, cause);

function jsonOf(frame: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(frame.subarray(1)));
  } catch (cause) {
    throw nonsense(cause);
  }
}

function itemOf(frame: Uint8Array): StreamItem {
  if (frame.length < NUMBER_BYTES) throw nonsense();
  const seq = new DataView(frame.buffer, frame.byteOffset).getFloat64(1);
  if (!Number.isSafeInteger(seq) || seq < 1) throw nonsense();
  return { seq, bytes: frame.subarray(NUMBER_BYTES) };
}

/**
 * The parts of such a stream; items are valid until the next part is asked for.
 * @throws AntirioError invalidInput, tooLarge; unavailable where it has no end
 */
export async function* partsOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<StreamPart> {
  for await (const frames of framesOf(body)) {
    let items: StreamItem[] = [];
    for (const frame of frames) {
      if (frame[0] === ITEM) {
        items.push(itemOf(frame));
        continue;
      }
      if (items.length > 0) yield { kind: 'items', items };
      items = [];
      if (frame[0] === HEAD) yield { kind: 'head', value: jsonOf(frame) };
      else if (frame[0] !== END) throw nonsense();
      else {
        yield { kind: 'end', value: jsonOf(frame) };
        return;
      }
    }
    if (items.length > 0) yield { kind: 'items', items };
  }
  throw new AntirioError('unavailable', 'a stream broke off');
}
