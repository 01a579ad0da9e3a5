import { setTimeout as sleep } from 'node:timers/promises';
import { describeError, fromUtf8, toHex, uuidV4, type Clock, type Random } from '@antirio/kernel';
import { parseInput, type Bus, type Log } from '@antirio/host';
import type { ReceiveWindow, SessionId } from '@antirio/lorawan';
import {
  LENT_TOPIC,
  lentOutcome,
  lentSample,
  type LentOutcome,
  type LentSend,
} from '@antirio/service-contract';
import type { HeardUplink } from '../uplink/reader.ts';
import { LEAD_MS } from './gateways.ts';
import type { Verdict } from './plan.ts';

/** Drill downlinks: now and then one goes through the gateway of a provider, to see whether the device hears that. */
export interface Lender {
  /** Whether the next downlink to the device is to go that way. */
  wants(devAddr: string): boolean;
  /** Undefined where it is not asked for, or surely was not sent: then it goes the usual way. Tried once. */
  send(
    heard: HeardUplink,
    bytes: Uint8Array,
    windows: readonly ReceiveWindow[],
  ): Promise<Verdict | undefined>;
  /** A new frame of a device, and whether it answers what was asked last. */
  heard(heard: HeardUplink, answers: boolean, margin: number | undefined): void;
  close(): Promise<void>;
}

export interface LenderPorts {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** A provider's gateway takes what is so far ahead at most, less the ways there. */
const AHEAD_MS = 2000;
/** After the last window the gateway has said its word. */
const OUTCOME_AFTER_MS = 1500;
const UNSURE = 'nobody says whether the provider’s gateway sent it';

export async function openLender({ bus, clock, random, log }: LenderPorts): Promise<Lender> {
  let sampled = new Set<string>();
  let until = -Infinity;
  const waiting = new Map<string, (outcome: LentOutcome) => void>();
  /** The uplink in whose windows each session's device was sent one. */
  const unanswered = new Map<SessionId, number>();

  const onSample = (_topic: string, payload: Uint8Array): void => {
    const { devAddrs, forMs } = parseInput(lentSample, JSON.parse(fromUtf8(payload)));
    sampled = new Set(devAddrs);
    until = clock.monotonic() + forMs;
  };
  const onOutcome = (_topic: string, payload: Uint8Array): void => {
    const outcome = parseInput(lentOutcome, JSON.parse(fromUtf8(payload)));
    waiting.get(outcome.requestId)?.(outcome);
  };
  const wants: Lender['wants'] = (devAddr) => sampled.has(devAddr) && clock.monotonic() < until;
  const ask = async (request: LentSend): Promise<LentOutcome> => {
    const { requestId, leftMs } = request;
    const answered = Promise.withResolvers<LentOutcome>();
    const timer = setTimeout(
      () => answered.resolve({ requestId, outcome: 'unsure' }),
      leftMs + OUTCOME_AFTER_MS,
    );
    waiting.set(requestId, answered.resolve);
    try {
      await bus.publish(`${LENT_TOPIC}/send`, JSON.stringify(request));
      return await answered.promise;
    } finally {
      clearTimeout(timer);
      waiting.delete(requestId);
    }
  };
  const subscriptions = [
    await bus.subscribe(`${LENT_TOPIC}/sample`, onSample),
    await bus.subscribe(`${LENT_TOPIC}/outcome`, onOutcome),
  ];
  return {
    wants,
    async send({ session, uplink, fcnt }, bytes, windows) {
      const { devAddr } = session;
      if (!wants(devAddr)) return undefined;
      // whatever becomes of it: a device is not asked again and again
      sampled.delete(devAddr);
      const ageMs = (): number => clock.monotonic() - (uplink.heardAt ?? -Infinity);
      const delays = windows.map(({ delayUs }) => delayUs / 1000);
      const early = Math.min(...delays) - AHEAD_MS - ageMs();
      if (early > 0) await sleep(early);
      const leftMs = Math.floor(Math.max(...delays) - LEAD_MS - ageMs());
      if (!(leftMs > 0)) return undefined;
      const { outcome, why } = await ask({
        ...{ requestId: uuidV4(random), devAddr, leftMs },
        windows: windows.map(({ delayUs, frequency, power, bandwidth, spreadingFactor }) => ({
          ...{ delayUs, frequency, power, bandwidth, spreadingFactor },
        })),
        ...{ uplink: toHex(uplink.phyPayload), phyPayload: toHex(bytes) },
      });
      log.info({ device: session.device.name, outcome, why }, 'a drill downlink');
      if (outcome === 'notSent') return undefined;
      if (outcome === 'unsure') return { kind: 'onAir', note: UNSURE };
      unanswered.set(session.id, fcnt);
      return { kind: 'onAir' };
    },
    heard({ session, fcnt }, answers, margin) {
      const asked = unanswered.get(session.id);
      if (asked === undefined || fcnt <= asked) return;
      unanswered.delete(session.id);
      // an answer is given once: it may have been in a frame that nobody heard
      if (!answers && fcnt !== asked + 1) return;
      const told = answers && margin !== undefined ? { margin } : {};
      const result = { devAddr: session.devAddr, answered: answers, ...told };
      bus.publish(`${LENT_TOPIC}/result`, JSON.stringify(result)).catch((error: unknown) => {
        log.debug({ error: describeError(error) }, 'what became of a drill downlink cannot be told');
      });
    },
    async close() {
      for (const one of subscriptions) await one.close();
    },
  };
}
