import {
  addEventRequestToJson,
  newAddEventRequest,
  stringifyJson,
  type DeviceProfile,
} from '@antirio/edgex-contracts';
import { concatBytes, millisToOrigin, sha256, toHex } from '@antirio/kernel';
import { eventIdOf, type DevAddr, type SessionId } from '@antirio/lorawan';
import type { NorthEvent } from '../north/event.ts';
import { readingsOf, type Decoded } from '../north/readings.ts';
import type { DeviceOptions } from '../options.ts';
import type { UpEvent } from './event.ts';
import { readingsOfObject } from './object-readings.ts';

/** An uplink of ChirpStack's with whose it is. */
export interface KnownUp {
  readonly device: DeviceOptions;
  readonly up: UpEvent;
  readonly devAddr: DevAddr;
  readonly session: SessionId;
  /** Wall ms. */
  readonly receivedAt: number;
}

/** What is compared where a counter comes again: ChirpStack does not tell the frame itself. */
export function digestOf({ fPort, data }: UpEvent): string {
  return toHex(sha256(concatBytes(Uint8Array.of(fPort ?? 0), data)).subarray(0, 16));
}

/** The id of the reading: the one that our own reader of the same frame gives it. */
export function idOf({ device, up, session }: KnownUp): string {
  const identity = { devEui: device.devEui, session, fcnt: up.fcnt };
  return eventIdOf(device.mayReset ? { ...identity, mic: up.unique } : identity);
}

function decode({ device, up, receivedAt }: KnownUp, profile: DeviceProfile | undefined): Decoded {
  const origin = millisToOrigin(receivedAt);
  const base = { origin, deviceName: device.name, profileName: device.profileName };
  // our own codecs read the bytes, so that the reading is the same whoever hears the frame
  return device.codec === 'chirpStack'
    ? readingsOfObject(base, profile, up.data, up.object)
    : readingsOf(device, profile, up.data, origin, up.fPort !== 0);
}

/** The event of an uplink that ChirpStack told of. */
export function eventOfUp(
  serviceName: string,
  profile: DeviceProfile | undefined,
  known: KnownUp,
): NorthEvent {
  const { device, up, devAddr, session, receivedAt } = known;
  const { sourceName, readings, undecodable } = decode(known, profile);
  const [best] = up.receptions;
  const id = idOf(known);
  const tags = {
    ...{ devEUI: device.devEui, devAddr, fCnt: up.fcnt, session },
    ...(up.fPort === undefined ? {} : { fPort: up.fPort }),
    ...(best === undefined ? {} : { gatewayId: best.gatewayId, rssi: best.rssi, snr: best.snr }),
    rxInfo: up.receptions,
    via: 'chirpstack',
    ...(up.deduplicationId === undefined ? {} : { deduplicationId: up.deduplicationId }),
  };
  const { name: deviceName, profileName } = device;
  const origin = millisToOrigin(receivedAt);
  const request = newAddEventRequest({ id, deviceName, profileName, sourceName, origin, readings, tags });
  const path = [serviceName, profileName, deviceName, sourceName].map(encodeURIComponent).join('/');
  const body = stringifyJson(addEventRequestToJson(request));
  return { id, path: `/api/v3/event/${path}`, body, readings, undecodable };
}
