import { AntirioError, describeError, sha256Hex, type Clock, type Random } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import {
  buildJoinAccept,
  deriveSessionKeys,
  eu868,
  parseJoinRequest,
  sessionFingerprint,
  verifyJoinRequest,
  type AppKey,
  type DevEui,
  type JoinOnAir,
  type JoinRequest,
} from '@antirio/lorawan';
import { throughGateways } from '../downlink/gateways.ts';
import { directoryOf } from '../directory.ts';
import type { Transmitter } from '../downlink/transmitter.ts';
import { newStateOf } from '../mac/mac-layer.ts';
import type { AddressRange, DeviceLoraOptions, DeviceOptions } from '../options.ts';
import { createReports } from '../reports.ts';
import type { JoinHeard } from '../uplink/event-up.ts';
import type { Session } from '../uplink/sessions.ts';
import type { SessionBook } from '../uplink/session-book.ts';
import { freeAddress } from './address.ts';
import { createRateLimit } from './rate.ts';
import type { JoinedSession, JoinStore, NewSession } from './store.ts';

/**
 * What becomes of JoinRequests. `accepted`: a session was made; `answered`: its JoinAccept went on air. `notOurs`: who stands in for
 * the device's own edge may not answer it, or not now.
 */
export type JoinCounted =
  | 'accepted'
  | 'answered'
  | 'notSent'
  | 'otherGateway'
  | 'malformed'
  | 'unknown'
  | 'foreignJoinEui'
  | 'badMic'
  | 'replay'
  | 'flood'
  | 'wrongRegion'
  | 'notOurs';

/** The join server of the service's own devices (LoRaWAN 1.0.x). */
export interface JoinServer {
  /** Never waits: what has to be answered is answered on its own. */
  heard(join: JoinHeard): void;
  counts(): Readonly<Record<JoinCounted, number>>;
  /** Resolves when what was begun is done. */
  close(): Promise<void>;
}

/** What a join is answered with. */
export interface JoinLeave {
  readonly range: AddressRange;
  /** As for `Joining`. */
  readonly slot?: number | undefined;
  readonly above?: number | undefined;
}

/** By whose leave joins are answered. */
export interface JoinAuthority {
  /** Undefined where this one is not to be answered, which uses nothing up. @throws where nobody says */
  ask(request: JoinRequest): Promise<JoinLeave | undefined>;
  /**
   * The session is on our disk: whatever else has to know it does so when this resolves, `until` at the latest (monotonic ms). Its
   * uplinks must not fall on deaf ears, and somebody has to go on with it. @throws where it must not be answered
   */
  keep(joined: JoinedSession, onAir: JoinOnAir, until: number): Promise<unknown>;
}

export interface JoinServerPorts {
  readonly options: DeviceLoraOptions;
  /** Undefined while there are no keys. */
  readonly sessions: () => SessionBook | undefined;
  readonly joins: JoinStore;
  readonly authority: JoinAuthority;
  readonly transmitter: Transmitter;
  /** A session that the device may use from now on. */
  readonly onOffered: (session: Session) => void;
  /** One that its own edge would have answered is not answered here. */
  readonly onUnserved?: ((join: JoinHeard) => void) | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** JoinRequests whose other receptions are waited for. */
const MAX_GATHERING = 256;
/** RX2 of a join opens 6 s after the request; the answer has to be at the gateway some time before. */
const LAST_ANSWER_MS = 5300;
/** The same bytes within this time are one transmission, heard by several gateways. */
const ONE_TRANSMISSION_MS = 10_000;
/** Of all devices, so that a flood costs little; a gateway cannot hear more than some hundred. */
const VERIFIED = { burst: 200, perSecond: 100 };
/** Of each device: a JoinRequest with a true MIC takes space for ever. */
const ACCEPTED = { burst: 8, perSecond: 0.2 };

/** What a JoinRequest led to, or why to nothing. */
type Judged =
  | {
      readonly kind: 'genuine';
      readonly request: JoinRequest;
      readonly key: AppKey;
      readonly device: DeviceOptions;
    }
  | { readonly kind: Exclude<JoinCounted, 'accepted' | 'answered' | 'notSent' | 'otherGateway'> };

type Genuine = Extract<Judged, { kind: 'genuine' }>;

function newCounts(): Record<JoinCounted, number> {
  const handled = { accepted: 0, answered: 0, notSent: 0, otherGateway: 0, malformed: 0, unknown: 0 };
  return { ...handled, foreignJoinEui: 0, badMic: 0, replay: 0, flood: 0, wrongRegion: 0, notOurs: 0 };
}

function parsed(phyPayload: Uint8Array): JoinRequest | undefined {
  try {
    return parseJoinRequest(phyPayload);
  } catch {
    return undefined;
  }
}

const noKeys = (): AntirioError =>
  new AntirioError('unavailable', 'the service stands down, or has other keys');

export function createJoinServer(ports: JoinServerPorts): JoinServer {
  const { options, joins, authority, transmitter, clock, random, log } = ports;
  const { netId, reception, deduplicationMs } = options;
  const { byEui: devices } = directoryOf(options.devices);
  const fixed = new Set(options.devices.map(({ devAddr }) => devAddr));
  const counts = newCounts();
  const tell = createReports(clock);
  const verified = createRateLimit<'all'>(VERIFIED);
  const accepted = createRateLimit<DevEui>(ACCEPTED);
  const gathering = new Map<string, JoinHeard[]>();
  const recent = new Map<string, number>();
  const underWay = new Set<Promise<void>>();
  const timers = new Set<NodeJS.Timeout>();

  const judge = (sessions: SessionBook, join: JoinHeard): Judged => {
    const request = parsed(join.phyPayload);
    if (request === undefined) return { kind: 'malformed' };
    if (!eu868.inPlan(join)) return { kind: 'wrongRegion' };
    const device = devices.get(request.devEui);
    const key = sessions.rootKeyOf(request.devEui);
    if (device === undefined || key === undefined) return { kind: 'unknown' };
    const { joinEui = request.joinEui } = device;
    if (joinEui !== request.joinEui) return { kind: 'foreignJoinEui' };
    if (!verified.take('all', clock.monotonic())) return { kind: 'flood' };
    if (!verifyJoinRequest(key, request)) return { kind: 'badMic' };
    if (!accepted.take(request.devEui, clock.monotonic())) return { kind: 'flood' };
    return { kind: 'genuine', request, key, device };
  };
  const refuse = (kind: JoinCounted, { gatewayId, phyPayload }: JoinHeard): void => {
    counts[kind] += 1;
    if (kind === 'otherGateway') return;
    const devEui = parsed(phyPayload)?.devEui;
    tell(kind, (leftOut) => log.warn({ kind, gatewayId, devEui, leftOut }, 'a JoinRequest is not answered'));
  };
  const sessionFor = (
    sessions: SessionBook,
    { request, key, device }: Genuine,
    { range }: JoinLeave,
    joinNonce: number,
  ): NewSession => {
    const keys = deriveSessionKeys(key, { joinNonce, netId, devNonce: request.devNonce });
    const devAddr = freeAddress({
      range,
      random,
      isInUse: (one) => fixed.has(one) || sessions.byDevAddr.has(one),
      wasGiven: (one) => joins.wasGiven(one),
    });
    const mac = newStateOf(options, device);
    return { ...keys, session: sessionFingerprint(keys.nwkSKey, devAddr), devAddr, mac };
  };
  const acceptOf = (joined: JoinedSession, key: AppKey): Uint8Array => {
    const { rx1DrOffset, rx2, rx1DelayS, channels } = reception;
    return buildJoinAccept(key, {
      joinNonce: joined.joinNonce,
      netId,
      devAddr: joined.devAddr,
      dlSettings: { rx1DrOffset, rx2DataRate: rx2.dataRate },
      rxDelay: rx1DelayS,
      cfList: eu868.cfList(channels),
    });
  };
  const answer = async (
    joined: JoinedSession,
    { key, request }: Genuine,
    receptions: readonly JoinHeard[],
    best: JoinHeard,
  ): Promise<void> => {
    const bytes = acceptOf(joined, key);
    const onAir = { joinRequest: request.phyPayload, joinAccept: bytes };
    await authority.keep(joined, onAir, best.heardAt + LAST_ANSWER_MS);
    const ours = ports.sessions()?.sessionsOf(joined.devEui) ?? [];
    if (ours.every(({ id }) => id !== joined.session)) throw noKeys();
    const verdict = await throughGateways(transmitter, {
      bytes,
      receptions,
      windows: eu868.joinWindows(best),
      at: () => clock.monotonic() - best.heardAt,
    });
    counts[verdict.kind === 'onAir' ? 'answered' : 'notSent'] += 1;
    if (verdict.kind !== 'onAir')
      log.warn({ devEui: joined.devEui, why: verdict.why }, 'a JoinAccept did not go on air');
  };
  const sessionsNow = (): SessionBook => {
    // those in use by now: others may have come since it was heard
    const sessions = ports.sessions();
    if (sessions === undefined) throw noKeys();
    return sessions;
  };
  const accept = (judged: Genuine, leave: JoinLeave): JoinedSession | undefined => {
    const { request, device } = judged;
    const { devEui, devNonce } = request;
    const sessions = sessionsNow();
    // those of other keys would make a session that this device cannot have
    if (sessions.rootKeyOf(devEui) !== judged.key) throw noKeys();
    const rule = device.macVersion === '1.0.4' ? 'counter' : 'random';
    const { slot, above } = leave;
    const joined = joins.accept({ devEui, devNonce, rule, slot, above }, clock.now(), (joinNonce) =>
      sessionFor(sessions, judged, leave, joinNonce),
    );
    if (joined === undefined) return undefined;
    counts.accepted += 1;
    log.info({ device: device.name, devAddr: joined.devAddr, joinNonce: joined.joinNonce }, 'joined');
    ports.onOffered(sessions.add(joined));
    return joined;
  };
  const serve = async (receptions: readonly JoinHeard[], join: JoinHeard): Promise<void> => {
    const judged = judge(sessionsNow(), join);
    if (judged.kind !== 'genuine') {
      refuse(judged.kind, join);
      return;
    }
    const leave = await authority.ask(judged.request);
    if (leave === undefined) {
      refuse('notOurs', join);
      ports.onUnserved?.(join);
      return;
    }
    const joined = accept(judged, leave);
    if (joined === undefined) refuse('replay', join);
    else await answer(joined, judged, receptions, join);
  };
  const begin = (receptions: readonly JoinHeard[]): void => {
    const byStrength = receptions.toSorted((a, b) => b.rssi - a.rssi);
    const [best] = byStrength;
    if (best === undefined) return;
    const work = serve(byStrength, best)
      .catch((error: unknown) => {
        counts.notSent += 1;
        log.error({ error: describeError(error) }, 'a JoinRequest could not be answered');
      })
      .finally(() => underWay.delete(work));
    underWay.add(work);
  };
  const isOlder = (digest: string, join: JoinHeard): boolean => {
    const known = recent.get(digest);
    return known !== undefined && join.heardAt - known < ONE_TRANSMISSION_MS;
  };
  const remember = (digest: string, heardAt: number): void => {
    recent.set(digest, heardAt);
    for (const [one, at] of recent)
      if (recent.size > MAX_GATHERING || heardAt - at >= ONE_TRANSMISSION_MS) recent.delete(one);
      else return;
  };
  /** The windows of a JoinAccept are so late that the other receptions can always be waited for. */
  const gather = (digest: string, join: JoinHeard): void => {
    const receptions = [join];
    gathering.set(digest, receptions);
    const timer = setTimeout(() => {
      timers.delete(timer);
      gathering.delete(digest);
      begin(receptions);
    }, deduplicationMs);
    timers.add(timer);
  };
  return {
    heard(join) {
      if (ports.sessions() === undefined || !options.sendDownlinks) return;
      const digest = sha256Hex(join.phyPayload).slice(0, 32);
      const known = gathering.get(digest);
      if (known !== undefined && known.length < 16) known.push(join);
      if (known !== undefined || isOlder(digest, join)) refuse('otherGateway', join);
      else if (gathering.size >= MAX_GATHERING) refuse('flood', join);
      else {
        remember(digest, join.heardAt);
        gather(digest, join);
      }
    },
    counts: () => ({ ...counts }),
    async close() {
      for (const timer of timers) clearTimeout(timer);
      await Promise.all(underWay);
    },
  };
}
