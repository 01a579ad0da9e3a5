import { AntirioError, describeError, type Clock } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import { eu868, type DevAddr, type DevEui, type ReceiveWindow } from '@antirio/lorawan';
import type { HeardUplink } from '../uplink/reader.ts';
import { highestOf, type Session } from '../uplink/sessions.ts';
import type { DownCounters } from './counters.ts';
import { judgeOutcomes, planAnswer, type Answer, type Verdict } from './plan.ts';
import type { Downlink, DownlinkStore, NewDownlink } from './store.ts';
import type { Transmitter } from './transmitter.ts';

/** Answers uplinks: queued downlinks, acknowledgements. */
export interface DownlinkSender {
  /** Queues durably; an older one that writes the same resource is replaced. @throws AntirioError busy | tooLarge */
  queue(downlink: NewDownlink, devAddr: DevAddr | undefined): Downlink;
  /** Never waits: what has to be sent is sent on its own. */
  heard(uplink: HeardUplink): void;
  counts(): Readonly<Record<string, number>>;
}

export interface SenderPorts {
  readonly transmitter: Transmitter;
  readonly answerUplinks: boolean;
  readonly store: DownlinkStore;
  readonly counters: DownCounters;
  readonly clock: Clock;
  readonly log: Log;
}

/** Only frames heard this recently by radio are answered: a backlog frame's windows are long over. */
const LIVE_MS = 800;
/** Time that the frame needs to its gateway before RX1. */
const LEAD_MS = 150;
const MAX_OPEN = 16;
const RX1_MS = 1000;

interface Frame {
  readonly bytes: Uint8Array;
  /** Undefined for an answer without payload. */
  readonly downlink: Downlink | undefined;
}

/** Whether the frame is the newest of the session that the device uses: others may be recorded ones, played again. */
const mayAnswer = ({ session, fcnt, novelty }: HeardUplink): boolean =>
  (novelty === 'new' || novelty === 'retransmission') &&
  session.standing !== 'former' &&
  fcnt === highestOf(session);

export function createSender(ports: SenderPorts): DownlinkSender {
  const { transmitter, store, counters, clock, log } = ports;
  /** One answer at a time for each device. */
  const answering = new Set<DevEui>();
  /** The last answer without payload, to be repeated when the device repeats its question. */
  const lastEmpty = new Map<DevEui, { readonly fcntUp: number; readonly bytes: Uint8Array }>();
  const counts: Record<string, number> = { sent: 0, acknowledged: 0, failed: 0, answered: 0, notSent: 0 };
  const count = (name: string): void => {
    counts[name] = (counts[name] ?? 0) + 1;
  };
  const end = (downlink: Downlink, state: 'acknowledged' | 'failed', error?: string): void => {
    store.update(downlink.id, { state, ...(error === undefined ? {} : { error }) }, clock.now());
    count(state);
  };

  const windowsFor = (heard: HeardUplink, payloadLength: number): ReceiveWindow[] =>
    eu868.receiveWindows(heard.uplink).filter((window) => payloadLength <= eu868.maxPayload(window));

  const transmit = async (heard: HeardUplink, frame: Frame): Promise<Verdict> => {
    const { gatewayId, context } = heard.uplink;
    const windows = windowsFor(heard, frame.downlink?.payload.length ?? 0);
    if (windows.length === 0) return { kind: 'again', why: 'too long for the data rates of this uplink' };
    return judgeOutcomes(await transmitter.transmit(frame.bytes, { gatewayId, context, windows }));
  };
  const ageOf = (heard: HeardUplink): number => clock.monotonic() - (heard.uplink.heardAt ?? -Infinity);
  const build = async (heard: HeardUplink, downlink: Downlink | undefined): Promise<Frame | undefined> => {
    const { session, frame: uplink } = heard;
    const fcnt = await counters.wait(session.devAddr, RX1_MS - LEAD_MS - ageOf(heard));
    if (fcnt === undefined) return undefined;
    const fields = { direction: 'down', devAddr: session.devAddr, fcnt, ack: uplink.confirmed } as const;
    const more = store.open(session.device.devEui).length > 1;
    const bytes =
      downlink === undefined
        ? session.cipher.build({ ...fields, confirmed: false })
        : session.cipher.build(
            { ...fields, confirmed: downlink.confirmed, fPort: downlink.fPort, fPending: more },
            downlink.payload,
          );
    // used and durable before anybody else sees it
    store.assign(
      session.devAddr,
      fcnt,
      downlink === undefined ? undefined : { id: downlink.id, bytes, session: session.id },
      clock.now(),
    );
    return { bytes, downlink };
  };
  const frameFor = async (
    heard: HeardUplink,
    answer: Exclude<Answer, { kind: 'none' }>,
  ): Promise<Frame | undefined> => {
    const { session, fcnt } = heard;
    if (answer.kind === 'repeat') return { bytes: answer.downlink.bytes, downlink: answer.downlink };
    if (answer.kind === 'send') return build(heard, answer.downlink);
    const last = lastEmpty.get(session.device.devEui);
    if (last?.fcntUp === fcnt) return { bytes: last.bytes, downlink: undefined };
    const frame = await build(heard, undefined);
    if (frame !== undefined) lastEmpty.set(session.device.devEui, { fcntUp: fcnt, bytes: frame.bytes });
    return frame;
  };
  const record = ({ downlink }: Frame, { device, devAddr }: Session, verdict: Verdict): void => {
    const now = clock.now();
    if (verdict.kind === 'newCounter') {
      counters.discard(devAddr);
      lastEmpty.delete(device.devEui);
    }
    if (verdict.kind !== 'onAir') count('notSent');
    if (downlink === undefined) {
      if (verdict.kind === 'onAir') count('answered');
      return;
    }
    if (verdict.kind === 'onAir') {
      count('sent');
      const attempts = downlink.attempts + 1;
      store.update(
        downlink.id,
        { state: 'sent', attempts, ...(verdict.note === undefined ? {} : { error: verdict.note }) },
        now,
      );
    } else if (verdict.kind === 'again') store.update(downlink.id, { error: verdict.why }, now);
    else store.requeue(downlink.id, verdict.why, now);
  };
  /** The device's downlinks; what was made with other keys than those it uses now is made anew. */
  const openFor = ({ id, device }: Session): Downlink[] => {
    const open = store.open(device.devEui);
    const stale = open.filter(({ bytes, session }) => bytes !== undefined && (session ?? id) !== id);
    for (const downlink of stale) store.requeue(downlink.id, 'the device has another session', clock.now());
    return stale.length === 0 ? open : store.open(device.devEui);
  };
  const answer = async (heard: HeardUplink): Promise<void> => {
    const { session, frame } = heard;
    const wants = ports.answerUplinks && (frame.confirmed || frame.adrAckReq);
    const plan = planAnswer(openFor(session), wants);
    for (const downlink of plan.givenUp) end(downlink, 'failed', 'not acknowledged');
    if (plan.answer.kind === 'none') return;
    const ready = await frameFor(heard, plan.answer);
    if (ready !== undefined) record(ready, session, await transmit(heard, ready));
  };
  const acknowledge = ({ session, frame, uplink }: HeardUplink): void => {
    if (!frame.ack) return;
    const waiting = store
      .open(session.device.devEui)
      .find(({ confirmed, bytes }) => confirmed && bytes !== undefined);
    // an acknowledgement in a frame from before the transmission is another one's
    if (waiting !== undefined && uplink.receivedAt >= waiting.updatedAt) end(waiting, 'acknowledged');
  };

  return {
    queue(downlink, devAddr) {
      const longest = 222;
      if (downlink.payload.length > longest)
        throw new AntirioError('tooLarge', `a downlink has at most ${longest} bytes`, {
          bytes: downlink.payload.length,
        });
      const open = store.open(downlink.devEui);
      for (const older of open.filter(({ resource }) => resource === downlink.resource))
        end(older, 'failed', 'replaced');
      if (open.length >= MAX_OPEN)
        throw new AntirioError('busy', `${MAX_OPEN} downlinks wait for this device already`);
      if (devAddr !== undefined) counters.prepare(devAddr);
      return store.add(downlink, clock.now());
    },
    heard(heard) {
      const { session, frame, uplink, novelty } = heard;
      if (novelty === 'new') acknowledge(heard);
      if (!mayAnswer(heard)) return;
      const live = uplink.via === 'radio' && uplink.heardAt !== undefined && ageOf(heard) < LIVE_MS;
      const { devEui } = session.device;
      if (!live || answering.has(devEui)) {
        if (frame.confirmed && ports.answerUplinks) counters.prepare(session.devAddr);
        return;
      }
      answering.add(devEui);
      answer(heard)
        .catch((error: unknown) => {
          log.error({ device: session.device.name, error: describeError(error) }, 'a downlink failed');
        })
        .finally(() => answering.delete(devEui));
    },
    counts: () => ({ ...counts }),
  };
}
