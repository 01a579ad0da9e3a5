import { describeError, type Clock } from '@antirio/kernel';
import { repeat, type Log } from '@antirio/host';
import { eu868, isListeningOpen, type DevEui, type ReceiveWindow } from '@antirio/lorawan';
import type { MacLayer } from '../mac/mac-layer.ts';
import type { HeardUplink } from '../uplink/reader.ts';
import { highestOf, type Session } from '../uplink/sessions.ts';
import { noteSentAgain } from './acknowledging.ts';
import { buildFrame } from './build.ts';
import type { DownCounters } from './counters.ts';
import { UNKNOWN, type Desk } from './desk.ts';
import { throughGateways } from './gateways.ts';
import { firstOf, MAX_ATTEMPTS } from './plan.ts';
import type { Reach } from './reach.ts';
import type { Downlink, DownlinkStore, SentAfter } from './store.ts';
import type { Transmitter } from './transmitter.ts';

/** Sends to devices that listen at all times (class C): at once, through the gateway that heard them best. */
export interface ClassC {
  /** A genuine frame: it tells by which gateway its device is reached, and that its own windows come first. */
  heard(heard: HeardUplink): void;
  /** Something was queued for a device. */
  poke(devEui: DevEui): void;
  close(): Promise<void>;
}

/** Ms. */
export interface ClassCTimes {
  /** A confirmed downlink without an acknowledgement goes again after this. */
  readonly ackTimeoutMs: number;
  /** After RX2 of an uplink has opened: a frame may be in the air in it. */
  readonly quietMs: number;
  /** Between two downlinks to a device. */
  readonly betweenMs: number;
  /** Before something that could not be sent is tried again: at first, and at most. */
  readonly retryMs: number;
  readonly maxRetryMs: number;
}

export const CLASS_C_TIMES: ClassCTimes = {
  ackTimeoutMs: 10_000,
  quietMs: 2500,
  betweenMs: 2000,
  retryMs: 500,
  maxRetryMs: 60_000,
};

export interface ClassCPorts {
  readonly times: ClassCTimes;
  /** Devices that listen at all times; none where nothing is sent. */
  readonly listening: ReadonlySet<DevEui>;
  /** The session that a device uses; undefined where nothing may be sent to it. */
  readonly sessionOf: (devEui: DevEui) => Session | undefined;
  readonly reach: Reach;
  readonly transmitter: Transmitter;
  readonly store: DownlinkStore;
  readonly desk: Desk;
  readonly mac: MacLayer;
  readonly counters: DownCounters;
  readonly clock: Clock;
  readonly log: Log;
}

/** What is going on with one device. */
interface Line {
  timer: NodeJS.Timeout | undefined;
  working: Promise<void> | undefined;
  /** Monotonic ms: until then its uplink's windows are open. */
  quietUntil: number;
  /** Monotonic ms: what failed is not tried before. */
  notBefore: number;
  retryMs: number;
  /** The time of acting in which it was heard last. */
  tenure: string | undefined;
  /** The transmission whose acknowledgement is waited for, and until when (monotonic ms). */
  awaited: { readonly id: number; readonly attempts: number; readonly until: number } | undefined;
}

/** What could be sent now, or how long that takes. */
type Next =
  | { readonly kind: 'send'; readonly downlink: Downlink; readonly more: boolean }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'nothing' };

/** What waits for other reasons than time, such as keys, is looked at so often. */
const SWEEP_MS = 10_000;
const RX2_AFTER_RX1_MS = 1000;
const NOTHING: Next = { kind: 'nothing' };
/** Of RX2 nothing depends on the uplink but its time. */
const ANY_UPLINK = { frequency: 868_100_000, spreadingFactor: 12, bandwidth: 125_000 };

export function createClassC(ports: ClassCPorts): ClassC {
  const { times, listening, sessionOf, reach, transmitter, store, desk, mac, counters, clock, log } = ports;
  const lines = new Map<DevEui, Line>();
  let isClosed = false;

  const lineOf = (devEui: DevEui): Line => {
    const known = lines.get(devEui);
    if (known !== undefined) return known;
    const line: Line = {
      ...{ timer: undefined, working: undefined, awaited: undefined, tenure: undefined },
      ...{ quietUntil: -Infinity, notBefore: -Infinity, retryMs: times.retryMs },
    };
    lines.set(devEui, line);
    return line;
  };
  const windowOf = (session: Session): ReceiveWindow =>
    eu868.receiveWindows(ANY_UPLINK, mac.stateOf(session))[1];
  const later = (line: Line): void => {
    line.notBefore = clock.monotonic() + line.retryMs;
    line.retryMs = Math.min(line.retryMs * 2, times.maxRetryMs);
  };
  /** Until the acknowledgement of what is on air may still come; 0 where it is time to send it again. */
  const ackWait = (line: Line, { id, state, attempts, updatedAt }: Downlink): number => {
    if (state !== 'sent') return 0;
    const now = clock.monotonic();
    if (line.awaited?.id !== id || line.awaited.attempts !== attempts) {
      // seen for the first time, as after a start: only then the wall clock tells, which may have been set back meanwhile
      const left = times.ackTimeoutMs - (clock.now() - updatedAt);
      const until = now + Math.max(0, Math.min(left, times.ackTimeoutMs));
      line.awaited = { id, attempts, until };
    }
    return Math.max(0, line.awaited.until - now);
  };
  const chooseFor = (line: Line, session: Session, window: ReceiveWindow): Next => {
    const open = desk.openOf(session, line.tenure);
    const underWay = open.find(({ bytes }) => bytes !== undefined);
    if (underWay !== undefined) {
      const ms = ackWait(line, underWay);
      if (ms > 0) return { kind: 'wait', ms };
      if (desk.isPassed(session, underWay)) {
        if (desk.isUnsent(underWay)) desk.requeue([underWay], 'its counter was passed');
        else desk.end(underWay, 'failed', UNKNOWN);
        return chooseFor(line, session, window);
      }
      if (underWay.state === 'sent' && underWay.attempts >= MAX_ATTEMPTS) {
        desk.end(underWay, 'failed', 'not acknowledged');
        return chooseFor(line, session, window);
      }
    }
    const fitting = desk.fitting(open, [window]);
    const first = underWay === undefined ? firstOf(fitting) : fitting.find(({ id }) => id === underWay.id);
    return first === undefined ? NOTHING : { kind: 'send', downlink: first, more: open.length > 1 };
  };
  /** With a counter of its own, durable before anybody else sees it; undefined while there is no counter. */
  const build = (
    session: Session,
    downlink: Downlink,
    more: boolean,
    sentAfter: SentAfter,
  ): Uint8Array | undefined => {
    const fcnt = downlink.isEncrypted ? downlink.fcnt : counters.next(session.devAddr);
    if (fcnt === undefined) return undefined;
    const adr = mac.stateOf(session).adr.enabled;
    const bytes = buildFrame(session, { fcnt, ack: false, adr, more, commands: new Uint8Array(), downlink });
    const to = { id: downlink.id, bytes, session: session.id, ...sentAfter };
    store.assign(session.devAddr, fcnt, to, clock.now());
    desk.made(downlink);
    desk.endPassed(session);
    return bytes;
  };
  const send = async (line: Line, session: Session, { downlink, more }: Extract<Next, { kind: 'send' }>) => {
    const { devEui } = downlink;
    const sentAfter = { after: highestOf(session) ?? -1, tenure: line.tenure };
    if (downlink.bytes !== undefined) noteSentAgain(ports, downlink, sentAfter);
    const bytes = downlink.bytes ?? build(session, downlink, more, sentAfter);
    if (bytes === undefined) {
      later(line);
      return;
    }
    const receptions = reach.of(devEui).map((gatewayId) => ({ gatewayId, context: '' }));
    const windows = [windowOf(session)];
    const verdict = await throughGateways(transmitter, { bytes, receptions, windows, at: 'once' });
    desk.settle(downlink, verdict, true);
    if (verdict.kind === 'newCounter') counters.discard(session.devAddr);
    if (verdict.kind === 'onAir') {
      line.retryMs = times.retryMs;
      line.notBefore = clock.monotonic() + times.betweenMs;
      return;
    }
    desk.count('notSent');
    later(line);
  };
  /** Gives the ms after which the device is to be looked at again; undefined where somebody else tells when. */
  const look = async (devEui: DevEui, line: Line): Promise<number | undefined> => {
    const session = sessionOf(devEui);
    if (session === undefined || reach.of(devEui).length === 0) return undefined;
    // where it listens its next uplink shows
    if (isListeningOpen(mac.stateOf(session))) return undefined;
    const wait = Math.max(line.quietUntil, line.notBefore) - clock.monotonic();
    if (wait > 0) return wait;
    // an answer to its uplink is under way
    if (desk.busy.has(devEui)) return times.betweenMs;
    const next = chooseFor(line, session, windowOf(session));
    if (next.kind !== 'send') return next.kind === 'wait' ? next.ms : undefined;
    desk.busy.add(devEui);
    try {
      await send(line, session, next);
    } finally {
      desk.release(devEui);
    }
    return Math.max(1, line.notBefore - clock.monotonic());
  };
  const work = async (devEui: DevEui, line: Line): Promise<void> => {
    let next: number | undefined;
    try {
      next = await look(devEui, line);
    } catch (error) {
      later(line);
      log.error({ devEui, error: describeError(error) }, 'a downlink of class C failed');
    }
    line.working = undefined;
    if (next !== undefined) plan(devEui, line, next);
  };
  const plan = (devEui: DevEui, line: Line, inMs: number): void => {
    clearTimeout(line.timer);
    if (isClosed) return;
    line.timer = setTimeout(() => {
      line.timer = undefined;
      line.working ??= work(devEui, line);
    }, inMs);
  };
  const poke: ClassC['poke'] = (devEui) => {
    const line = lineOf(devEui);
    // who is at work looks again when it is done
    if (listening.has(devEui) && line.working === undefined) plan(devEui, line, 0);
  };
  const sweep = repeat('downlinks of class C', SWEEP_MS, log, () => {
    const waiting = listening.size === 0 ? [] : store.waiting();
    for (const devEui of waiting) if (listening.has(devEui)) poke(devEui);
    return Promise.resolve();
  });
  return {
    poke,
    heard({ session, uplink, receptions, novelty }) {
      const { devEui } = session.device;
      if (
        !listening.has(devEui) ||
        novelty !== 'new' ||
        uplink.via !== 'radio' ||
        uplink.heardAt === undefined
      )
        return;
      reach.note(
        devEui,
        receptions.map(({ gatewayId }) => gatewayId),
      );
      const rx2Ms = mac.stateOf(session).rx1DelayS * 1000 + RX2_AFTER_RX1_MS;
      const line = lineOf(devEui);
      line.quietUntil = uplink.heardAt + rx2Ms + times.quietMs;
      line.tenure = uplink.tenure;
      poke(devEui);
    },
    async close() {
      isClosed = true;
      await sweep.stop();
      for (const { timer } of lines.values()) clearTimeout(timer);
      await Promise.all([...lines.values()].flatMap(({ working }) => working ?? []));
    },
  };
}
