import { AntirioError } from '@antirio/kernel';
import type { RegionPlan } from '../region/plan.ts';
import { backedOff } from './adr.ts';
import { withoutHistory } from './effects.ts';
import { checkRequest } from './requests.ts';
import { checkReception, type MacRequest, type MacState } from './state.ts';

/** Requests that move the windows in which a device listens. */
const MOVES_WINDOWS: ReadonlySet<MacRequest['type']> = new Set([
  'rxParamSetupReq',
  'rxTimingSetupReq',
  'dlChannelReq',
]);

/**
 * Whether the device may listen otherwise than the state says: it was asked to and has not answered yet. Its next uplink decides,
 * for these answers are repeated until it hears a downlink.
 */
export function isListeningOpen({ pending }: MacState): boolean {
  return pending.some(({ command, inFlight }) => inFlight && MOVES_WINDOWS.has(command.type));
}

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

/** Of an uplink that can have been. */
function newestStatus(own: MacState, theirs: MacState, fcntUp: number | null): MacState['devStatus'] {
  const { fcnt } = theirs.devStatus ?? { fcnt: -1 };
  return fcnt >= (own.devStatus?.fcnt ?? -1) && fcnt <= (fcntUp ?? -1) ? theirs.devStatus : own.devStatus;
}

/** The device's data rate as it sent last: where it went down by itself, it went to its highest power before that. */
function withNewest(merged: MacState, own: MacState): MacState {
  if (own.fcntUp === null || own.fcntUp <= (merged.fcntUp ?? -1)) return merged;
  const { dataRate } = own;
  const isAsked = merged.pending.some(
    ({ command, inFlight }) => inFlight && command.type === 'linkADRReq' && command.dataRate === dataRate,
  );
  const sent = dataRate < merged.dataRate && !isAsked ? backedOff(merged, dataRate) : { ...merged, dataRate };
  return { ...sent, fcntUp: own.fcntUp };
}

const sendsAlike = (one: MacState, other: MacState): boolean =>
  one.txPower === other.txPower &&
  one.nbTrans === other.nbTrans &&
  JSON.stringify(one.channels) === JSON.stringify(other.channels);

/**
 * What is so of a device that another network has served in our place, under a later epoch than ours: what the device was told, and
 * what it was asked, is theirs, for nobody else spoke to it meanwhile; what it showed by its uplinks is of whoever heard the one with
 * the highest counter, theirs up to 16,384 above what was heard here (`heardUpTo`, the session's highest FCnt). The rate adaptation
 * goes on as our own: what the device says no to it says again. What they asked without an answer stays asked and in flight, so that both outcomes stand until the next
 * uplink decides, or the request goes once more (a device answers the same one twice alike).
 * @throws AntirioError corrupt for a state that is none of the region, or whose counter is more than 16 bits away
 */
export function broughtHome(plan: RegionPlan, own: MacState, theirs: MacState, heardUpTo?: number): MacState {
  checkInPlan(plan, theirs);
  const { macVersion, class: deviceClass, madeWith, devStatusAskedAt } = own;
  const fcntUp = believedFcnt(own, theirs, heardUpTo);
  const { madeWith: _made, devStatusAskedAt: _asked, ...told } = theirs;
  const merged: MacState = {
    ...told,
    ...{ macVersion, class: deviceClass, fcntUp, devStatus: newestStatus(own, theirs, fcntUp) },
    pending: theirs.pending.filter(({ command }) => mayBeAsked(plan, theirs, command)),
    ...(madeWith === undefined ? {} : { madeWith }),
    ...(devStatusAskedAt === undefined ? {} : { devStatusAskedAt }),
    adr: own.adr,
  };
  const newest = withNewest(merged, own);
  const isAlike = sendsAlike(newest, own) && newest.dataRate === own.dataRate;
  return isAlike ? newest : { ...newest, adr: withoutHistory(newest.adr) };
}
