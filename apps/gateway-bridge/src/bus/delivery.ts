import { describeError } from '@antirio/kernel';
import type { Bus, Log } from '@antirio/host';
import { parseDataFrame } from '@antirio/lorawan';
import type { Reception, RingFrame } from '../frame.ts';
import type { Ring } from '../ring/ring.ts';
import { encode } from './encoding.ts';
import { uplinkEvent, uplinkFrame, type JoinMetadata, type RingMetadata } from './event-up.ts';

/** Publishes a ring's frames: new ones as they come, older ones when a reader asks. */
export interface Delivery {
  /** A frame that has just become durable. */
  first(ring: Ring, frame: RingFrame, heardAt: number | undefined): void;
  /** The same bytes heard once more. */
  again(ring: Ring, seq: number, reception: Reception, heardAt: number | undefined): void;
  /** A JoinRequest of one of the ring's DevEUIs. */
  join(ring: Ring, reception: Reception, heardAt: number): void;
  /** Publishes up to `limit` frames after `after`; of another life of the ring, its first ones. */
  replay(ring: Ring, after: number, limit: number, incarnation: string | undefined): void;
  counters(): DeliveryCounters;
  /** Resolves when everything asked for is published. */
  idle(): Promise<void>;
}

export interface DeliveryCounters {
  readonly published: number;
  readonly replayed: number;
  /** Not published live because the bus did not keep up, or refused: the readers ask for them. */
  readonly skipped: number;
}

/** Live frames that may wait for the bus, for each ring. */
const MAX_WAITING = 500;

export interface DeliveryPorts {
  readonly bus: Bus;
  readonly region: string;
  readonly log: Log;
  /** As the fence tells it of a DevAddr. */
  readonly tenureOf: (devAddr: string) => string;
}

export function createDelivery({ bus, region, log, tenureOf }: DeliveryPorts): Delivery {
  const chains = new Map<string, Promise<void>>();
  const waiting = new Map<string, number>();
  let joins = 0;
  const counters = { published: 0, replayed: 0, skipped: 0 };

  // One after the other for each ring: readers count on the order.
  const enqueue = (ring: Ring, work: () => Promise<void>): void => {
    const { id } = ring;
    waiting.set(id, (waiting.get(id) ?? 0) + 1);
    const next = (chains.get(id) ?? Promise.resolve()).then(work).catch((error: unknown) => {
      counters.skipped += 1;
      log.debug({ ring: id, error: describeError(error) }, 'not published');
    });
    const settled = next.then(() => {
      const left = (waiting.get(id) ?? 1) - 1;
      if (left > 0) waiting.set(id, left);
      else waiting.delete(id);
      if (chains.get(id) === settled) chains.delete(id);
    });
    chains.set(id, settled);
  };
  const metadataOf = (
    ring: Ring,
    seq: number,
    previous: number,
    frame: Reception,
  ): Omit<RingMetadata, 'via' | 'reception'> => ({
    ring: ring.id,
    incarnation: ring.incarnation,
    seq: String(seq),
    previousSeq: String(previous),
    last: String(ring.last),
    receivedAt: String(frame.receivedAt),
    tenure: tenureOf(parseDataFrame(frame.phyPayload).devAddr),
  });
  const publish = async (
    ring: Ring,
    frame: RingFrame | (Reception & { seq: number }),
    metadata: RingMetadata | JoinMetadata,
  ): Promise<void> => {
    const { prefix, encoding = 'json' } = ring.settings;
    const topic = `${prefix}${region}/gateway/${frame.gatewayId}/event/up`;
    // JSON without a turn of the loop: it is what nearly every frame goes through
    const payload =
      encoding === 'json'
        ? uplinkEvent(frame, metadata)
        : await encode(encoding, 'UplinkFrame', uplinkFrame(frame, metadata));
    await bus.publish(topic, payload);
  };
  const live = (ring: Ring, work: () => Promise<void>): void => {
    if (!ring.settings.deliver) return;
    if ((waiting.get(ring.id) ?? 0) >= MAX_WAITING) {
      counters.skipped += 1;
      return;
    }
    enqueue(ring, async () => {
      await work();
      counters.published += 1;
    });
  };

  return {
    first: (ring, frame, heardAt) =>
      live(ring, () =>
        publish(ring, frame, {
          ...metadataOf(ring, frame.seq, frame.seq - 1, frame),
          via: frame.via,
          reception: 'first',
          ...(heardAt === undefined ? {} : { heardAt: String(heardAt) }),
        }),
      ),
    again: (ring, seq, reception, heardAt) =>
      live(ring, () =>
        publish(
          ring,
          { ...reception, seq },
          {
            ...metadataOf(ring, seq, seq - 1, reception),
            via: 'radio',
            reception: 'again',
            ...(heardAt === undefined ? {} : { heardAt: String(heardAt) }),
          },
        ),
      ),
    join: (ring, reception, heardAt) =>
      live(ring, () => {
        joins += 1;
        const receivedAt = String(reception.receivedAt);
        const metadata = { kind: 'join', ring: ring.id, receivedAt, heardAt: String(heardAt) } as const;
        return publish(ring, { ...reception, seq: joins }, metadata);
      }),
    replay(ring, after, limit, incarnation) {
      if (!ring.settings.deliver || (waiting.get(ring.id) ?? 0) >= MAX_WAITING) return;
      enqueue(ring, async () => {
        const from = incarnation === undefined || incarnation === ring.incarnation ? after : 0;
        let previous = from;
        // what its owner has acknowledged is safe with him, and need not be served again
        for (const frame of await ring.frames(Math.max(from, ring.acknowledged), limit)) {
          const metadata = metadataOf(ring, frame.seq, previous, frame);
          await publish(ring, frame, { ...metadata, via: frame.via, reception: 'first' });
          previous = frame.seq;
          counters.replayed += 1;
        }
      });
    },
    counters: () => ({ ...counters }),
    async idle() {
      while (chains.size > 0) await Promise.all(chains.values());
    },
  };
}
