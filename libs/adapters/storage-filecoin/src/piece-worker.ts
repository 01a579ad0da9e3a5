// Runs in a thread of its own: one piece after the other is hashed here, so that the thread of the rooms is never held up.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';

/** This module, as a thread is started with it: in a bundle a file of its own. */
export const PIECE_WORKER = import.meta.url;
/** What makes this module serve where it is loaded in a thread. */
export const PIECE_WORKER_ROLE = 'antirio-piece-worker';

/** Bytes of the piece, or the end of it. */
export type ToPieceWorker = { readonly bytes: Uint8Array } | { readonly end: true };

export type FromPieceWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'taken' }
  | { readonly kind: 'done'; readonly multihash: Uint8Array }
  | { readonly kind: 'failed'; readonly message: string; readonly code?: string };

async function serve(answer: (message: FromPieceWorker) => void): Promise<void> {
  const { create } = await import('fr32-sha2-256-trunc254-padded-binary-tree-multihash');
  let hasher = create();
  parentPort?.on('message', (message: ToPieceWorker) => {
    if ('bytes' in message) {
      hasher.write(message.bytes);
      answer({ kind: 'taken' });
      return;
    }
    const multihash = new Uint8Array(hasher.multihashByteLength());
    hasher.digestInto(multihash, 0, true);
    hasher.free();
    hasher = create();
    answer({ kind: 'done', multihash });
  });
  answer({ kind: 'ready' });
}

if (!isMainThread && workerData === PIECE_WORKER_ROLE) {
  const answer = (message: FromPieceWorker): void => parentPort?.postMessage(message);
  serve(answer).catch((error: unknown) => {
    const { code } = (error ?? {}) as { code?: unknown };
    answer({ kind: 'failed', message: String(error), ...(typeof code === 'string' ? { code } : {}) });
  });
}
