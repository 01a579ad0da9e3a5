import { z } from 'zod';
import { framesOf, parseInput, toFrames } from '@antirio/host';
import { AntirioError, fromUtf8, utf8 } from '@antirio/kernel';
import { decodeFrame } from './record.ts';
import type { Ring } from './ring.ts';

/** A ring as one answer: what it is, its frames in order, where it ended. */
export const RING_STREAM_TYPE = 'application/vnd.antirio.ring';

/** What is given of each frame: its record in the log, its PHYPayload, or enough to see whether one lacks it. */
export const STREAM_FORMS = ['record', 'payload', 'offer'] as const;
export type StreamForm = (typeof STREAM_FORMS)[number];

/** The first byte of each frame of the stream. */
const HEAD = 0;
const ITEM = 1;
const END = 2;
const AT_ONCE = 512;
const OFFER_BYTES = 18;

const head = z.object({ incarnation: z.string().min(1).max(64), last: z.int().min(0) });
const end = z.object({ next: z.int().min(0), last: z.int().min(0) });

export type StreamItem = { readonly seq: number; readonly bytes: Uint8Array };

const told = (kind: number, value: unknown): readonly Uint8Array[] => [
  Uint8Array.of(kind),
  utf8(JSON.stringify(value)),
];

function prefixOf(seq: number): Uint8Array {
  const bytes = new Uint8Array(9);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, ITEM);
  view.setFloat64(1, seq);
  return bytes;
}

function offerBytes(ring: Ring, after: number, limit: number): StreamItem[] {
  return ring.offers(after, limit).map(({ seq, devAddr, fcnt, mic, digest }) => {
    const bytes = new Uint8Array(OFFER_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, Number.parseInt(devAddr, 16));
    view.setUint16(4, fcnt);
    view.setUint32(6, Number.parseInt(mic, 16));
    view.setBigUint64(10, BigInt(`0x${digest}`));
    return { seq, bytes };
  });
}

/** How an offer stands in a stream. @throws AntirioError invalidInput */
export function offerOf({ bytes }: StreamItem): { devAddr: string; fcnt: number; mic: string; digest: string } {
  if (bytes.length !== OFFER_BYTES) throw new AntirioError('invalidInput', 'an offer of another length');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const hex = (value: number | bigint, digits: number): string => value.toString(16).padStart(digits, '0');
  return {
    devAddr: hex(view.getUint32(0), 8),
    fcnt: view.getUint16(4),
    mic: hex(view.getUint32(6), 8),
    digest: hex(view.getBigUint64(10), 16),
  };
}

async function itemsOf(ring: Ring, form: StreamForm, seqs: readonly number[]): Promise<StreamItem[]> {
  const [first = 1] = seqs;
  if (form === 'offer') return offerBytes(ring, first - 1, seqs.length);
  const records = await ring.records(seqs);
  if (form === 'record') return records;
  return records.map(({ seq, bytes }) => ({ seq, bytes: decodeFrame(bytes).frame.phyPayload }));
}

/** Frames of a stream of `items`, made by `streamFrom`, or of what somebody else numbers. */
export const itemFrames = (items: readonly StreamItem[]): Uint8Array =>
  toFrames(items.map(({ seq, bytes }) => [prefixOf(seq), bytes]));

/** The frames from `after` to `through`, or to where the ring ends now, some hundred at a time. */
export async function* streamFrom(
  ring: Ring,
  form: StreamForm,
  after: number,
  through = ring.last,
): AsyncGenerator<Uint8Array> {
  const last = Math.min(through, ring.last);
  yield streamHead({ incarnation: ring.incarnation, last: ring.last });
  for (let from = after; ;) {
    const seqs = ring.seqs(from, AT_ONCE).filter((seq) => seq <= last);
    from = seqs.at(-1) ?? last;
    if (seqs.length === 0) break;
    const items = await itemsOf(ring, form, seqs);
    // damage may have taken all of them
    if (items.length > 0) yield itemFrames(items);
  }
  yield streamEnd({ next: Math.max(after, last), last: ring.last });
}

export const streamEnd = (told_: z.output<typeof end>): Uint8Array => toFrames([told(END, told_)]);
export const streamHead = (told_: z.output<typeof head>): Uint8Array => toFrames([told(HEAD, told_)]);

export type StreamPart =
  | ({ readonly kind: 'head' } & z.output<typeof head>)
  | { readonly kind: 'items'; readonly items: readonly StreamItem[] }
  | ({ readonly kind: 'end' } & z.output<typeof end>);

const json = (bytes: Uint8Array): unknown => {
  try {
    return JSON.parse(fromUtf8(bytes));
  } catch (cause) {
    throw new AntirioError('invalidInput', 'a stream of a ring that is none', {}, cause);
  }
};

function itemOf(frame: Uint8Array): StreamItem {
  if (frame.length < 9) throw new AntirioError('invalidInput', 'a stream of a ring that is none');
  const seq = new DataView(frame.buffer, frame.byteOffset).getFloat64(1);
  if (!Number.isSafeInteger(seq) || seq < 1)
    throw new AntirioError('invalidInput', 'a frame of a ring without a number');
  return { seq, bytes: frame.subarray(9) };
}

/**
 * The parts of a ring's stream; items are valid until the next part is asked for. Without its end it is not whole, and says so.
 * @throws AntirioError invalidInput, unavailable, tooLarge
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
      if (frame[0] === HEAD) yield { kind: 'head', ...parseInput(head, json(frame.subarray(1))) };
      else {
        yield { kind: 'end', ...parseInput(end, json(frame.subarray(1))) };
        return;
      }
    }
    if (items.length > 0) yield { kind: 'items', items };
  }
  throw new AntirioError('unavailable', 'the stream of a ring broke off');
}
