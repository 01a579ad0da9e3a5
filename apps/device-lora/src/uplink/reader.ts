import { describeError, sha256, toHex, type Clock } from '@antirio/kernel';
import type { Bus, Check, Log, Subscription } from '@antirio/host';
import { eu868, parseDataFrame, type DataFrame, type MacState } from '@antirio/lorawan';
import type { DeviceProfile, Reading } from '@antirio/edgex-contracts';
import type { DeviceLoraOptions } from '../options.ts';
import { eventOf } from '../north/event.ts';
import type { Poster } from '../north/poster.ts';
import { createReports } from '../reports.ts';
import type { Counted, UplinkStore } from '../store.ts';
import { createCatchUp, QUIET_MS } from './catch-up.ts';
import { readEventUp, type JoinHeard, type Reception, type Uplink } from './event-up.ts';
import { createGathering } from './gathering.ts';
import type { Mark } from './marks.ts';
import { createProgress } from './progress.ts';
import { createResets, type Resets } from './resets.ts';
import { createRetries } from './retries.ts';
import type { SessionBook } from './session-book.ts';
import {
  judge,
  noveltyOf,
  type Novelty,
  type Session,
  type Sessions,
  noteDone,
  noteUnderWay,
} from './sessions.ts';
import type { Tracker } from './tracker.ts';

/** A genuine frame of one of our devices, as far as downlinks have to know of it. */
export interface HeardUplink {
  readonly session: Session;
  readonly frame: DataFrame;
  readonly fcnt: number;
  /** By the gateway that heard it best. */
  readonly uplink: Uplink;
  /** All gateways that heard it, the strongest first. */
  readonly receptions: readonly Reception[];
  readonly novelty: Novelty;
  /** From before the device began to count anew: a reading, but no part of its count. */
  readonly isEarlier?: boolean;
}

/** Reads a ring: judges each frame, stores it in core-data, moves the cursor. */
export interface Reader {
  /** Begins where it ended, with these keys. */
  begin(sessions: SessionBook): void;
  /** No more frames are judged; what core-data has not taken yet is read again when it begins again. */
  end(): Promise<void>;
  readonly cursor: number;
  /** Frames of the ring that are not done with. */
  readonly behind: number;
  /** What is known of the device's MAC layer is written with the next commit. */
  keepMac(session: Session): void;
  counts(): Partial<Record<Counted, number>>;
  check(): Check;
  close(): Promise<void>;
}

export interface ReaderPorts {
  readonly options: DeviceLoraOptions;
  readonly bus: Bus;
  readonly store: UplinkStore;
  readonly poster: Poster;
  readonly clock: Clock;
  readonly log: Log;
  readonly profileOf: (name: string) => DeviceProfile | undefined;
  readonly onJoin: (join: JoinHeard) => void;
  /** The device counts from the beginning again; returns its MAC layer as it was. */
  readonly onReset: (session: Session) => MacState;
  readonly onHeard: (heard: HeardUplink) => void;
  readonly onStored: (heard: HeardUplink, readings: readonly Reading[]) => void;
  /** The cursor is durable at this frame. */
  readonly onCursor: (seq: number) => void;
}

/** What a device or its neighbours do all the time; the others are told. */
const USUAL: ReadonlySet<Counted> = new Set(['retransmission', 'otherGateway', 'conflict']);

/** A frame that was taken off the bus, and what it is to be done with in. */
interface Taken {
  readonly of: Tracker;
  readonly uplink: Uplink;
}

/** A frame with what its keys say. */
type Judged =
  | { readonly kind: 'genuine'; readonly session: Session; readonly fcnt: number; readonly frame: DataFrame }
  | { readonly kind: 'malformed' | 'unknown' | 'badMic' };

function judgeBytes(sessions: Sessions, resets: Resets, phyPayload: Uint8Array): Judged {
  let frame: DataFrame;
  try {
    frame = parseDataFrame(phyPayload);
  } catch {
    return { kind: 'malformed' };
  }
  const verdict = judge(sessions, frame, (session) => resets.formerOf(session));
  return verdict.kind === 'genuine' ? { ...verdict, frame } : verdict;
}

/** Opens the reader: it listens at once and judges nothing until it is given keys. */
export async function openReader(ports: ReaderPorts): Promise<Reader> {
  const { options, bus, store, poster, clock, log } = ports;
  const { ring, prefix, region } = options;
  const { window, commitIntervalMs, retransmissionMs, pollMs } = options.reading;
  const underWay = new Set<Promise<void>>();
  const gathering = createGathering(options.deduplicationMs, clock);
  const tell = createReports(clock);
  const resets = createResets(({ device: { name } }) =>
    log.warn({ device: name }, 'the device goes on with its old count: it did not begin anew'),
  );
  // each has its place in the tracker, whose size is bounded
  const retries = createRetries<Taken>(({ of, uplink }) => {
    if (sessions !== undefined && of === progress.tracker) attempt(of, sessions, uplink);
  });
  let sessions: SessionBook | undefined;

  const progress = createProgress({
    store,
    ring,
    commitIntervalMs,
    log,
    onCommit(movedTo) {
      if (movedTo !== undefined) ports.onCursor(movedTo);
      if (sessions !== undefined) catchUp.ask(progress.tracker);
    },
  });
  const catchUp = createCatchUp(clock, window, pollMs, (after, limit) => {
    const { incarnation } = progress;
    const body = JSON.stringify({
      ring,
      after,
      limit,
      ...(incarnation === undefined ? {} : { incarnation }),
    });
    bus.publish(`${prefix}${region}/gateway/all/command/replay`, body).catch((error: unknown) => {
      log.debug({ error: describeError(error) }, 'the ring cannot be asked');
    });
  });

  const storeReading = async (
    of: Tracker,
    keys: SessionBook,
    heard: HeardUplink,
    mark: Mark,
  ): Promise<void> => {
    const { session, fcnt, uplink } = heard;
    const resetsBefore = resets.countOf(session);
    keys.heard(session);
    const profile = ports.profileOf(session.device.profileName);
    const event = eventOf(options.serviceName, profile, heard);
    const posted = await poster
      .post(event, uplink.heardAt !== undefined)
      .finally(() => noteDone(session, fcnt));
    if (posted.kind === 'stopped') return;
    if (posted.kind === 'refused') {
      log.error(
        { device: session.device.name, fcnt, why: posted.why },
        'core-data refuses an event; it is kept here',
      );
      progress.park({ id: event.id, path: event.path, body: event.body, reason: posted.why });
    }
    progress.count(posted.kind === 'stored' ? 'stored' : 'parked');
    if (event.undecodable) progress.count('undecodable');
    // the device may have begun anew while core-data took its time
    const isEarlier = heard.isEarlier === true || resets.countOf(session) !== resetsBefore;
    if (isEarlier) progress.rememberBytes(session, mark);
    else progress.remember(session, fcnt, mark);
    ports.onStored(heard, event.readings);
    progress.finish(of, uplink.seq);
  };
  /** The frame keeps its place and holds the cursor, but nothing else: the same bytes may be taken meanwhile. */
  const fail = (of: Tracker, uplink: Uplink, error: unknown): void => {
    tell('failed', (leftOut) =>
      log.error({ seq: uplink.seq, leftOut, error: describeError(error) }, 'a frame cannot be read now'),
    );
    // of bytes that were heard once more the frame itself comes, or came, by its number
    if (!uplink.again) retries.add({ of, uplink }, error);
  };
  /** Of a frame that was new. */
  const failNew = (of: Tracker, { session, fcnt, uplink }: HeardUplink, error: unknown): void => {
    noteDone(session, fcnt);
    fail(of, uplink, error);
  };
  const takeNew = (of: Tracker, keys: SessionBook, heard: HeardUplink, mark: Mark): void => {
    const work = storeReading(of, keys, heard, mark)
      .catch((error: unknown) => failNew(of, heard, error))
      .finally(() => underWay.delete(work));
    underWay.add(work);
  };
  /** Downlinks that fail are no reason for a reading to. */
  const tellHeard = (heard: HeardUplink): void => {
    try {
      ports.onHeard(heard);
    } catch (error) {
      tell('unheard', (leftOut) => {
        const { name } = heard.session.device;
        log.error({ device: name, leftOut, error: describeError(error) }, 'a frame cannot be answered');
      });
    }
  };
  const refuse = (of: Tracker, { seq, again, gatewayId }: Uplink, reason: Counted): void => {
    progress.count(reason);
    if (!USUAL.has(reason))
      tell(reason, (leftOut) => log.warn({ reason, gatewayId, seq, leftOut }, 'a frame becomes no reading'));
    // bytes that were heard once more are not the frame of the ring, which may still be on its way
    if (!again) progress.finish(of, seq);
  };
  const keepConflict = ({ session, fcnt, uplink }: HeardUplink, digest: string): void => {
    const { id, device } = session;
    const { receivedAt, gatewayId, phyPayload } = uplink;
    const { devEui, name } = device;
    progress.keepConflict({ devEui, session: id, fcnt, digest, receivedAt, gatewayId, phyPayload });
    tell(`conflict ${name}`, (leftOut) =>
      log.error(
        { device: name, fcnt, gatewayId, leftOut, see: `antirio lora conflicts ${name}` },
        'ALARM: another genuine frame under a counter that is stored: the device lost its count (mayReset), or its keys are used twice',
      ),
    );
  };
  const takeKnown = (of: Tracker, heard: HeardUplink, digest: string): void => {
    const { novelty, uplink } = heard;
    if (novelty === 'new') return;
    // in one commit with what moves the cursor past it
    if (novelty === 'conflict') keepConflict(heard, digest);
    refuse(of, uplink, novelty);
    tellHeard(heard);
  };
  const serve = (of: Tracker, keys: SessionBook, heard: HeardUplink, mark: Mark): void => {
    const { session, fcnt, uplink } = heard;
    const isPart = heard.isEarlier !== true;
    if (isPart && resets.begins(heard)) {
      progress.reset(session);
      session.underWay = undefined;
      noteUnderWay(session, fcnt, mark);
      resets.keepFormerMac(session, ports.onReset(session));
      log.warn({ device: session.device.name, fcnt }, 'the device counts from the beginning again');
    }
    takeNew(of, keys, heard, mark);
    // a reading all the same, as its MIC is right; but nothing may be sent by such settings
    if (eu868.inPlan(uplink)) {
      if (isPart) tellHeard(heard);
    } else {
      progress.count('wrongRegion');
      tell('wrongRegion', (leftOut) => {
        const { gatewayId, frequency } = uplink;
        log.warn({ device: session.device.name, gatewayId, frequency, leftOut }, 'outside of the region');
      });
    }
    if (session.macUnsaved) progress.keepMac(session);
  };
  const serveNew = (of: Tracker, keys: SessionBook, heard: HeardUplink, mark: Mark): void => {
    try {
      serve(of, keys, heard, mark);
    } catch (error) {
      failNew(of, heard, error);
    }
  };
  const take = (of: Tracker, keys: SessionBook, uplink: Uplink): void => {
    const judged = judgeBytes(keys.byDevAddr, resets, uplink.phyPayload);
    if (judged.kind !== 'genuine') {
      refuse(of, uplink, judged.kind);
      return;
    }
    const { session, fcnt } = judged;
    const digest = toHex(sha256(uplink.phyPayload).subarray(0, 16));
    const mark = { digest, receivedAt: uplink.receivedAt, gatewayId: uplink.gatewayId };
    const novelty = noveltyOf(session, fcnt, mark, retransmissionMs);
    const isEarlier = novelty === 'new' && resets.isEarlier({ session, fcnt, uplink });
    const heard: HeardUplink = { ...judged, uplink, receptions: [uplink], novelty, isEarlier };
    if (novelty !== 'new') {
      if (novelty === 'otherGateway') gathering.add(digest, uplink);
      takeKnown(of, heard, digest);
      return;
    }
    if (!isEarlier) noteUnderWay(session, fcnt, mark);
    if (uplink.heardAt === undefined) serveNew(of, keys, heard, mark);
    else
      gathering.begin(digest, uplink, (receptions) => {
        serveNew(of, keys, { ...heard, uplink: { ...uplink, ...receptions[0] }, receptions }, mark);
      });
  };
  const attempt = (of: Tracker, keys: SessionBook, uplink: Uplink): void => {
    try {
      take(of, keys, uplink);
    } catch (error) {
      fail(of, uplink, error);
    }
  };
  /** Whether the frame is to be looked at: a new one that there is room for, or bytes that were heard once more. */
  const isWanted = (tracker: Tracker, uplink: Uplink): boolean => {
    const known = uplink.seq <= tracker.cursor || tracker.has(uplink.seq);
    // the frame itself comes, or came, by its number
    if (uplink.again) return known;
    // Frames ahead of a gap are served at once; the gap keeps its half of the room.
    const room = uplink.previousSeq === tracker.received ? window : window / 2;
    if (!known && tracker.size >= room) return false;
    return tracker.begin(uplink.seq, uplink.previousSeq);
  };
  const onUp = (_topic: string, payload: Uint8Array): void => {
    if (sessions === undefined) return;
    const uplink = readEventUp(payload);
    if (uplink.ring !== ring) return;
    if (uplink.kind === 'join') {
      ports.onJoin(uplink);
      return;
    }
    // a ring that ends below what was read of it has been brought back from an older copy
    if (uplink.incarnation !== progress.incarnation || uplink.last < progress.tracker.cursor) {
      progress.restart(uplink.incarnation);
      catchUp.reset();
    }
    if (uplink.heardAt !== undefined) gathering.noted(uplink.gatewayId);
    catchUp.noted(uplink);
    if (isWanted(progress.tracker, uplink)) attempt(progress.tracker, sessions, uplink);
    catchUp.ask(progress.tracker);
  };

  const subscription: Subscription = await bus.subscribe(`${prefix}${region}/gateway/+/event/up`, onUp);
  const poll = setInterval(() => {
    if (sessions !== undefined) catchUp.ask(progress.tracker);
  }, QUIET_MS / 2);
  const end = async (): Promise<void> => {
    sessions = undefined;
    gathering.clear();
    poster.cancel();
    await Promise.all(underWay);
    retries.clear();
    progress.commit();
    // what was given up is read again
    progress.rewind();
  };
  return {
    begin(keys) {
      sessions = keys;
      catchUp.askNow(progress.tracker);
    },
    end,
    get cursor() {
      return progress.cursor;
    },
    get behind() {
      return catchUp.behind(progress.tracker);
    },
    keepMac: (session) => progress.keepMac(session),
    counts: () => progress.counts(),
    check() {
      const onDisk = progress.check();
      return onDisk.ok ? retries.check() : onDisk;
    },
    async close() {
      clearInterval(poll);
      await subscription.close();
      await end();
    },
  };
}
