import { z } from 'zod';
import { streamEnd, streamHead, streamItems, type StreamItem } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { decodeFrame } from './record.ts';
import type { Offer, Ring } from './ring.ts';

/** A ring as one answer: what it is, its frames in order, where it ended. */
export const RING_STREAM_TYPE = 'application/vnd.antirio.ring';

/** What is given of each frame: its record in the log, its PHYPayload, or enough to see whether one lacks it. */
export const STREAM_FORMS = ['record', 'payload', 'offer'] as const;
export type StreamForm = (typeof STREAM_FORMS)[number];

const AT_ONCE = 512;
const OFFER_BYTES = 18;

export const ringHead = z.object({
  incarnation: z.string().min(1).max(64),
  last: z.int().min(0),
  joins: z.int().min(0).default(0),
});
export const ringEnd = z.object({ next: z.int().min(0), last: z.int().min(0) });

const payloadOf = ({ seq, bytes }: StreamItem): StreamItem => ({
  seq,
  bytes: decodeFrame(bytes).frame.phyPayload,
});

function offerItem({ seq, devAddr, fcnt, mic, digest }: Offer): StreamItem {
  const bytes = new Uint8Array(OFFER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, Number.parseInt(devAddr, 16));
  view.setUint16(4, fcnt);
  view.setUint32(6, Number.parseInt(mic, 16));
  view.setBigUint64(10, BigInt(`0x${digest}`));
  return { seq, bytes };
}

/** What an item of the form `offer` says. @throws AntirioError invalidInput */
export function offerOf({ bytes }: StreamItem): Pick<Offer, 'devAddr' | 'fcnt' | 'mic' | 'digest'> {
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
  if (form === 'offer') return ring.offers(first - 1, seqs.length).map(offerItem);
  const records = await ring.records(seqs);
  return form === 'record' ? records : records.map(payloadOf);
}

/** The frames from `after` to `through`, or to where the ring ends now, some hundred at a time. */
export async function* streamFrom(
  ring: Ring,
  form: StreamForm,
  after: number,
  through = ring.last,
): AsyncGenerator<Uint8Array> {
  const last = Math.min(through, ring.last);
  yield streamHead({ incarnation: ring.incarnation, last: ring.last, joins: ring.settings.joins });
  for (let from = after; ;) {
    const seqs = ring.seqs(from, AT_ONCE).filter((seq) => seq <= last);
    from = seqs.at(-1) ?? last;
    if (seqs.length === 0) break;
    const items = await itemsOf(ring, form, seqs);
    // damage may have taken all of them
    if (items.length > 0) yield streamItems(items);
  }
  yield streamEnd({ next: Math.max(after, last), last: ring.last });
}

/** The PHYPayloads of those that were offered and are held here; in the order of this ring within each batch of offers. */
export async function copiesOf(ring: Ring, offers: readonly StreamItem[]): Promise<StreamItem[]> {
  const seqs = new Set(offers.flatMap((item) => ring.find(offerOf(item)) ?? []));
  return (await ring.records([...seqs].sort((a, b) => a - b))).map(payloadOf);
}
