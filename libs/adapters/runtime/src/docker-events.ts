import { createInterface } from 'node:readline';
import type Docker from 'dockerode';
import { sleep, type Log } from '@antirio/host';
import { describeError } from '@antirio/kernel';
import { LABEL } from './docker-container.ts';

const AGAIN_MS = 1000;

/** Calls with the contract of each container of this owner that ends, until it is stopped. */
export function followEnds(
  docker: Docker,
  owner: string,
  log: Log,
  onEnd: (contract: string) => void,
): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const { signal } = stopping;

  const tell = (line: string): void => {
    const { Actor: actor } = JSON.parse(line) as { Actor?: { Attributes?: Record<string, string> } };
    const contract = actor?.Attributes?.[LABEL.contract];
    if (contract !== undefined) onEnd(contract);
  };
  const read = async (): Promise<void> => {
    const label = [`${LABEL.owner}=${owner}`];
    const events = await docker.getEvents({ filters: { type: ['container'], event: ['die'], label } });
    const lines = createInterface({ input: events });
    const end = (): void => {
      lines.close();
      // Typed as the oldest kind of stream, it is the response of an HTTP request
      (events as NodeJS.ReadableStream & { destroy(): void }).destroy();
    };
    signal.addEventListener('abort', end, { once: true });
    try {
      if (!signal.aborted) for await (const line of lines) if (line.trim() !== '') tell(line);
    } finally {
      signal.removeEventListener('abort', end);
      end();
    }
  };
  const follow = async (): Promise<void> => {
    while (!signal.aborted) {
      await read().catch((error: unknown) =>
        log.warn({ error: describeError(error) }, 'the engine tells no events'),
      );
      await sleep(AGAIN_MS, signal);
    }
  };
  const following = follow();
  return {
    async stop() {
      stopping.abort();
      await following;
    },
  };
}
