import { AntirioError } from '@antirio/kernel';
import type { RegionPlan } from '../region/plan.ts';
import { backedOff } from './adr.ts';
import { accepted, withoutHistory } from './effects.ts';
import { isSameRequest, MOST_UNSURE, newestTaken } from './evidence.ts';
import { checkRequest, keyOf } from './requests.ts';
import {
  checkReception,
  type MacRequest,
  type MacState,
  type PendingRequest,
  type TakenRequest,
  type UnsureRequest,
} from './state.ts';

function checkChannels(plan: RegionPlan, { channels }: MacState): void {
  const { defaultChannels, maxChannels } = plan;
  const isMoved = defaultChannels.some(({ frequency }, i) => channels[i]?.frequency !== frequency);
  if (isMoved || channels.length > maxChannels)
    throw new AntirioError('corrupt', 'these are no channels of the region');
  for (const channel of channels) {
    if (channel === null) continue;
    const { frequency, downlinkFrequency = frequency, minDataRate, maxDataRate } = channel;
    const isHeard = [frequency, downlinkFrequency].every((hz) => plan.band(hz) !== undefined);
    if (!isHeard || minDataRate > maxDataRate || plan.dataRate(maxDataRate) === undefined)
      throw new AntirioError('corrupt', `no channel of the region: ${frequency} Hz`);
  }
}

/** That a state can be one of a device in the region, as what another network says of it has to be. @throws AntirioError corrupt */
export function checkInPlan(plan: RegionPlan, state: MacState): void {
  const { rx2, dataRate, txPower } = state;
  checkChannels(plan, state);
  const isSent = plan.dataRate(dataRate) !== undefined && plan.txPowers[txPower] !== undefined;
  if (!isSent || plan.band(rx2.frequency) === undefined)
    throw new AntirioError('corrupt', 'no data rate, power or frequency of the region');
  try {
    checkReception(plan, state);
  } catch (error) {
    throw new AntirioError('corrupt', 'no device of the region listens so', {}, error);
  }
}

/** Whether it may be asked once more of a device with these channels. */
function mayBeAsked(plan: RegionPlan, state: MacState, command: MacRequest): boolean {
  try {
    checkRequest(plan, state, command);
    return true;
  } catch {
    return false;
  }
}

/**
 * How far above what its own edge has heard a device's counter is believed to be on another's word alone: no uplink up to it is
 * answered, so that a word that is wrong must not silence a device for long.
 */
const BELIEVED_AHEAD = 16_384;
/** Nor can a network follow a device that it has heard before over more than the 16 bits that are in a frame. */
const FOLLOWED = 0x1_0000;

/** Their counter, as far as it is believed. @throws AntirioError corrupt */
function believedFcnt(own: MacState, theirs: MacState, heardUpTo: number | undefined): number | null {
  const heard = Math.max(own.fcntUp ?? -1, heardUpTo ?? -1);
  if (heard >= 0 && (theirs.fcntUp ?? -1) > heard + FOLLOWED)
    throw new AntirioError('corrupt', `its counter cannot be at ${theirs.fcntUp}: ${heard} was heard`);
  return theirs.fcntUp === null ? null : Math.min(theirs.fcntUp, heard + BELIEVED_AHEAD);
}

/** No device begins to count anew so often while another network serves it. */
const MOST_NEW_LIVES = 0x1_0000;

/**
 * Their state with that counter. What was answered or asked comes after what was sent before it: of an uplink that was not sent yet
 * nothing is believed, for all that the device says later would stand behind it.
 */
function inItsTime(theirs: MacState, fcntUp: number | null): MacState {
  const last = fcntUp ?? -1;
  const { taken, unsure, pending } = theirs;
  const atMost = <One extends { readonly sentAt: number }>(one: One): One => ({
    ...one,
    sentAt: Math.min(one.sentAt, Math.max(0, last)),
  });
  return {
    ...theirs,
    fcntUp,
    pending: pending.map((one) => {
      const { sentAt } = one;
      return sentAt === undefined ? one : atMost({ ...one, sentAt });
    }),
    ...(taken && { taken: taken.filter(({ sentAt, fcnt }) => sentAt <= fcnt && fcnt <= last) }),
    ...(unsure && { unsure: unsure.map(atMost) }),
  };
}

/** Of an uplink that can have been. */
function newestStatus(own: MacState, theirs: MacState, fcntUp: number | null): MacState['devStatus'] {
  const { fcnt } = theirs.devStatus ?? { fcnt: -1 };
  return fcnt >= (own.devStatus?.fcnt ?? -1) && fcnt <= (fcntUp ?? -1) ? theirs.devStatus : own.devStatus;
}

/** Whether the data rate was asked for, so that it is no sign of a device that went down by itself. */
const isDataRateAsked = ({ pending, unsure = [] }: MacState, dataRate: number): boolean =>
  [...pending.filter(({ inFlight }) => inFlight), ...unsure].some(
    ({ command }) => command.type === 'linkADRReq' && command.dataRate === dataRate,
  );

/** The device's data rate as it sent last: where it went down by itself, it went to its highest power before that. */
function withDataRate(merged: MacState, dataRate: number): MacState {
  return dataRate < merged.dataRate && !isDataRateAsked(merged, dataRate)
    ? backedOff(merged, dataRate)
    : { ...merged, dataRate };
}

/** What the device was told and asked is theirs: of a state that does not say what was taken when. */
function replaced(plan: RegionPlan, own: MacState, theirs: MacState): MacState {
  const { fcntUp } = theirs;
  const { madeWith: _made, devStatusAskedAt: _asked, spokenTo: _spoken, ...told } = theirs;
  const pending = theirs.pending.filter(({ command }) => mayBeAsked(plan, theirs, command));
  const { taken: _taken, unsure: _unsure, tries: _tries, ...before } = own;
  const merged: MacState = { ...before, ...told, pending };
  if (own.fcntUp === null || own.fcntUp <= (fcntUp ?? -1)) return merged;
  return { ...withDataRate(merged, own.dataRate), fcntUp: own.fcntUp };
}

/** A request that went out, as one of both knows it. */
interface Sent extends UnsureRequest {
  /** What the other has heard from the device since may hide whether it was taken: its downlinks end the repeating of answers. */
  readonly isHidden: boolean;
}

const sentAtOf = ({ sentAt, inFlight }: PendingRequest, { fcntUp }: MacState): number | undefined =>
  sentAt ?? (inFlight ? (fcntUp ?? 0) : undefined);

/** All that one side has sent and heard no answer to. */
function unanswered(mine: MacState, other: MacState): Sent[] {
  const sent = mine.pending.flatMap((each) => {
    const sentAt = sentAtOf(each, mine);
    if (sentAt === undefined) return [];
    return [{ command: each.command, sentAt, isHidden: (other.fcntUp ?? -1) > sentAt }];
  });
  return [...(mine.unsure ?? []).map((each) => ({ ...each, isHidden: true })), ...sent];
}

/** An answer names no request: what the other had sent in between, of which they did not know, may be meant by it. */
const isDoubtful = ({ command, sentAt, fcnt }: TakenRequest, others: readonly UnsureRequest[]): boolean =>
  others.some(
    (one) =>
      one.command.type === command.type &&
      one.sentAt > sentAt &&
      one.sentAt < fcnt &&
      !isSameRequest(one.command, command),
  );

/** Something newer of its kind was taken, or the same; or it was refused: the same is answered alike whoever asks. */
function isDecided(
  { command, sentAt }: UnsureRequest,
  taken: readonly TakenRequest[],
  rejected: MacState['rejected'],
): boolean {
  const isTaken = taken.some(
    (one) =>
      keyOf(one.command) === keyOf(command) &&
      (one.sentAt >= sentAt || (one.fcnt > sentAt && isSameRequest(one.command, command))),
  );
  return isTaken || rejected.some((one) => isSameRequest(one.command, command));
}

/** What of one side's the other's throws doubt upon, and what not. */
function judged(mine: MacState, other: MacState): { taken: TakenRequest[]; doubtful: TakenRequest[] } {
  const { taken: others = [] } = other;
  const between = [...unanswered(other, mine), ...others];
  const [sure, not] = [false, true].map((is) =>
    (mine.taken ?? []).filter((one) => isDoubtful(one, between) === is),
  );
  return { taken: sure ?? [], doubtful: not ?? [] };
}

/** What is known by all the device's answers, and, by when it was sent, what is not. */
function knownOf(
  own: MacState,
  theirs: MacState,
): { taken: TakenRequest[]; open: Sent[]; ownDoubtful: TakenRequest[] } {
  const [mine, others] = [judged(own, theirs), judged(theirs, own)];
  const taken = newestTaken([...mine.taken, ...others.taken]);
  const open = [
    ...unanswered(own, theirs).filter((one) => !isDecided(one, taken, theirs.rejected)),
    ...unanswered(theirs, own).filter((one) => !isDecided(one, taken, own.rejected)),
    ...[...mine.doubtful, ...others.doubtful]
      .filter((one) => !isDecided(one, taken, []))
      .map(({ command, sentAt }) => ({ command, sentAt, isHidden: true })),
  ];
  return { taken, ownDoubtful: mine.doubtful, open: open.toSorted((a, b) => a.sentAt - b.sentAt) };
}

/** The newest of each kind is asked again; what it may hide stays possible until the device has answered. */
function withOpenRequests(
  plan: RegionPlan,
  merged: MacState,
  [own, theirs]: readonly [MacState, MacState],
  sent: readonly Sent[],
): MacState {
  const open = sent.filter(({ command }) => mayBeAsked(plan, merged, command));
  const newest = new Map(open.map((one) => [keyOf(one.command), one]));
  const waiting = [...theirs.pending, ...own.pending].filter(
    (each) => sentAtOf(each, merged) === undefined && mayBeAsked(plan, merged, each.command),
  );
  const known = [...theirs.pending, ...own.pending];
  const asked = [...newest.values()].map(({ command, sentAt, isHidden }): PendingRequest => {
    // an answer that is still repeated is the last one's of its type
    const isLast = ![...open, ...(merged.taken ?? [])].some(
      (one) => one.command.type === command.type && one.sentAt > sentAt,
    );
    const inFlight = isLast && known.some((each) => each.inFlight && isSameRequest(each.command, command));
    return { command, attempts: isHidden ? 0 : 1, inFlight, sentAt };
  });
  // what somebody is about to ask is asked in place of what went before it
  const wished = new Map(waiting.map((each) => [keyOf(each.command), each]));
  const pending = [
    ...asked.filter(({ command, inFlight }) => inFlight || !wished.has(keyOf(command))),
    ...wished.values(),
  ];
  const unsure = open
    .filter((one) => one.isHidden || newest.get(keyOf(one.command)) !== one)
    .filter((one, i, all) => all.findLastIndex((other) => isSameRequest(other.command, one.command)) === i)
    .map(({ command, sentAt }) => ({ command, sentAt }))
    .slice(-MOST_UNSURE);
  return { ...merged, pending, ...(unsure.length === 0 ? {} : { unsure, tries: 0 }) };
}

/** What the device said no to, as whoever heard it last knows. */
function rejectedOf(own: MacState, theirs: MacState): MacState['rejected'] {
  const heard = new Set([...theirs.rejected, ...(theirs.taken ?? [])].map(({ command }) => keyOf(command)));
  return [...theirs.rejected, ...own.rejected.filter(({ command }) => !heard.has(keyOf(command)))];
}

/** Both know some of what the device answered: all of that in its order, on what was known here. */
function united(plan: RegionPlan, own: MacState, theirs: MacState): MacState {
  const { taken, open, ownDoubtful } = knownOf(own, theirs);
  const { unsure: _unsure, tries: _tries, taken: _taken, ...before } = own;
  const base = { ...before, rejected: rejectedOf(own, theirs), ...(taken.length === 0 ? {} : { taken }) };
  const undone = ownDoubtful.toReversed().flatMap((one) => one.before ?? []);
  const told = [...undone, ...taken.map(({ command }) => command)].reduce<MacState>(
    (state, command) => (mayBeAsked(plan, state, command) ? accepted(state, command) : state),
    base,
  );
  const asked = withOpenRequests(plan, told, [own, theirs], open);
  const isTheirs = (theirs.fcntUp ?? -1) > (own.fcntUp ?? -1);
  const last = isTheirs ? theirs : own;
  return { ...withDataRate(asked, last.dataRate), fcntUp: last.fcntUp };
}

const sendsAlike = (one: MacState, other: MacState): boolean =>
  one.txPower === other.txPower &&
  one.nbTrans === other.nbTrans &&
  one.dataRate === other.dataRate &&
  JSON.stringify(one.channels) === JSON.stringify(other.channels);

/** Whether they began from an older state than the one that is known here: something was told to the device of which they did not know. */
export const isBehind = (own: MacState, theirs: MacState): boolean =>
  theirs.number !== undefined && theirs.number < (own.number ?? 0);

/**
 * What is so of a device that several networks have served, one at a time, each from some earlier state of another's: each setting is
 * as the last answer of the device says, whoever heard it, by the FCntUp that it came with. So it does not matter in which order states
 * are merged, how old the one was that somebody began from, or how late they come; the same again changes nothing. What was sent and
 * answered to nobody stays in flight where nobody has heard the device since, and its next uplink decides; else both outcomes stand
 * (`unsure`) until it has answered the same asked again. What the device showed by its uplinks is of whoever heard the one with the
 * highest counter, theirs up to 16,384 above what was heard here (`heardUpTo`, the session's highest FCnt). Class, version and rate
 * adaptation are our own. A state without a number (from before there were any) stands in ours' place instead.
 * @throws AntirioError corrupt for a state that is none of the region, or whose counter, or count of lives, is more than 16 bits away
 */
export function broughtHome(plan: RegionPlan, own: MacState, theirs: MacState, heardUpTo?: number): MacState {
  checkInPlan(plan, theirs);
  const fcntUp = believedFcnt(own, theirs, heardUpTo);
  const known = inItsTime(theirs, fcntUp);
  const lives = [own, theirs].map(({ lives: begun = 0 }) => begun) as [number, number];
  if (lives[1] > lives[0] + MOST_NEW_LIVES)
    throw new AntirioError(
      'corrupt',
      `it cannot have begun to count anew ${lives[1]} times: ${lives[0]} are known`,
    );
  // of a count that the device has left
  if (theirs.number !== undefined && lives[1] < lives[0]) return own;
  const isWhole = theirs.number === undefined || lives[1] > lives[0];
  const merged = isWhole ? replaced(plan, own, known) : united(plan, own, known);
  const { macVersion, class: deviceClass, number } = own;
  const home: MacState = {
    ...merged,
    ...{ macVersion, class: deviceClass, devStatus: newestStatus(own, theirs, fcntUp) },
    ...(number === undefined ? {} : { number }),
    adr: sendsAlike(merged, own) ? own.adr : withoutHistory(own.adr),
  };
  return home;
}
