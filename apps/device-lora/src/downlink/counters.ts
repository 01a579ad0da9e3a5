import { z } from 'zod';
import { describeError, fromUtf8, uuidV4, type Clock, type Random } from '@antirio/kernel';
import { parseInput, type Bus, type Log, type Subscription } from '@antirio/host';
import type { DevAddr } from '@antirio/lorawan';
import { gapState, type CounterGap, type GapState } from '@antirio/service-contract';
import type { Proven } from './proven.ts';

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
  /** The device surely heard this counter. */
  proved(devAddr: DevAddr, fcnt: number): void;
  /** How far the next counter is above what the device surely heard; undefined where nothing is known of that. */
  gap(devAddr: DevAddr): CounterGap | undefined;
  /** Whether the next downlink is to ask the device for a proof; true seldom enough that asking costs few counters. */
  wantsProof(devAddr: DevAddr): boolean;
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
  readonly proven: Proven;
}

const grantSchema = z.object({
  requestId: z.string(),
  devAddr: z.string(),
  first: z.int().min(0).max(0xffff_ffff),
  last: z.int().min(0).max(0xffff_ffff),
  /** As far as anybody who sent to the device knows. */
  proven: z.int().min(-1).optional(),
});

const noticeTopic = (prefix: string): string => `${prefix}antirio/fcntdown/gap`;

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
/** Counters that are used before a device that gave no proof is asked for one again. */
const PROOF_AGAIN = 64;

/** Where the edge's arbitrator is asked. */
export const counterRequestTopic = (prefix: string): string => `${prefix}antirio/fcntdown/request`;

export async function openDownCounters(ports: CounterPorts): Promise<DownCounters> {
  const { bus, prefix, clock, log, proven } = ports;
  const blocks = new Map<DevAddr, Block>();
  const requests = new Map<DevAddr, Request>();

  const told = new Map<DevAddr, GapState>();
  const proofAskedAt = new Map<DevAddr, number>();

  const gap = (devAddr: DevAddr): CounterGap | undefined => {
    const heard = proven.of(devAddr);
    const next = blocks.get(devAddr)?.next ?? (ports.highestUsed(devAddr) ?? -1) + 1;
    return heard === undefined ? undefined : { next, proven: heard };
  };
  /** The arbitrator hears of it where it becomes, or was, worth an operator's while. */
  const tellGap = (devAddr: DevAddr): GapState => {
    const known = gap(devAddr);
    if (known === undefined) return 'well';
    const state = gapState(known);
    const before = told.get(devAddr) ?? 'well';
    if (state === before) return state;
    told.set(devAddr, state);
    bus.publish(noticeTopic(prefix), JSON.stringify({ devAddr, ...known })).catch((error: unknown) => {
      told.set(devAddr, before);
      log.debug({ error: describeError(error) }, 'a gap of counters cannot be told');
    });
    return state;
  };
  const isExhausted = (devAddr: DevAddr): boolean => tellGap(devAddr) === 'exhausted';
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
    const body = JSON.stringify({
      requestId,
      devAddr,
      above: ports.highestUsed(devAddr) ?? -1,
      proven: proven.of(devAddr),
    });
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
    // who says nothing of it knows nothing of a device that was deaf
    if (grant.proven !== undefined || proven.of(devAddr) === undefined)
      proven.note(devAddr, grant.proven ?? grant.first - 1);
    const first = Math.max(grant.first, (ports.highestUsed(devAddr) ?? -1) + 1);
    if (first <= grant.last) blocks.set(devAddr, { next: first, last: grant.last });
    else log.warn({ ...grant }, 'a block of counters that are used already');
    request.granted.resolve(undefined);
  };
  const take = (devAddr: DevAddr): number | undefined => {
    const block = blocks.get(devAddr);
    if (block === undefined || isExhausted(devAddr)) return undefined;
    // one that was encrypted for while the block lay here is not ours any more
    const fcnt = Math.max(block.next, (ports.highestUsed(devAddr) ?? -1) + 1);
    block.next = fcnt + 1;
    if (block.next > block.last) blocks.delete(devAddr);
    return fcnt > block.last ? undefined : fcnt;
  };
  const subscription: Subscription = await bus.subscribe(`${prefix}antirio/fcntdown/grant`, onGrant);
  return {
    next(devAddr) {
      const fcnt = take(devAddr);
      if (fcnt === undefined && !isExhausted(devAddr)) ask(devAddr);
      return fcnt;
    },
    async wait(devAddr, timeoutMs) {
      const fcnt = take(devAddr);
      if (fcnt !== undefined || isExhausted(devAddr)) return fcnt;
      const { granted } = ask(devAddr);
      if (timeoutMs <= 0) return undefined;
      const timeout = Promise.withResolvers<undefined>();
      const timer = setTimeout(() => timeout.resolve(undefined), timeoutMs);
      await Promise.race([granted.promise, timeout.promise]);
      clearTimeout(timer);
      return take(devAddr);
    },
    prepare(devAddr) {
      if (!blocks.has(devAddr) && !isExhausted(devAddr)) ask(devAddr);
    },
    unansweredSince: (devAddr) => requests.get(devAddr)?.since,
    proved(devAddr, fcnt) {
      proven.note(devAddr, fcnt);
      tellGap(devAddr);
    },
    gap,
    wantsProof(devAddr) {
      const known = gap(devAddr);
      if (known === undefined || gapState(known) === 'well') return false;
      if (known.next - (proofAskedAt.get(devAddr) ?? -Infinity) < PROOF_AGAIN) return false;
      proofAskedAt.set(devAddr, known.next);
      return true;
    },
    discard: (devAddr) => void blocks.delete(devAddr),
    clear() {
      blocks.clear();
      requests.clear();
    },
    close: () => subscription.close(),
  };
}
