import { setImmediate as turn } from 'node:timers/promises';
import { AntirioError, type Clock } from '@antirio/kernel';
import {
  parseInput,
  partsOf,
  streamError,
  type HttpPeer,
  type HttpStream,
  type StreamItem,
} from '@antirio/host';
import { parseDataFrame } from '@antirio/lorawan';
import { decodeFrame, type StoredFrame } from './record.ts';
import type { Ring } from './ring.ts';
import { ringEnd, ringHead } from './ring-stream.ts';
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
  /** @throws where the source tells of joins that are not known here */
  readonly checkJoins: (joins: number) => void;
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
    const phyPayload = new Uint8Array(frame.phyPayload);
    const { direction, devAddr } = parseDataFrame(phyPayload);
    if (direction !== 'up') return undefined;
    return { phyPayload, receivedAt, rx, gatewayId: frame.gatewayId, via: edgeId, devAddr };
  } catch {
    return undefined;
  }
}

/** Tells the source how far everything is durable, one call at a time and not too often. */
function createTelling({ clock, acknowledge }: StreamPullPorts): {
  /** @throws what an earlier call did */
  reached(through: number): void;
  settled(): Promise<void>;
} {
  let [wanted, told, lastAt] = [0, 0, -Infinity];
  let telling: Promise<void> | undefined;
  const failures: AntirioError[] = [];
  const tell = async (): Promise<void> => {
    lastAt = clock.monotonic();
    told = wanted;
    await acknowledge(told);
  };
  const check = (): void => {
    for (const failure of failures) throw failure;
  };
  return {
    reached(through) {
      wanted = Math.max(wanted, through);
      check();
      if (telling !== undefined || clock.monotonic() - lastAt < TELL_MS) return;
      telling = tell().then(
        () => void (telling = undefined),
        (cause: unknown) => {
          failures.push(new AntirioError('unavailable', 'the source was not told what is here', {}, cause));
        },
      );
    },
    async settled() {
      await telling;
      check();
      if (wanted > told) await tell();
    },
  };
}

async function openSource(
  { edge2edge, base }: StreamPullPorts,
  after: number,
  signal: AbortSignal,
): Promise<HttpStream | undefined> {
  const path = `${base}/stream?after=${after}`;
  const stream = await edge2edge.open?.(path, { idleMs: IDLE_MS, signal, transient: true });
  if (stream === undefined || stream.status === 200) return stream;
  const failure = await streamError(path, stream);
  if (failure.code === 'notFound') return undefined;
  throw failure;
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
  const stream = await openSource(ports, after, signal);
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
    while (waiting.length > WAITING) await waiting.shift();
  };
  try {
    for await (const part of partsOf(stream.body)) {
      if (part.kind === 'items') await store(part.items);
      else if (part.kind === 'head') {
        const head = parseInput(ringHead, part.value);
        if (head.incarnation !== incarnation) return undefined;
        ports.checkJoins(head.joins);
      } else {
        await Promise.all(waiting);
        await telling.settled();
        return parseInput(ringEnd, part.value);
      }
    }
    throw new AntirioError('unavailable', 'the stream of a ring broke off');
  } finally {
    stream.close();
    await Promise.allSettled(waiting);
  }
}
