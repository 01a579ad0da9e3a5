import { callJson, parseInput, readSentEvents, silentLog, type HttpCall, type HttpPeer } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { z } from 'zod';
import { peerOf } from '../access.ts';
import type { EdgeConfig } from '../config.ts';
import { roomOf } from '../rooms.ts';

const workReport = z.looseObject({
  kind: z.string(),
  state: z.enum(['running', 'done', 'failed']),
  bytes: z.number(),
  totalBytes: z.number().optional(),
  bytesPerS: z.number(),
  cid: z.string().optional(),
  imageId: z.string().optional(),
  error: z.string().optional(),
});
export type WorkReport = z.output<typeof workReport>;

export const STORAGE = '/api/v3/storage';

/** This edge's filecoin-interface. */
export interface StoragePeer {
  readonly peer: HttpPeer;
  readonly ask: <S extends z.ZodType>(schema: S, call: HttpCall) => Promise<z.output<S>>;
  /** Reports of long work, until the stream ends or `signal` ends it. */
  readonly follow: (
    path: string,
    onReport: (report: WorkReport) => void,
    signal?: AbortSignal,
  ) => Promise<void>;
}

/** Runs what asks the storage of this edge. */
export async function withStorage<T>(
  config: EdgeConfig,
  use: (storage: StoragePeer) => Promise<T>,
): Promise<T> {
  const peer = peerOf(roomOf('filecoinInterface'), config, silentLog);
  try {
    return await use({
      peer,
      ask: async (schema, call) =>
        parseInput(schema, await callJson(peer, { timeoutMs: 15_000, ...call, path: STORAGE + call.path })),
      follow: (path, onReport, signal) => follow(peer, STORAGE + path, onReport, signal),
    });
  } finally {
    peer.close();
  }
}

/** Heartbeats come more often. */
const IDLE_MS = 60_000;

async function follow(
  peer: HttpPeer,
  path: string,
  onReport: (report: WorkReport) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const stream = await openStream(peer, path, signal);
  try {
    for await (const { event, data } of readSentEvents(stream)) {
      if (event !== 'end') reportsOf(event, data).forEach(onReport);
    }
  } catch (error) {
    if (signal?.aborted !== true) throw error;
  }
}

/** The body of a GET as it comes. @throws AntirioError unavailable */
export async function openStream(
  peer: HttpPeer,
  path: string,
  signal?: AbortSignal,
): Promise<AsyncIterable<Uint8Array>> {
  const stream = await peer.open?.(path, { idleMs: IDLE_MS, signal });
  if (stream?.status === 200) return stream.body;
  stream?.close();
  throw new AntirioError('unavailable', `${path}: HTTP ${String(stream?.status)}`);
}

function reportsOf(event: string, data: string): WorkReport[] {
  const told = JSON.parse(data) as { works?: unknown };
  return parseInput(z.array(workReport), event === 'snapshot' ? told.works : [told]);
}
