import { z } from 'zod';
import { describeError, fromUtf8, uuidV4, type Clock, type Random } from '@antirio/kernel';
import { parseInput, type Bus, type Log, type Subscription } from '@antirio/host';
import type { DevAddr } from '@antirio/lorawan';

/** Counters for downlinks, in blocks that the edge's arbitrator grants. */
export interface DownCounters {
  /** The next unused counter; undefined while there is none, and then one has been asked for. */
  next(devAddr: DevAddr): number | undefined;
  /** As `next`, but waits a little for the grant. */
  wait(devAddr: DevAddr, timeoutMs: number): Promise<number | undefined>;
  /** Asks for a block where there is none, so that it is there when it is needed. */
  prepare(devAddr: DevAddr): void;
  /** Since when (wall ms) a block has been asked for and not been given; undefined where none is waited for. */
  unansweredSince(devAddr: DevAddr): number | undefined;
  /** What is left of the block is not valid any more. */
  discard(devAddr: DevAddr): void;
  clear(): void;
  close(): Promise<void>;
}

export interface CounterPorts {
  readonly bus: Bus;
  readonly prefix: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The highest counter that was ever used. */
  readonly highestUsed: (devAddr: DevAddr) => number | undefined;
}

const grantSchema = z.object({
  requestId: z.string(),
  devAddr: z.string(),
  first: z.int().min(0).max(0xffff_ffff),
  last: z.int().min(0).max(0xffff_ffff),
});

interface Block {
  next: number;
  readonly last: number;
}

interface Request {
  readonly requestId: string;
  readonly askedAt: number;
  /** Wall ms, of the first time. */
  readonly since: number;
  readonly granted: PromiseWithResolvers<undefined>;
}

/** A request without an answer is repeated after this long, when a counter is wanted again. */
const ASK_AGAIN_MS = 1000;

/** Where the edge's arbitrator is asked. */
export const counterRequestTopic = (prefix: string): string => `${prefix}antirio/fcntdown/request`;

export async function openDownCounters(ports: CounterPorts): Promise<DownCounters> {
  const { bus, prefix, clock, log } = ports;
  const blocks = new Map<DevAddr, Block>();
  const requests = new Map<DevAddr, Request>();

  const ask = (devAddr: DevAddr): Request => {
    const known = requests.get(devAddr);
    const now = clock.monotonic();
    if (known !== undefined && now - known.askedAt < ASK_AGAIN_MS) return known;
    const requestId = known?.requestId ?? uuidV4(ports.random);
    const request = {
      requestId,
      askedAt: now,
      since: known?.since ?? clock.now(),
      granted: known?.granted ?? Promise.withResolvers<undefined>(),
    };
    requests.set(devAddr, request);
    const body = JSON.stringify({ requestId, devAddr, above: ports.highestUsed(devAddr) ?? -1 });
    bus.publish(counterRequestTopic(prefix), body).catch((error: unknown) => {
      log.debug({ error: describeError(error) }, 'counters cannot be asked for');
    });
    return request;
  };
  const onGrant = (_topic: string, payload: Uint8Array): void => {
    const grant = parseInput(grantSchema, JSON.parse(fromUtf8(payload)));
    const devAddr = grant.devAddr as DevAddr;
    const request = requests.get(devAddr);
    if (request?.requestId !== grant.requestId) return;
    requests.delete(devAddr);
    const first = Math.max(grant.first, (ports.highestUsed(devAddr) ?? -1) + 1);
    if (first <= grant.last) blocks.set(devAddr, { next: first, last: grant.last });
    else log.warn({ ...grant }, 'a block of counters that are used already');
    request.granted.resolve(undefined);
  };
  const take = (devAddr: DevAddr): number | undefined => {
    const block = blocks.get(devAddr);
    if (block === undefined) return undefined;
    const fcnt = block.next;
    block.next += 1;
    if (block.next > block.last) blocks.delete(devAddr);
    return fcnt;
  };
  const subscription: Subscription = await bus.subscribe(`${prefix}antirio/fcntdown/grant`, onGrant);
  return {
    next(devAddr) {
      const fcnt = take(devAddr);
      if (fcnt === undefined) ask(devAddr);
      return fcnt;
    },
    async wait(devAddr, timeoutMs) {
      const fcnt = take(devAddr);
      if (fcnt !== undefined) return fcnt;
      const { granted } = ask(devAddr);
      if (timeoutMs <= 0) return undefined;
      const timeout = Promise.withResolvers<undefined>();
      const timer = setTimeout(() => timeout.resolve(undefined), timeoutMs);
      await Promise.race([granted.promise, timeout.promise]);
      clearTimeout(timer);
      return take(devAddr);
    },
    prepare(devAddr) {
      if (!blocks.has(devAddr)) ask(devAddr);
    },
    unansweredSince: (devAddr) => requests.get(devAddr)?.since,
    discard: (devAddr) => void blocks.delete(devAddr),
    clear() {
      blocks.clear();
      requests.clear();
    },
    close: () => subscription.close(),
  };
}
