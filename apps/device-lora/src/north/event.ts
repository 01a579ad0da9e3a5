import {
  addEventRequestToJson,
  newAddEventRequest,
  stringifyJson,
  type DeviceProfile,
  type Reading,
} from '@antirio/edgex-contracts';
import { millisToOrigin, toBase64 } from '@antirio/kernel';
import { eventIdOf } from '@antirio/lorawan';
import type { HeardUplink } from '../uplink/reader.ts';
import { readingsOf } from './readings.ts';

/** An event ready to be sent to core-data. */
export interface NorthEvent {
  readonly id: string;
  readonly path: string;
  /** JSON of an AddEventRequest. */
  readonly body: string;
  readonly readings: readonly Reading[];
  readonly undecodable: boolean;
}

/** The event of a genuine uplink: the same id on every edge, and the frame itself in the tags. */
export function eventOf(
  serviceName: string,
  profile: DeviceProfile | undefined,
  { session, frame, fcnt, uplink, receptions }: HeardUplink,
): NorthEvent {
  const { device, cipher } = session;
  const isClear = cipher.readsPayload || frame.fPort === 0;
  const payload = isClear ? cipher.decrypt(frame, fcnt) : frame.frmPayload;
  const origin = millisToOrigin(uplink.receivedAt);
  const decoded = readingsOf(device, profile, payload, origin, isClear && frame.fPort !== 0);
  const identity = { devEui: device.devEui, session: session.id, fcnt };
  const id = eventIdOf(device.mayReset ? { ...identity, mic: frame.mic } : identity);
  const tags = {
    devEUI: device.devEui,
    devAddr: session.devAddr,
    fCnt: fcnt,
    session: session.id,
    ...(frame.fPort === undefined ? {} : { fPort: frame.fPort }),
    gatewayId: uplink.gatewayId,
    rssi: uplink.rssi,
    snr: uplink.snr,
    rxInfo: receptions.map(({ gatewayId, rssi, snr }) => ({ gatewayId, rssi, snr })),
    via: uplink.via,
    phyPayload: toBase64(frame.phyPayload),
  };
  const { name: deviceName, profileName } = device;
  const { sourceName, readings, undecodable } = decoded;
  const request = newAddEventRequest({ id, deviceName, profileName, sourceName, origin, readings, tags });
  const path = [serviceName, profileName, deviceName, sourceName].map(encodeURIComponent).join('/');
  return {
    id,
    path: `/api/v3/event/${path}`,
    body: stringifyJson(addEventRequestToJson(request)),
    readings,
    undecodable,
  };
}
