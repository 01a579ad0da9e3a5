// What only Node's inspector does to another process.
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OwnProcess } from '@antirio/demo';
import { BenchError } from './benchmark.ts';

/** Node's flags of a process whose garbage is to be collected: its inspector takes any free port, once it is asked to open. */
export const INSPECTABLE = ['--inspect-port=127.0.0.1:0'] as const;

const OPENS_WITHIN_MS = 10_000;
const POLL_MS = 50;

async function inspectorOf({ logFile, name }: OwnProcess): Promise<string> {
  for (let waited = 0; waited < OPENS_WITHIN_MS; waited += POLL_MS) {
    const url = /Debugger listening on (ws:\S+)/.exec(readFileSync(logFile, 'utf8'))?.[1];
    if (url !== undefined) return url;
    await sleep(POLL_MS);
  }
  throw new BenchError(`the inspector of ${name} did not open`);
}

/** Has a process collect all of its garbage; the inspector stays open. */
export async function collectGarbage(own: OwnProcess): Promise<void> {
  own.signal('SIGUSR1');
  const socket = new WebSocket(await inspectorOf(own));
  await once(socket, 'open', { signal: AbortSignal.timeout(OPENS_WITHIN_MS) });
  for (const [id, method] of ['HeapProfiler.enable', 'HeapProfiler.collectGarbage'].entries()) {
    socket.send(JSON.stringify({ id, method }));
    await once(socket, 'message', { signal: AbortSignal.timeout(OPENS_WITHIN_MS) });
  }
  socket.close();
}
