import type { RegionPlan } from '../region/plan.ts';
import { adrRequest, afterSilence, backedOff, withUplink, type NeighbourMargin } from './adr.ts';
import { answerTo } from './answers.ts';
import { macCommandLength } from './codec.ts';
import type { DownlinkMacCommand, UplinkMacCommand } from './commands.ts';
import { accepted, ANSWER_OF, former, isAccepted, narrowed } from './effects.ts';
import { isUnsure, withRefused, withTaken, withTry } from './evidence.ts';
import { checkRequest, keyOf, withRequest } from './requests.ts';
import type { MacRequest, MacState, PendingRequest } from './state.ts';

/** An uplink whose MIC is right and whose counter was not heard before. */
export interface UplinkHeard {
  readonly type: 'uplink';
  /** 32 bits. */
  readonly fcnt: number;
  /** Number of the data rate. */
  readonly dataRate: number;
  /** dB, of the gateway that heard it best. */
  readonly bestSnr: number;
  readonly gatewayCount: number;
  /** Where another edge may have to serve the device: how it hears it since the first of the state's `adr.fcnts`. */
  readonly neighbour?: NeighbourMargin;
  readonly adr: boolean;
  readonly adrAckReq: boolean;
  /** Of FOpts, or of the payload of port 0. */
  readonly macCommands: readonly UplinkMacCommand[];
  /** End of the uplink; without it DeviceTimeReq is not answered. */
  readonly heardAtUnixMs?: number;
  /** Bytes that the next downlink has for answers: default 15, as in FOpts. */
  readonly maxAnswerBytes?: number;
}

/** Something to be asked of the device with the next downlink. */
export interface RequestMade {
  readonly type: 'request';
  readonly command: MacRequest;
}

export type MacEvent = UplinkHeard | RequestMade;

/** What is worth telling. */
export type MacNote =
  | { readonly type: 'accepted'; readonly command: MacRequest; readonly answer: UplinkMacCommand }
  | { readonly type: 'rejected'; readonly command: MacRequest; readonly answer: UplinkMacCommand }
  /** Never answered, though sent often enough. */
  | { readonly type: 'gaveUp'; readonly command: MacRequest }
  /** An answer to nothing that was asked. */
  | { readonly type: 'unexpected'; readonly command: UplinkMacCommand }
  /** A question that has no answer here. */
  | { readonly type: 'unanswered'; readonly command: UplinkMacCommand }
  /** The device has slowed down on its own. */
  | { readonly type: 'backedOff'; readonly from: number; readonly to: number }
  /** Not above the last counter: nothing was done. */
  | { readonly type: 'stale'; readonly fcnt: number };

export interface MacStep {
  readonly state: MacState;
  /** To be sent in the next downlink, once `state` is durable: they count as sent, and their answers change what is so. */
  readonly answers: readonly DownlinkMacCommand[];
  /** Whether the device waits for a downlink, even an empty one. */
  readonly mustAnswer: boolean;
  readonly notes: readonly MacNote[];
}

/** Downlinks that a request is put into before it is given up. */
export const MAX_ATTEMPTS = 5;
const FOPTS = 15;
/** What must not be given up is asked now and then only, once it was asked so often. */
const OFTEN = 4 * MAX_ATTEMPTS;
const MOST_ATTEMPTS = 255;
const isPaused = ({ attempts }: PendingRequest, fcnt: number): boolean =>
  attempts >= OFTEN && fcnt % 16 !== 0;

/** Repeated by the device in every uplink until it hears a downlink (LoRaWAN 1.0.4, 5.5, 5.8 and 5.10). */
const REPEATED: ReadonlySet<UplinkMacCommand['type']> = new Set([
  'rxParamSetupAns',
  'rxTimingSetupAns',
  'dlChannelAns',
]);
const QUESTIONS: ReadonlySet<UplinkMacCommand['type']> = new Set([
  'linkCheckReq',
  'deviceTimeReq',
  'pingSlotInfoReq',
  'beaconTimingReq',
]);

interface Draft {
  state: MacState;
  readonly answers: DownlinkMacCommand[];
  readonly notes: MacNote[];
}

function settle(
  plan: RegionPlan,
  draft: Draft,
  asked: PendingRequest,
  { fcnt, answer }: { readonly fcnt: number; readonly answer: UplinkMacCommand },
): void {
  const { command } = asked;
  const { state } = draft;
  const { sentAt = state.fcntUp ?? 0 } = asked;
  const others = state.rejected.filter((each) => keyOf(each.command) !== keyOf(command));
  const left = state.pending.filter((each) => each !== asked);
  const rest: MacState = { ...state, pending: left, spokenTo: true };
  if (isAccepted(answer)) {
    const before = former(state, command);
    const taken = { command, sentAt, fcnt, ...(before === undefined ? {} : { before }) };
    draft.state = withTaken(accepted({ ...rest, rejected: others }, command), taken);
    draft.notes.push({ type: 'accepted', command, answer });
    return;
  }
  const rejected = withRefused({ ...rest, rejected: [...others, { command, answer }] }, command);
  draft.state =
    command.type === 'linkADRReq' && answer.type === 'linkADRAns'
      ? narrowed(plan, rejected, command, answer)
      : rejected;
  draft.notes.push({ type: 'rejected', command, answer });
}

/** Several LinkADRAns answer one block of LinkADRReq: it was taken where all of them say so. */
function joined(commands: readonly UplinkMacCommand[]): readonly UplinkMacCommand[] {
  const block = commands.filter((command) => command.type === 'linkADRAns');
  if (block.length < 2) return commands;
  const all: UplinkMacCommand = {
    type: 'linkADRAns',
    powerAck: block.every((each) => each.powerAck),
    dataRateAck: block.every((each) => each.dataRateAck),
    channelMaskAck: block.every((each) => each.channelMaskAck),
  };
  const first = commands.findIndex(({ type }) => type === 'linkADRAns');
  const others = (each: UplinkMacCommand): boolean => each.type !== 'linkADRAns';
  return [...commands.slice(0, first), all, ...commands.slice(first).filter(others)];
}

function question(plan: RegionPlan, draft: Draft, uplink: UplinkHeard, command: UplinkMacCommand): void {
  const answer = answerTo(plan, uplink, command);
  if (answer === undefined) draft.notes.push({ type: 'unanswered', command });
  else if (!draft.answers.some(({ type }) => type === answer.type)) draft.answers.push(answer);
}

function takeCommand(plan: RegionPlan, draft: Draft, uplink: UplinkHeard, command: UplinkMacCommand): void {
  if (QUESTIONS.has(command.type)) {
    question(plan, draft, uplink, command);
    return;
  }
  if (command.type === 'devStatusAns') {
    const { battery, margin } = command;
    draft.state = { ...draft.state, devStatus: { battery, margin, fcnt: uplink.fcnt } };
  }
  if (command.type === 'linkADRAns')
    draft.state = { ...draft.state, adr: { ...draft.state.adr, silences: 0, notBefore: 0 } };
  const asked = draft.state.pending.find(
    (each) => each.inFlight && ANSWER_OF[each.command.type] === command.type,
  );
  if (asked !== undefined) settle(plan, draft, asked, { fcnt: uplink.fcnt, answer: command });
  // somebody else asked: whoever merges what both know has to be told that the device was heard to say so
  else if (REPEATED.has(command.type)) draft.state = { ...draft.state, spokenTo: true };
  else draft.notes.push({ type: 'unexpected', command });
}

/** What was in flight and is still unanswered goes once more, unless it went often enough or there is a newer one. */
function expire(draft: Draft): void {
  const { pending } = draft.state;
  const isReplaced = (one: PendingRequest): boolean =>
    pending.some((other) => !other.inFlight && keyOf(other.command) === keyOf(one.command));
  const kept: PendingRequest[] = [];
  for (const each of pending) {
    if (!each.inFlight) kept.push(each);
    else if (isReplaced(each)) continue;
    else if (each.attempts < MAX_ATTEMPTS || isUnsure(draft.state, each.command))
      kept.push({ ...each, inFlight: false });
    else draft.notes.push({ type: 'gaveUp', command: each.command });
  }
  const gaveUpAdr = draft.notes.some((note) => note.type === 'gaveUp' && note.command.type === 'linkADRReq');
  const adr = gaveUpAdr ? afterSilence(draft.state.adr, draft.state.fcntUp ?? 0) : draft.state.adr;
  draft.state = { ...draft.state, pending: kept, adr };
}

/** Fills the downlink with what waits, in its order. A repeated answer that comes again must never be taken for one to a
 * new request: those wait until the device has stopped repeating. */
function fill(draft: Draft, uplink: UplinkHeard): void {
  const heard = new Set(uplink.macCommands.map(({ type }) => type).filter((type) => REPEATED.has(type)));
  let room = uplink.maxAnswerBytes ?? FOPTS;
  const fits = draft.answers.filter((answer) => (room -= macCommandLength(answer)) >= 0);
  draft.answers.splice(0, draft.answers.length, ...fits);
  const pending = draft.state.pending.map((each) => {
    const length = macCommandLength(each.command);
    if (heard.has(ANSWER_OF[each.command.type]) || length > room || isPaused(each, uplink.fcnt)) return each;
    room -= length;
    draft.answers.push(each.command);
    const attempts = Math.min(each.attempts + 1, MOST_ATTEMPTS);
    return { ...each, attempts, inFlight: true, sentAt: uplink.fcnt };
  });
  const asks = pending.some((each, i) => each !== draft.state.pending[i]);
  draft.state = { ...draft.state, pending, ...(asks ? { spokenTo: true } : {}) };
}

function observe(draft: Draft, uplink: UplinkHeard): void {
  const { state, notes } = draft;
  const isFirst = state.fcntUp === null;
  let next: MacState = { ...state, fcntUp: uplink.fcnt };
  if (uplink.dataRate < state.dataRate && !isFirst) {
    notes.push({ type: 'backedOff', from: state.dataRate, to: uplink.dataRate });
    next = backedOff(next, uplink.dataRate);
  }
  draft.state = { ...next, dataRate: uplink.dataRate, adr: withUplink(next.adr, uplink) };
}

function adapt(plan: RegionPlan, draft: Draft, uplink: UplinkHeard): void {
  if (!uplink.adr || draft.state.pending.some(({ command }) => command.type === 'linkADRReq')) return;
  const command = adrRequest(plan, draft.state, uplink.neighbour);
  if (command !== undefined)
    draft.state = { ...draft.state, pending: withRequest(draft.state.pending, command) };
}

function hear(plan: RegionPlan, state: MacState, uplink: UplinkHeard): MacStep {
  if (state.fcntUp !== null && uplink.fcnt <= state.fcntUp)
    return { state, answers: [], mustAnswer: false, notes: [{ type: 'stale', fcnt: uplink.fcnt }] };
  const draft: Draft = { state, answers: [], notes: [] };
  // The answers first: after a LinkADRReq that was taken, another data rate is no backing off.
  for (const command of joined(uplink.macCommands)) takeCommand(plan, draft, uplink, command);
  observe(draft, uplink);
  expire(draft);
  adapt(plan, draft, uplink);
  fill(draft, uplink);
  const mustAnswer =
    uplink.adrAckReq ||
    draft.answers.length > 0 ||
    uplink.macCommands.some((command) => REPEATED.has(command.type));
  const next = mustAnswer ? withTry(draft.state) : draft.state;
  return { state: next, answers: draft.answers, mustAnswer, notes: draft.notes };
}

/**
 * What a network knows of a device's MAC layer after an uplink or a request, and what the next downlink has to carry.
 * @throws AntirioError invalidInput for a request that the region or the device's channels do not have.
 */
export function macStep(plan: RegionPlan, state: MacState, event: MacEvent): MacStep {
  if (event.type === 'uplink') return hear(plan, state, event);
  checkRequest(plan, state, event.command);
  const next = { ...state, pending: withRequest(state.pending, event.command) };
  return { state: next, answers: [], mustAnswer: false, notes: [] };
}
