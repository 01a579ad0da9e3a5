import { partsOf, streamEnd, streamHead, streamItems, type HttpStream, type StreamItem } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import type { RingFrame } from '../frame.ts';
import { fetchFrames, type FrameSource } from './fetch-frames.ts';
import type { StoredFrame } from './record.ts';
import { copiesOf, offerOf } from './ring-stream.ts';
import type { Ring } from './ring.ts';

/** Looked for in one turn of the event loop. */
const COPIES_AT_ONCE = 256;
/** Fetched by one request. */
const FETCHED_AT_ONCE = 64;

export interface CopiesPorts {
  /** Ours. */
  readonly ring: Ring;
  /** What the source's ring offers. */
  readonly offers: HttpStream;
  readonly source: FrameSource;
  /** Called with each frame that was stored, in order. */
  readonly onStored: (ring: Ring, frame: RingFrame) => void;
}

/** Durable here, and on its way to whoever reads the ring, before it is counted among ours. @throws AntirioError unavailable while there is no room for it */
async function keep({ ring, onStored }: CopiesPorts, frame: StoredFrame): Promise<void> {
  const taken = ring.take(frame, false);
  if (taken.kind === 'dropped')
    throw new AntirioError('unavailable', `ring ${ring.id} has no room for what it let go of`);
  await taken.durable;
  if (taken.kind === 'stored') onStored(ring, taken.frame);
}

/** What is not here any more, or never came: it is asked for again. */
async function fetchLacking(ports: CopiesPorts, offers: readonly StreamItem[]): Promise<StreamItem[]> {
  const { ring, source } = ports;
  const ours = new Set(ring.settings.devAddrs);
  const lacking = offers
    .map((item) => ({ seq: item.seq, ...offerOf(item) }))
    .filter((offer) => ours.has(offer.devAddr) && !ring.holds(offer));
  const items: StreamItem[] = [];
  for (let i = 0; i < lacking.length; i += FETCHED_AT_ONCE)
    for (const frame of await fetchFrames(source, lacking.slice(i, i + FETCHED_AT_ONCE))) {
      await keep(ports, frame);
      items.push({ seq: ring.last, bytes: frame.phyPayload });
    }
  return items;
}

/** Our own copies of what another edge's ring holds, as its offers come. What we hold no more comes from there once more. */
export async function* ownCopies(ports: CopiesPorts): AsyncGenerator<Uint8Array> {
  const { ring, offers } = ports;
  yield streamHead({ incarnation: ring.incarnation, last: ring.last });
  for await (const part of partsOf(offers.body)) {
    if (part.kind === 'end') yield streamEnd(part.value);
    if (part.kind !== 'items') continue;
    for (let i = 0; i < part.items.length; i += COPIES_AT_ONCE) {
      const some = part.items.slice(i, i + COPIES_AT_ONCE);
      // before anything is taken that these might make room for
      const held = await copiesOf(ring, some);
      const fetched = await fetchLacking(ports, some);
      for (const items of [held, fetched]) if (items.length > 0) yield streamItems(items);
    }
  }
}
