import { describeError } from '@antirio/kernel';
import type { DevAddr, DevEui } from '@antirio/lorawan';
import type { DeviceOptions } from '../options.ts';
import { counterRequestTopic, type DownCounters } from './counters.ts';
import { MAX_ATTEMPTS } from './plan.ts';
import type { Downlink, DownlinkStore } from './store.ts';

export interface WaitingPorts {
  readonly store: Pick<DownlinkStore, 'open'>;
  readonly counters: Pick<DownCounters, 'unansweredSince'>;
  readonly prefix: string;
  /** The address that a device has now. */
  readonly devAddrOf: (devEui: DevEui) => DevAddr | undefined;
  /** @throws AntirioError where the service may not send now. */
  readonly checkMaySend: (device: DeviceOptions) => void;
}

function refusalOf({ checkMaySend }: WaitingPorts, device: DeviceOptions): string | undefined {
  try {
    checkMaySend(device);
    return undefined;
  } catch (error) {
    return describeError(error);
  }
}

function acknowledgementOf({ attempts }: Downlink): string {
  const last = attempts >= MAX_ATTEMPTS ? '; it is given up at the next uplink without one' : '';
  return `the device's acknowledgement, in its next uplinks (on air ${attempts} of ${MAX_ATTEMPTS} times)${last}`;
}

function counterOf({ counters, prefix }: WaitingPorts, devAddr: DevAddr): string | undefined {
  const since = counters.unansweredSince(devAddr);
  if (since === undefined) return undefined;
  const when = new Date(since).toISOString();
  return `downlink counters: no answer of the arbitrator on ${counterRequestTopic(prefix)} since ${when}`;
}

/** What a downlink that is not at its end waits for, to be read by people; undefined for others. */
export function waitsFor(ports: WaitingPorts, device: DeviceOptions, downlink: Downlink): string | undefined {
  const open = ports.store.open(device.devEui);
  if (open.every(({ id }) => id !== downlink.id)) return undefined;
  const refusal = refusalOf(ports, device);
  if (refusal !== undefined) return `leave to send: ${refusal}`;
  const underWay = open.find(({ bytes }) => bytes !== undefined) ?? open[0];
  if (underWay !== undefined && underWay.id !== downlink.id)
    return `downlink ${underWay.id}, which goes first`;
  if (downlink.state === 'sent') return acknowledgementOf(downlink);
  const devAddr = ports.devAddrOf(device.devEui);
  if (devAddr === undefined) return 'the device to join';
  // one that has its bytes has its counter
  const counter = downlink.bytes === undefined ? counterOf(ports, devAddr) : undefined;
  return counter ?? 'the next uplink of the device, after which it listens';
}
