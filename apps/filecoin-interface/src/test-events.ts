import { openHttpStream, readSentEvents, type SentEvent } from '@antirio/host';
import type { Json } from './test-neighbourhood.ts';

export interface Listening {
  readonly status: number;
  readonly events: (Omit<SentEvent, 'data'> & { readonly data: Json })[];
  /** When the stream is over, for whatever reason. */
  readonly over: Promise<void>;
  close(): void;
}

/** A room that is reached at a port of this host. */
export interface Listened {
  readonly room: { readonly port: number };
}

/** A client of one of the streams of events. */
export async function listen(edge: Listened, path: string, lastEventId?: string): Promise<Listening> {
  const headers: Record<string, string> = lastEventId === undefined ? {} : { 'last-event-id': lastEventId };
  const url = `http://127.0.0.1:${String(edge.room.port)}/api/v3/storage/${path}`;
  const stream = await openHttpStream(url, { headers, idleMs: 20_000 });
  const events: Listening['events'] = [];
  const read = async (): Promise<void> => {
    for await (const { data, ...event } of readSentEvents(stream.body))
      events.push({ ...event, data: JSON.parse(data) as Json });
  };
  const over = read().catch(() => undefined);
  return { status: stream.status, events, over, close: () => stream.close() };
}
