import type { Clock } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import {
  encodeMacCommands,
  eu868,
  listensAs,
  macStep,
  MOST_LIVES,
  newMacState,
  parseMacCommands,
  type MacNote,
  type DevAddr,
  type MacState,
  type NeighbourMargin,
  type ParsedMacCommands,
  type ReceiveParameters,
  type UplinkHeard,
  type UplinkMacCommand,
} from '@antirio/lorawan';
import type { DeviceLoraOptions, DeviceOptions } from '../options.ts';
import type { HeardUplink } from '../uplink/reader.ts';
import type { Session } from '../uplink/sessions.ts';
import type { MacStore } from './store.ts';

/** What the next downlink has to carry for the MAC layer. */
export interface MacAnswer {
  /** Encoded commands, for FOpts or port 0. */
  readonly bytes: Uint8Array;
  /** Whether the device waits for a downlink, even an empty one. */
  readonly mustAnswer: boolean;
  /** The device answers what the last downlink asked: it heard that one. */
  readonly heardLast?: boolean;
}

/** The network's side of the devices' MAC layers: their commands are answered, their data rates adapted. */
export interface MacLayer {
  stateOf(session: Session): MacState;
  /** How the device listens after a frame: what it answers in the frame is so already. */
  listensAfter(heard: HeardUplink): ReceiveParameters;
  /** Takes a new frame. `room`: bytes that the next downlink has for commands; 0 where none will be sent. */
  heard(heard: HeardUplink, room: number): MacAnswer;
  /** The downlink with what was asked of the device last did not go on air: it does not count as an attempt. */
  notSent(session: Session): void;
  /** Another network has served the device, and left it so. */
  replace(session: Session, state: MacState): void;
  /** The device has begun anew, with the settings that it was made with. */
  reset(session: Session): MacState;
  counts(): Readonly<Record<MacNote['type'] | 'malformed', number>>;
}

export interface MacLayerPorts {
  readonly options: DeviceLoraOptions;
  readonly store: MacStore;
  readonly clock: Clock;
  readonly log: Log;
  /** Whether the device is to be asked something, so that its answer proves that it hears us. */
  readonly wantsProof?: (devAddr: DevAddr) => boolean;
  /** A device listens or sends otherwise than before, or its counter is far above what was told last. */
  readonly onChanged?: (session: Session) => void;
  /** How an edge hears the device that may have to serve it, since an FCnt. */
  readonly neighbourMargin?: (devAddr: DevAddr, since: number) => NeighbourMargin | undefined;
}

const FOPTS = 15;
/** The newest SNRs are learnt again soon: they are written down only so often. */
const UPLINKS_UNSAVED = 8;

/** States are never changed: devices that are alike begin with the same one, and keep its channels in common. */
const alike = new WeakMap<DeviceLoraOptions, Map<string, MacState>>();

/** What a device that was just activated listens and sends with. */
export function newStateOf(options: DeviceLoraOptions, device: DeviceOptions): MacState {
  const { adr, reception } = options;
  const { macVersion, class: deviceClass } = device;
  const told = device.activation === 'otaa' ? reception : device.reception;
  const about = { macVersion, class: deviceClass, adr: adr.enabled, adrMarginDb: adr.marginDb };
  const states = alike.get(options) ?? new Map<string, MacState>();
  alike.set(options, states);
  const key = JSON.stringify([told, about]);
  const state = states.get(key) ?? newMacState(eu868, { ...told, ...about });
  states.set(key, state);
  return state;
}

const isSame = (one: unknown, other: unknown): boolean =>
  one === other || JSON.stringify(one) === JSON.stringify(other);

/** A state that was read from the disk, with what it has in common with others. */
function withShared(known: MacState, { rx2, channels, madeWith }: MacState): MacState {
  const made = isSame(known.madeWith, madeWith) ? madeWith : known.madeWith;
  return {
    ...known,
    rx2: isSame(known.rx2, rx2) ? rx2 : known.rx2,
    channels: isSame(known.channels, channels) ? channels : known.channels,
    ...(made === undefined ? {} : { madeWith: made }),
  };
}

/** What is known of a device however it listens. */
function asideOfReception({ devStatus, devStatusAskedAt }: MacState): Partial<MacState> {
  return { devStatus, ...(devStatusAskedAt === undefined ? {} : { devStatusAskedAt }) };
}

/** Whether the states differ in more than what every uplink adds. */
function isOther(one: MacState, other: MacState): boolean {
  const limits = ({ adr: { fcnts: _fcnts, snrs: _snrs, gateways: _gateways, ...rest } }: MacState): unknown =>
    rest;
  const { fcntUp: _fcnt, adr: _adr, ...rest } = { ...one, ...other };
  const keys = Object.keys(rest) as (keyof typeof rest)[];
  return keys.some((key) => !isSame(one[key], other[key])) || !isSame(limits(one), limits(other));
}

/** A floor of the counter is told again now and then. */
const TOLD_EVERY = 4096;
const isFarFrom = (one: number | null, other: number | null): boolean =>
  Math.floor((one ?? -1) / TOLD_EVERY) !== Math.floor((other ?? -1) / TOLD_EVERY);

/** It begins anew: what was told and answered in the count before is of no use to anybody. */
const nextLife = (fresh: MacState, { number, lives = 0 }: MacState): MacState => ({
  ...fresh,
  ...(number === undefined ? {} : { number }),
  lives: Math.min(lives + 1, MOST_LIVES),
});

const withStatus = (state: MacState): MacState =>
  macStep(eu868, state, { type: 'request', command: { type: 'devStatusReq' } }).state;

/** Answers that a device gives once, in the uplink after it was asked; others are repeated until it hears a downlink. */
const GIVEN_ONCE: ReadonlySet<string> = new Set([
  'linkADRAns',
  'dutyCycleAns',
  'devStatusAns',
  'newChannelAns',
  'txParamSetupAns',
]);
const isFreshAnswer = (note: MacNote): boolean =>
  (note.type === 'accepted' || note.type === 'rejected') && GIVEN_ONCE.has(note.answer.type);

export function createMacLayer(ports: MacLayerPorts): MacLayer {
  const { options, store, clock, log, wantsProof } = ports;
  const { enabled, marginDb } = options.adr;
  const { devStatusIntervalS } = options;
  /** Its devices' own edge numbers what it knows of them; who stands in for it keeps the number that it began from. */
  const changed = (state: MacState): MacState =>
    options.prefix === '' ? { ...state, number: (state.number ?? 0) + 1 } : state;
  const unsaved = new WeakMap<Session, number>();
  /** The first FCnt with which each device sends as it does now, as far as we know. */
  const sendsSince = new WeakMap<Session, number>();
  const counts = {
    accepted: 0,
    rejected: 0,
    gaveUp: 0,
    unexpected: 0,
    unanswered: 0,
    backedOff: 0,
    stale: 0,
  };
  let malformed = 0;

  const load = (session: Session): MacState => {
    const { id, device } = session;
    const known = store.load(id);
    const fresh = newStateOf(options, device);
    if (known === undefined) return fresh;
    const { madeWith = fresh.madeWith } = known;
    // a device that joined listens as it was told; of another one the configuration says how it was made
    if (device.activation === 'abp' && !isSame(madeWith, fresh.madeWith)) {
      log.warn({ device: device.name }, 'other reception settings than before: its MAC layer begins anew');
      session.macUnsaved = true;
      return changed({ ...nextLife(fresh, known), ...asideOfReception(known) });
    }
    const now = { ...known, ...(madeWith === undefined ? {} : { madeWith }) };
    const { class: deviceClass, macVersion } = device;
    return {
      ...withShared(now, fresh),
      ...{ class: deviceClass, macVersion, adr: { ...known.adr, enabled, marginDb } },
    };
  };
  const stateOf = (session: Session): MacState => (session.mac ??= load(session));
  const keep = (session: Session, next: MacState): void => {
    const count = (unsaved.get(session) ?? 0) + 1;
    const before = stateOf(session);
    const isChanged = isOther(before, next);
    const isDue = count >= UPLINKS_UNSAVED || isChanged;
    const isTold = isChanged || isFarFrom(before.fcntUp, next.fcntUp);
    session.mac = isTold ? changed(next) : next;
    if (isTold) ports.onChanged?.(session);
    unsaved.set(session, isDue ? 0 : count);
    if (isDue) session.macUnsaved = true;
  };
  const commandsOf = ({ session, frame, fcnt }: HeardUplink): ParsedMacCommands<UplinkMacCommand> =>
    parseMacCommands(frame.fPort === 0 ? session.cipher.decrypt(frame, fcnt) : frame.fOpts, 'up');
  const eventOf = (heard: HeardUplink, room: number): UplinkHeard => {
    const { session, frame, fcnt, uplink, receptions } = heard;
    const { commands } = commandsOf(heard);
    return {
      type: 'uplink',
      fcnt,
      dataRate: eu868.dataRateIndex(uplink) ?? 0,
      bestSnr: Math.max(...receptions.map(({ snr }) => snr)),
      gatewayCount: receptions.length,
      adr: frame.adr,
      adrAckReq: frame.adrAckReq,
      macCommands: commands,
      maxAnswerBytes: room,
      ...(uplink.heardAt === undefined ? {} : { heardAtUnixMs: uplink.receivedAt }),
      ...neighbourOf(session, fcnt),
    };
  };
  const neighbourOf = (session: Session, fcnt: number): Pick<UplinkHeard, 'neighbour'> => {
    const since = sendsSince.get(session) ?? stateOf(session).adr.fcnts[0] ?? fcnt;
    sendsSince.set(session, since);
    const neighbour = ports.neighbourMargin?.(session.devAddr, since);
    return neighbour === undefined ? {} : { neighbour };
  };
  const tell = ({ device }: Session, notes: readonly MacNote[]): void => {
    for (const note of notes) {
      counts[note.type] += 1;
      if (note.type === 'rejected' || note.type === 'gaveUp')
        log.info({ device: device.name, ...note }, 'a device does not do what the network asked');
      else log.debug({ device: device.name, ...note }, 'MAC layer');
    }
  };
  /** Battery and margin, asked for when they were not asked for so long, however often the service was started meanwhile. */
  const withStatusRequest = (state: MacState, isProofWanted: boolean): MacState => {
    const now = clock.now();
    if (isProofWanted) return { ...withStatus(state), devStatusAskedAt: now };
    const since = state.devStatusAskedAt;
    if (devStatusIntervalS === 0) return state;
    // a clock that was set back must not put it off for long
    if (since === undefined || since > now) return { ...state, devStatusAskedAt: now };
    if (now - since < devStatusIntervalS * 1000) return state;
    return { ...withStatus(state), devStatusAskedAt: now };
  };
  return {
    stateOf,
    listensAfter(heard) {
      const state = stateOf(heard.session);
      const { fOpts, fPort } = heard.frame;
      const isAsIs = fOpts.length === 0 && fPort !== 0 && state.unsure === undefined;
      return listensAs(isAsIs ? state : macStep(eu868, state, eventOf(heard, FOPTS)).state);
    },
    heard(heard, room) {
      const { session } = heard;
      if (commandsOf(heard).rest !== undefined) malformed += 1;
      const isProofWanted = room > 0 && wantsProof?.(session.devAddr) === true;
      const before = withStatusRequest(stateOf(session), isProofWanted);
      const { state, answers, mustAnswer, notes } = macStep(eu868, before, eventOf(heard, room));
      // after a change its history begins anew
      if (state.adr.fcnts.length <= 1) sendsSince.set(session, heard.fcnt);
      keep(session, state);
      tell(session, notes);
      return { bytes: encodeMacCommands(answers), mustAnswer, heardLast: notes.some(isFreshAnswer) };
    },
    notSent(session) {
      const state = stateOf(session);
      // still in flight: a gateway that said nothing may have sent it all the same
      const pending = state.pending.map((each) =>
        each.inFlight ? { ...each, attempts: Math.max(0, each.attempts - 1) } : each,
      );
      session.mac = changed({ ...state, pending });
      session.macUnsaved = true;
      ports.onChanged?.(session);
    },
    replace(session, state) {
      sendsSince.delete(session);
      session.mac = state;
      ports.onChanged?.(session);
    },
    reset(session) {
      const former = stateOf(session);
      const { devStatusAskedAt } = former;
      const fresh = changed(nextLife(newStateOf(options, session.device), former));
      session.mac = devStatusAskedAt === undefined ? fresh : { ...fresh, devStatusAskedAt };
      session.macUnsaved = true;
      ports.onChanged?.(session);
      return former;
    },
    counts: () => ({ ...counts, malformed }),
  };
}
