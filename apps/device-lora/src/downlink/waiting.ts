import { describeError } from '@antirio/kernel';
import type { DevAddr, DevEui } from '@antirio/lorawan';
import { gapOf, gapState } from '@antirio/service-contract';
import type { DeviceOptions } from '../options.ts';
import { counterRequestTopic, type DownCounters } from './counters.ts';
import { firstOf, MAX_ATTEMPTS } from './plan.ts';
import type { Reach } from './reach.ts';
import type { Downlink, DownlinkStore } from './store.ts';

export interface WaitingPorts {
  readonly store: Pick<DownlinkStore, 'open'>;
  readonly counters: Pick<DownCounters, 'gap' | 'unansweredSince'>;
  readonly reach: Pick<Reach, 'of'>;
  readonly prefix: string;
  /** The address that a device has now. */
  readonly devAddrOf: (devEui: DevEui) => DevAddr | undefined;
  /** Whether it was offered another session that it was not heard in yet. */
  readonly isRejoining: (devEui: DevEui) => boolean;
  /** @throws AntirioError where the service may not send now; `isEncrypted`: what was encrypted elsewhere. */
  readonly checkMaySend: (device: DeviceOptions, isEncrypted: boolean) => void;
}

function refusalOf(
  { checkMaySend }: WaitingPorts,
  device: DeviceOptions,
  { isEncrypted }: Downlink,
): string | undefined {
  try {
    checkMaySend(device, isEncrypted);
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}

function acknowledgementOf({ attempts, ackHeard }: Downlink): string {
  if (ackHeard)
    return 'the next uplink that comes while this edge acts: the device acknowledged a downlink, maybe one of another edge';
  const last = attempts >= MAX_ATTEMPTS ? '; without one it is given up' : '';
  return `the device's acknowledgement, in its next uplinks (on air ${attempts} of ${MAX_ATTEMPTS} times)${last}`;
}

function counterOf({ counters, prefix }: WaitingPorts, devAddr: DevAddr): string | undefined {
  const gap = counters.gap(devAddr);
  if (gap !== undefined && gapState(gap) === 'exhausted')
    return `downlinkExhausted: the device has not shown that it heard any of the last ${gapOf(gap)} counters; it is to get new keys`;
  const since = counters.unansweredSince(devAddr);
  if (since === undefined) return undefined;
  const when = new Date(since).toISOString();
  return `downlink counters: no answer of the arbitrator on ${counterRequestTopic(prefix)} since ${when}`;
}

/** What the first one of a device waits for before it goes on air. */
function turnOf(ports: WaitingPorts, device: DeviceOptions, { bytes, isEncrypted }: Downlink): string {
  const devAddr = ports.devAddrOf(device.devEui);
  if (devAddr === undefined) return 'the device to join';
  // one that has its bytes has its counter, and so has one that is encrypted for it
  const counter = bytes === undefined && !isEncrypted ? counterOf(ports, devAddr) : undefined;
  if (counter !== undefined) return counter;
  if (device.class === 'A') return 'the next uplink of the device, after which it listens';
  if (ports.isRejoining(device.devEui))
    return 'the first uplink of the new session that the device was given';
  return ports.reach.of(device.devEui).length === 0
    ? 'an uplink of the device, which tells by which gateway it is reached'
    : 'its turn at the gateway';
}

/** What a downlink that is not at its end waits for, to be read by people; undefined for others. */
export function waitsFor(ports: WaitingPorts, device: DeviceOptions, downlink: Downlink): string | undefined {
  const open = ports.store.open(device.devEui);
  if (open.every(({ id }) => id !== downlink.id)) return undefined;
  const refusal = refusalOf(ports, device, downlink);
  if (refusal !== undefined) return `leave to send: ${refusal}`;
  const underWay = open.find(({ bytes }) => bytes !== undefined) ?? firstOf(open);
  if (underWay !== undefined && underWay.id !== downlink.id)
    return `downlink ${underWay.id}, which goes first`;
  if (downlink.state === 'sent') return acknowledgementOf(downlink);
  return turnOf(ports, device, downlink);
}
