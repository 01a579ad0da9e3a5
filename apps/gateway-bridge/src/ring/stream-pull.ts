import { setImmediate as turn } from 'node:timers/promises';
import { AntirioError, isAntirioError, type Clock } from '@antirio/kernel';
import { streamError, type HttpPeer } from '@antirio/host';
import { parseDataFrame } from '@antirio/lorawan';
import { decodeFrame, type StoredFrame } from './record.ts';
import type { Ring } from './ring.ts';
import { partsOf, type StreamItem } from './ring-stream.ts';
import { receptionSchema } from './wire.ts';

/** Frames that are looked at in one turn of the event loop. */
const IN_A_TURN = 100;
/** Of those, how often as many may wait for the disk while more is read. */
const WAITING = 20;
const IDLE_MS = 30_000;
/** How often the source is told what is durable here. */
const TELL_MS = 200;

export interface StreamPullPorts {
  readonly edge2edge: HttpPeer;
  readonly clock: Clock;
  readonly edgeId: string;
  /** Of the source's ring, from the room's name on. */
  readonly base: string;
  /** Takes frames that came; its promise resolves when they are durable, together with how far the source was read. */
  readonly take: (ring: Ring, frames: readonly StoredFrame[], through: number) => Promise<void>;
  /** Bytes that are no frame, or no frame of an uplink. */
  readonly refuse: () => void;
  readonly acknowledge: (through: number) => Promise<void>;
}

/** Where the stream ended. */
export interface StreamEnd {
  readonly next: number;
  readonly last: number;
}

/** A frame as the source has it; undefined where it is none. What was signed may be nonsense all the same. */
function readItem({ bytes }: StreamItem, edgeId: string): (StoredFrame & { devAddr: string }) | undefined {
  try {
    const { frame } = decodeFrame(bytes);
    const { receivedAt, rx } = receptionSchema.parse(frame);
    // the piece's memory goes with the next one
    const phyPayload = frame.phyPayload.slice();
    const { direction, devAddr } = parseDataFrame(phyPayload);
    if (direction !== 'up') return undefined;
    return { phyPayload, receivedAt, rx, gatewayId: frame.gatewayId, via: edgeId, devAddr };
  } catch {
    return undefined;
  }
}

/** Tells the source how far everything is durable, one call at a time and not too often. */
function createTelling({ clock, acknowledge }: StreamPullPorts): {
  reached: (through: number) => void;
  settled: () => Promise<void>;
} {
  let wanted = 0;
  let told = 0;
  let lastAt = -Infinity;
  let telling: Promise<void> = Promise.resolve();
  let isTelling = false;
  let failure: unknown;
  const tell = async (): Promise<void> => {
    isTelling = true;
    lastAt = clock.monotonic();
    try {
      told = wanted;
      await acknowledge(told);
    } catch (error) {
      failure ??= error;
    } finally {
      isTelling = false;
    }
  };
  return {
    reached(through) {
      wanted = Math.max(wanted, through);
      if (failure !== undefined) throw failure as Error;
      if (!isTelling && clock.monotonic() - lastAt >= TELL_MS) telling = tell();
    },
    async settled() {
      await telling;
      if (wanted > told && failure === undefined) await tell();
      if (failure !== undefined) throw failure as Error;
    },
  };
}

/**
 * Reads the source's ring as one stream from `after` on, where another edge knows how to. Everything that is durable is acknowledged
 * while it goes on: after a break of any kind the next one begins where this one came to.
 * @returns undefined where the source gives no such streams, or has another ring by that name meanwhile
 * @throws AntirioError of the way, the source or the disk
 */
export async function pullStream(
  ports: StreamPullPorts,
  ring: Ring,
  { after, incarnation }: { readonly after: number; readonly incarnation: string },
  signal: AbortSignal,
): Promise<StreamEnd | undefined> {
  const { edge2edge } = ports;
  const path = `${ports.base}/stream?after=${after}`;
  const stream = await edge2edge.open?.(path, { idleMs: IDLE_MS, signal, transient: true });
  if (stream === undefined) return undefined;
  const telling = createTelling(ports);
  const waiting: Promise<void>[] = [];
  const store = async (items: readonly StreamItem[]): Promise<void> => {
    const ours = new Set(ring.settings.devAddrs);
    for (let i = 0; i < items.length; i += IN_A_TURN) {
      const some = items.slice(i, i + IN_A_TURN);
      const read = some.map((item) => readItem(item, ports.edgeId));
      for (const one of read) if (one === undefined) ports.refuse();
      const frames = read.filter((one) => one !== undefined).filter(({ devAddr }) => ours.has(devAddr));
      const through = some.at(-1)?.seq ?? after;
      const durable = ports.take(ring, frames, through).then(() => telling.reached(through));
      // it is waited for below; what fails before that is no unhandled rejection
      durable.catch(() => undefined);
      waiting.push(durable);
      await turn();
    }
  };
  try {
    if (stream.status !== 200) {
      const failure = await streamError(path, stream);
      if (isAntirioError(failure, 'notFound')) return undefined;
      throw failure;
    }
    for await (const part of partsOf(stream.body)) {
      if (part.kind === 'head' && part.incarnation !== incarnation) return undefined;
      if (part.kind === 'items') await store(part.items);
      if (part.kind === 'end') {
        await Promise.all(waiting);
        await telling.settled();
        return { next: part.next, last: part.last };
      }
      while (waiting.length > WAITING) await waiting.shift();
    }
    throw new AntirioError('unavailable', 'the stream of a ring broke off');
  } finally {
    stream.close();
    await Promise.allSettled(waiting);
  }
}
