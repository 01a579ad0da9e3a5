import { AntirioError, describeError, fromHex, utf8 } from '@antirio/kernel';
import type { HttpPeer } from '@antirio/host';
import { ackTag, decodeFrame } from './frame.ts';
import { eventOf } from './frame-event.ts';
import type { ServiceOptions } from './service-options.ts';

/** What the drone is told: the frame's event is on the disk of this edge's core-data. */
export interface FrameAck {
  readonly sequence: number;
  /** Proves that it was said by a service that has the flight's key. */
  readonly tag: string;
  /** Of the event that was made of it. */
  readonly eventBytes: number;
}

export interface PreprocessorFigures {
  readonly frames: number;
  /** Frames that were there already. */
  readonly again: number;
  readonly refused: { readonly forged: number; readonly malformed: number; readonly otherFlight: number };
  readonly busy: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Makes events of frames. It holds nothing itself: what it has acknowledged is in core-data, what it has not the drone has. */
export interface Preprocessor {
  readonly state: 'shadow' | 'reading';
  readonly figures: PreprocessorFigures;
  /** From here on it takes frames. */
  activate(keyHex: string): void;
  standDown(): void;
  /**
   * Resolves when the frame's event is on the disk.
   * @throws AntirioError unavailable in shadow, or where core-data does not take it; busy; invalidInput; unauthenticated; conflict for another flight's
   */
  take(bytes: Uint8Array): Promise<FrameAck>;
}

const STORE_MS = 5_000;

async function store(coreData: HttpPeer, path: string, body: Uint8Array): Promise<'stored' | 'there'> {
  const headers = { 'content-type': 'application/json' };
  const call = { method: 'POST', path, headers, body, repeatable: true, timeoutMs: STORE_MS } as const;
  const { status } = await coreData.call(call);
  if (status === 201) return 'stored';
  if (status === 409) return 'there';
  throw new AntirioError('unavailable', `core-data answered ${status}`, { status });
}

export function createPreprocessor(
  { serviceName, drone }: Pick<ServiceOptions, 'serviceName' | 'drone'>,
  coreData: HttpPeer,
): Preprocessor {
  let key: Uint8Array | undefined;
  let working = 0;
  const refused = { forged: 0, malformed: 0, otherFlight: 0 };
  const figures = { frames: 0, again: 0, refused, busy: 0, bytesIn: 0, bytesOut: 0 };

  const decode = (bytes: Uint8Array, using: Uint8Array): ReturnType<typeof decodeFrame> => {
    try {
      return decodeFrame(bytes, using);
    } catch (error) {
      const isForged = error instanceof AntirioError && error.code === 'unauthenticated';
      refused[isForged ? 'forged' : 'malformed'] += 1;
      throw error;
    }
  };
  const work = async (bytes: Uint8Array, using: Uint8Array): Promise<FrameAck> => {
    const frame = decode(bytes, using);
    const { flight, sequence } = frame;
    if (flight !== drone.flight) {
      refused.otherFlight += 1;
      throw new AntirioError('conflict', `this service is for the flight ${drone.flight}`);
    }
    const event = eventOf(serviceName, drone.name, frame);
    const body = utf8(event.body);
    const outcome = await store(coreData, event.path, body);
    figures[outcome === 'stored' ? 'frames' : 'again'] += 1;
    figures.bytesIn += bytes.length;
    figures.bytesOut += body.length;
    return { sequence, tag: ackTag(using, drone.name, flight, sequence), eventBytes: body.length };
  };
  return {
    get state() {
      return key === undefined ? 'shadow' : 'reading';
    },
    figures,
    activate(keyHex) {
      key = fromHex(keyHex, 32);
    },
    standDown() {
      key = undefined;
    },
    async take(bytes) {
      if (key === undefined) throw new AntirioError('unavailable', 'this service stands by');
      if (working >= drone.atOnce) {
        figures.busy += 1;
        throw new AntirioError('busy', `${drone.atOnce} frames are worked on already`);
      }
      working += 1;
      try {
        return await work(bytes, key);
      } catch (error) {
        if (error instanceof AntirioError) throw error;
        throw new AntirioError('unavailable', describeError(error), {}, error);
      } finally {
        working -= 1;
      }
    },
  };
}
