import { AntirioError, describeError, type Clock } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import { eu868, type DevAddr, type DevEui, type ReceiveWindow, type SessionId } from '@antirio/lorawan';
import type { MacAnswer, MacLayer } from '../mac/mac-layer.ts';
import type { HeardUplink } from '../uplink/reader.ts';
import { highestOf } from '../uplink/sessions.ts';
import { createAcknowledging, noteSentAgain } from './acknowledging.ts';
import { buildFrame, hasAck, OVERHEAD } from './build.ts';
import type { DownCounters } from './counters.ts';
import { fits, TOO_LONG, type Desk } from './desk.ts';
import { LEAD_MS, throughGateways } from './gateways.ts';
import type { Lender } from './lender.ts';
import { planAnswer, type Answer, type Verdict } from './plan.ts';
import type { Downlink, DownlinkStore, NewDownlink, SentAfter } from './store.ts';
import type { Transmitter } from './transmitter.ts';

/** Answers uplinks: queued downlinks, acknowledgements, MAC commands. */
export interface DownlinkSender {
  /**
   * Queues durably; where it says so, older ones that write the same resource are replaced.
   * @throws AntirioError busy | tooLarge
   */
  queue(downlink: NewDownlink, devAddr: DevAddr | undefined, how: { readonly replaces: boolean }): Downlink;
  /** Never waits: what has to be sent is sent on its own. */
  heard(uplink: HeardUplink): void;
  counts(): Readonly<Record<string, number>>;
}

export interface SenderPorts {
  readonly transmitter: Transmitter;
  /** Where the edge has providers. */
  readonly lender?: Lender | undefined;
  /** Whether anything is sent at all. */
  readonly sendDownlinks: boolean;
  /** Whether confirmed uplinks are acknowledged and the MAC layer's questions answered. */
  readonly answerUplinks: boolean;
  readonly store: DownlinkStore;
  readonly mac: MacLayer;
  readonly counters: DownCounters;
  readonly desk: Desk;
  readonly onQueued: (devEui: DevEui) => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** Before RX1 the frame has to be at its gateway; what is heard later than this is too old to be answered. */
const LATEST_MS = 200;
/** RX2 opens so long after RX1. */
const RX2_AFTER_RX1_MS = 1000;
/** Whoever acts next waits so long after the end of a lease. */
const ALONE_MS = 3000;
/** So often a device repeats a confirmed uplink (LoRaWAN 1.0.3, 19.4); who plays a recorded one again gets no more either. */
const MAX_ANSWERS = 8;
/** Repeated later than this, a frame may be a recorded one, and nobody listens. */
const SOON_MS = 5000;
const MAX_OPEN = 16;
const LONGEST = 222;
const FOPTS = 15;

interface Frame {
  readonly bytes: Uint8Array;
  /** Where it was made just now. */
  readonly fcnt?: number;
  /** Undefined for an answer without payload. */
  readonly downlink: Downlink | undefined;
}

/** An answer without payload, and what it answered. */
interface EmptyAnswer {
  readonly session: SessionId;
  readonly fcntUp: number;
  readonly bytes: Uint8Array;
}

/** The uplink of a device whose answer went on air last. */
interface Answered {
  readonly session: SessionId;
  readonly fcntUp: number;
  /** Monotonic ms. */
  readonly heardAt: number;
  readonly times: number;
}

/** What is to be sent after an uplink, and when. */
interface Reply {
  readonly heard: HeardUplink;
  readonly answer: Exclude<Answer, { kind: 'none' }>;
  readonly mac: MacAnswer;
  readonly windows: readonly ReceiveWindow[];
}

const NOTHING: MacAnswer = { bytes: new Uint8Array(), mustAnswer: false };

/** Whether the frame is the newest of the session that the device uses: others may be recorded ones, played again. */
const mayAnswer = ({ session, fcnt, novelty }: HeardUplink): boolean =>
  (novelty === 'new' || novelty === 'retransmission') &&
  session.standing !== 'former' &&
  fcnt === highestOf(session);

const sentAfter = ({ fcnt, uplink }: HeardUplink): SentAfter => ({ after: fcnt, tenure: uplink.tenure });

/** Repeated long after it was heard first. */
function isLate({ session, fcnt, uplink, novelty }: HeardUplink): boolean {
  if (novelty === 'new') return false;
  const first = session.underWay?.get(fcnt) ?? session.remembered.get(session.id, fcnt);
  return first === undefined || uplink.receivedAt - first.receivedAt > SOON_MS;
}

export function createSender(ports: SenderPorts): DownlinkSender {
  const { transmitter, store, mac, counters, desk, clock, log } = ports;
  const acks = createAcknowledging({ store, desk, counters, clock });
  /** The last answers without payload, to be repeated when the device repeats its question. */
  const lastEmpty = new Map<DevEui, EmptyAnswer>();
  const answered = new Map<DevEui, Answered>();
  /** The counter under which a session's device was asked something last. */
  const askedBy = new Map<SessionId, number>();
  /** The newest uplink of a device that was heard while something was being sent to it. */
  const deferred = new Map<DevEui, HeardUplink>();
  const ageOf = ({ uplink }: HeardUplink): number => clock.monotonic() - (uplink.heardAt ?? -Infinity);
  const rx1Ms = ({ session }: HeardUplink): number => mac.stateOf(session).rx1DelayS * 1000;

  /** Its counter, where the device opens its windows after an uplink only once: an edge that takes over has them after the next one. */
  const aloneAfter = ({ session, frame, fcnt }: HeardUplink): number | undefined =>
    session.device.class === 'A' && !frame.confirmed && mac.stateOf(session).nbTrans === 1 ? fcnt : undefined;
  /** The same before it is known to be on air: this edge may act now, and nobody else does for 3 s after that. */
  const surelyAloneAfter = (heard: HeardUplink): number | undefined => {
    const { tenure = '' } = heard.uplink;
    return tenure !== '' && rx1Ms(heard) + RX2_AFTER_RX1_MS <= ALONE_MS ? aloneAfter(heard) : undefined;
  };
  const build = async (
    { heard, mac: { bytes: commands } }: Reply,
    downlink?: Downlink,
  ): Promise<Frame | undefined> => {
    const { session, frame: uplink } = heard;
    const forMs = rx1Ms(heard) - LEAD_MS - ageOf(heard);
    const named = downlink?.isEncrypted === true ? downlink.fcnt : undefined;
    const fcnt = named ?? (await counters.wait(session.devAddr, forMs));
    // replaced while the counter was awaited: the newer one has its turn at the next uplink
    if (fcnt === undefined || (downlink !== undefined && desk.openNow(downlink) === undefined))
      return undefined;
    const bytes = buildFrame(session, {
      fcnt,
      ack: uplink.confirmed,
      adr: mac.stateOf(session).adr.enabled,
      more: store.open(session.device.devEui).length > 1,
      commands,
      downlink,
    });
    const about = { bytes, session: session.id, ...sentAfter(heard), aloneAfter: surelyAloneAfter(heard) };
    const assigned = downlink === undefined ? undefined : { id: downlink.id, ...about };
    // used and durable before anybody else sees it, with what the device is asked by it
    store.assign(session.devAddr, fcnt, assigned, clock.now(), {
      session: session.id,
      state: mac.stateOf(session),
    });
    if (downlink !== undefined) desk.made(downlink);
    desk.endPassed(session);
    return { bytes, downlink, fcnt };
  };
  const frameFor = async (reply: Reply): Promise<Frame | undefined> => {
    const { answer, heard } = reply;
    if (answer.kind === 'repeat') {
      const { downlink } = answer;
      noteSentAgain(ports, downlink, sentAfter(heard));
      return { bytes: downlink.bytes, downlink };
    }
    if (answer.kind === 'send') return build(reply, answer.downlink);
    const { session, fcnt, novelty } = heard;
    const last = lastEmpty.get(session.device.devEui);
    // a new frame is another question, though a session or a count that began anew has its counter too
    if (novelty !== 'new' && last?.session === session.id && last.fcntUp === fcnt)
      return { bytes: last.bytes, downlink: undefined };
    const frame = await build(reply);
    if (frame !== undefined)
      lastEmpty.set(session.device.devEui, { session: session.id, fcntUp: fcnt, bytes: frame.bytes });
    return frame;
  };
  const answeredBefore = ({ session, fcnt, novelty }: HeardUplink): Answered | undefined => {
    const last = answered.get(session.device.devEui);
    return novelty !== 'new' && last?.session === session.id && last.fcntUp === fcnt ? last : undefined;
  };
  const noteAnswered = (heard: HeardUplink): void => {
    const { session, fcnt, uplink } = heard;
    const { heardAt = -Infinity } = uplink;
    const times = (answeredBefore(heard)?.times ?? 0) + 1;
    answered.set(session.device.devEui, { session: session.id, fcntUp: fcnt, heardAt, times });
  };
  const record = ({ downlink }: Frame, heard: HeardUplink, verdict: Verdict): void => {
    const { device, devAddr } = heard.session;
    if (verdict.kind === 'onAir') noteAnswered(heard);
    else desk.count('notSent');
    if (verdict.kind === 'newCounter') {
      counters.discard(devAddr);
      lastEmpty.delete(device.devEui);
    }
    if (downlink !== undefined) desk.settle(downlink, verdict, device.class === 'C', aloneAfter(heard));
    else if (verdict.kind === 'onAir') desk.count('answered');
  };
  /** The device's downlinks that may go now; what can go no more as it is, is made anew. */
  const openFor = (
    { session, frame, uplink: { tenure } }: HeardUplink,
    windows: readonly ReceiveWindow[],
  ): Downlink[] => {
    const open = desk.openOf(session, tenure);
    const listensAlways = session.device.class === 'C';
    // the device would go on asking
    const mute = open.filter(({ bytes }) => frame.confirmed && bytes !== undefined && !hasAck(bytes));
    // under another counter only what it has not: else it would do it twice
    const missed = mute.filter((one) => desk.isUnsent(one) || (one.state === 'sent' && !listensAlways));
    const isNew = desk.requeue(missed, 'the device waits for an acknowledgement');
    const now = isNew ? desk.openOf(session, tenure) : open;
    const isHeld = (one: Downlink): boolean =>
      one.bytes !== undefined && !desk.isUnsent(one) && (mute.includes(one) || desk.isPassed(session, one));
    // what it may have does not go with this answer, and nothing goes before it is at its end
    return listensAlways && now.some(isHeld) ? [] : desk.fitting(now, windows);
  };
  /** Room for MAC commands beside what is sent anyway. */
  const roomIn = (answer: Answer, windows: readonly ReceiveWindow[]): number => {
    if (!ports.answerUplinks || answer.kind === 'repeat') return 0;
    const longest = Math.max(...windows.map((window) => eu868.maxPayload(window)));
    return answer.kind === 'send' ? Math.min(FOPTS, longest - answer.downlink.payload.length) : longest;
  };
  /** What the MAC layer makes of a frame; an answer in it proves that the downlink with the question was heard. */
  const hearMac = (heard: HeardUplink, room: number): MacAnswer => {
    const { id, devAddr } = heard.session;
    const answer = mac.heard(heard, room);
    const asked = askedBy.get(id);
    if (answer.heardLast === true && asked !== undefined) counters.proved(devAddr, asked);
    askedBy.delete(id);
    ports.lender?.heard(heard, answer.heardLast === true, mac.stateOf(heard.session).devStatus?.margin);
    return answer;
  };
  const reply = (heard: HeardUplink): Reply | undefined => {
    const { frame, uplink, novelty } = heard;
    const windows = eu868
      .receiveWindows(uplink, mac.listensAfter(heard))
      .filter(({ delayUs }) => delayUs / 1000 - LEAD_MS > ageOf(heard));
    const open = openFor(heard, windows);
    // what was not sent yet is not risked
    const plan = planAnswer(isLate(heard) ? open.filter(({ bytes }) => bytes !== undefined) : open, false);
    for (const downlink of plan.givenUp) desk.end(downlink, 'failed', 'not acknowledged');
    const told = novelty === 'new' ? hearMac(heard, roomIn(plan.answer, windows)) : NOTHING;
    const wants = frame.confirmed || frame.adrAckReq || told.mustAnswer;
    if (plan.answer.kind !== 'none') return { heard, answer: plan.answer, mac: told, windows };
    return wants && ports.answerUplinks
      ? { heard, answer: { kind: 'empty' }, mac: told, windows }
      : undefined;
  };
  /**
   * Through our own gateways; an answer that asks something of the device now and then through a provider's, of which nobody knows
   * whether the device hears it. No command goes there: it might be lost. Who misses an acknowledgement asks again, and gets it here.
   */
  const leave = async (
    heard: HeardUplink,
    { bytes, fcnt, downlink }: Frame,
    windows: readonly ReceiveWindow[],
    asks: boolean,
  ): Promise<Verdict> => {
    const mayLend = asks && fcnt !== undefined && downlink === undefined;
    const lent = mayLend ? await ports.lender?.send(heard, bytes, windows) : undefined;
    const { receptions } = heard;
    return lent ?? throughGateways(transmitter, { bytes, receptions, windows, at: () => ageOf(heard) });
  };
  const send = async (ready: Reply): Promise<void> => {
    const { heard, windows } = ready;
    const frame = await frameFor(ready);
    const asks = ready.mac.bytes.length > 0;
    if (frame === undefined) {
      if (asks) mac.notSent(heard.session);
      return;
    }
    const usable = fits(Math.max(0, frame.bytes.length - OVERHEAD), windows);
    const verdict: Verdict =
      usable.length === 0 ? { kind: 'again', why: TOO_LONG } : await leave(heard, frame, usable, asks);
    if (asks && verdict.kind !== 'onAir') mac.notSent(heard.session);
    if (asks && verdict.kind === 'onAir' && frame.fcnt !== undefined)
      askedBy.set(heard.session.id, frame.fcnt);
    else askedBy.delete(heard.session.id);
    record(frame, heard, verdict);
  };
  /** A frame that is not answered: what it tells is taken all the same. */
  const listen = (heard: HeardUplink): void => {
    const { session, frame, novelty } = heard;
    if (novelty === 'new' && session.standing !== 'former') hearMac(heard, 0);
    if (frame.confirmed && ports.answerUplinks && mayAnswer(heard)) counters.prepare(session.devAddr);
  };
  /** Whether there is time for an answer in a window that opens so many ms after it. */
  const isLive = (heard: HeardUplink, windowMs: number): boolean => {
    const { via, heardAt } = heard.uplink;
    return via === 'radio' && heardAt !== undefined && ageOf(heard) < windowMs - LATEST_MS;
  };
  const rx2Ms = (heard: HeardUplink): number => rx1Ms(heard) + RX2_AFTER_RX1_MS;
  /** Not answered often enough, nor in these very windows: a copy that comes before RX2 was a slow gateway's. */
  const isDue = (heard: HeardUplink): boolean => {
    if (isLate(heard) && !heard.frame.confirmed) return false;
    const last = answeredBefore(heard);
    if (last === undefined) return true;
    const apart = (heard.uplink.heardAt ?? -Infinity) - last.heardAt;
    return last.times < MAX_ANSWERS && apart > rx2Ms(heard);
  };
  const answer = (heard: HeardUplink, windowMs: number): void => {
    const { device } = heard.session;
    if (!ports.sendDownlinks || !mayAnswer(heard) || !isLive(heard, windowMs) || !isDue(heard)) {
      listen(heard);
      return;
    }
    const ready = reply(heard);
    if (ready === undefined) return;
    desk.busy.add(device.devEui);
    send(ready)
      .catch((error: unknown) => {
        log.error({ device: device.name, error: describeError(error) }, 'a downlink failed');
      })
      .finally(() => desk.release(device.devEui));
  };
  /** One frame at a time: it is answered when the one before has gone, where a window is still ahead then. */
  const defer = (heard: HeardUplink): void => {
    const { session, novelty, frame } = heard;
    const earlier = deferred.get(session.device.devEui);
    const isCopy = earlier !== undefined && novelty !== 'new';
    if (!ports.sendDownlinks || isCopy || !mayAnswer(heard) || !isLive(heard, rx2Ms(heard))) {
      listen(heard);
      return;
    }
    if (earlier !== undefined) listen(earlier);
    deferred.set(session.device.devEui, heard);
    if (frame.confirmed && ports.answerUplinks) counters.prepare(session.devAddr);
  };
  desk.onRelease((devEui) => {
    const heard = deferred.get(devEui);
    if (heard === undefined) return;
    deferred.delete(devEui);
    answer(heard, rx2Ms(heard));
  });

  return {
    queue(downlink, devAddr, { replaces }) {
      const { length } = downlink.payload;
      if (length > LONGEST)
        throw new AntirioError('tooLarge', `a downlink has at most ${LONGEST} bytes`, { bytes: length });
      const open = store.open(downlink.devEui);
      const older = open.filter(({ resource }) => replaces && resource === downlink.resource);
      for (const one of older) desk.end(one, 'failed', 'replaced');
      if (open.length - older.length >= MAX_OPEN)
        throw new AntirioError('busy', `${MAX_OPEN} downlinks wait for this device already`);
      if (devAddr !== undefined) counters.prepare(devAddr);
      const added = store.add(downlink, clock.now());
      ports.onQueued(downlink.devEui);
      return added;
    },
    heard(heard) {
      if (heard.novelty === 'new') acks.heard(heard);
      if (desk.busy.has(heard.session.device.devEui)) defer(heard);
      else answer(heard, rx1Ms(heard));
    },
    counts: () => desk.counts(),
  };
}
