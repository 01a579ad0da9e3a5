import { z } from 'zod';
import { callJson, type HttpPeer, type Log } from '@antirio/host';
import { describeError, fromUtf8 } from '@antirio/kernel';
import type { Measured } from '@antirio/market';

const stored = z.looseObject({ object: z.looseObject({ size: z.int().min(0) }) });
const TIMEOUT_MS = 2000;

function gauge(metrics: string, name: string): number | undefined {
  const found = new RegExp(String.raw`^${name}(?:\{[^}]*\})? ([0-9.eE+-]+)$`, 'm').exec(metrics);
  const value = Number(found?.[1]);
  return found !== null && Number.isFinite(value) ? value : undefined;
}

/**
 * What a service's Prometheus page says of its process. Nothing, where that began when this one did (within a second): then the whole
 * edge is one process, and what that needs tells nothing about the service.
 */
export function readProcess(
  metrics: string,
  now: number,
  ownStart: number,
): Pick<Measured, 'residentBytes' | 'cpu'> {
  const residentBytes = gauge(metrics, 'process_resident_memory_bytes');
  const usedS = gauge(metrics, 'process_cpu_seconds_total');
  const startedS = gauge(metrics, 'process_start_time_seconds');
  if (startedS !== undefined && Math.abs(startedS * 1000 - ownStart) <= 1000) return {};
  const overMs = startedS === undefined ? 0 : now - startedS * 1000;
  // A process that has just started tells nothing about how much CPU it needs.
  const cpu = usedS === undefined || overMs < 60_000 ? undefined : { usedMs: usedS * 1000, overMs };
  return { ...(residentBytes === undefined ? {} : { residentBytes }), ...(cpu === undefined ? {} : { cpu }) };
}

async function imageBytes(store: HttpPeer | undefined, cids: readonly string[]): Promise<number | undefined> {
  if (store === undefined) return undefined;
  let total = 0;
  for (const cid of cids) {
    const path = `/api/v3/storage/object/${encodeURIComponent(cid)}`;
    total += stored.parse(await callJson(store, { path, timeoutMs: TIMEOUT_MS })).object.size;
  }
  return total;
}

async function processOf(
  service: HttpPeer | undefined,
  now: number,
): Promise<Pick<Measured, 'residentBytes' | 'cpu'>> {
  const answer = await service?.call({ path: '/api/v3/metrics', timeoutMs: TIMEOUT_MS });
  return answer?.status === 200 ? readProcess(fromUtf8(answer.body), now, performance.timeOrigin) : {};
}

/** The size of image and configuration in the content store; memory and CPU of the process that the service runs in here. */
export async function measure(
  peers: Readonly<Record<string, HttpPeer>>,
  cids: readonly string[],
  now: number,
  log: Log,
): Promise<Measured> {
  const attempt = async <T>(what: string, work: Promise<T>): Promise<T | undefined> => {
    try {
      return await work;
    } catch (error) {
      log.info({ what, error: describeError(error) }, 'could not be measured, the default counts');
      return undefined;
    }
  };
  const [size, running] = await Promise.all([
    attempt('image', imageBytes(peers['filecoinInterface'], cids)),
    attempt('process', processOf(peers['deviceLora'], now)),
  ]);
  return { ...running, ...(size === undefined ? {} : { imageBytes: size }) };
}
