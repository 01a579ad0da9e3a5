// A device and its sessions, as tests have them: nothing was heard yet, and nothing is under way.
import { AntirioError } from '@antirio/kernel';
import {
  createFcntSet,
  createSessionCipher,
  parseDevAddr,
  parseDevEui,
  sessionFingerprint,
} from '@antirio/lorawan';
import { deviceLoraOptions, type DeviceLoraOptions, type DeviceOptions } from './options.ts';
import { createMarks } from './uplink/marks.ts';
import type { Session } from './uplink/sessions.ts';

export const devEui = parseDevEui('0102030405060708');
export const devAddr = parseDevAddr('01000001');

/** A service with this one device. */
export function oneDevice(
  change: object = {},
  prefix = '',
): { readonly options: DeviceLoraOptions; readonly device: DeviceOptions } {
  const devices = [{ devEui, name: 'mote-1', devAddr, ...change }];
  const options = deviceLoraOptions.parse({ dataDir: 'unused', prefix, devices });
  const [device] = options.devices;
  if (device === undefined) throw new AntirioError('internal', 'no device');
  return { options, device };
}

const keyOf = (byte: number): Uint8Array => new Uint8Array(16).fill(byte);

/** `keys`: the byte of which each is made; where that of the AppSKey is undefined there is none. */
export function sessionWith(
  device: DeviceOptions,
  keys: { readonly nwk?: number; readonly app?: number | undefined } = {},
): Session {
  const nwkSKey = keyOf(keys.nwk ?? 1);
  const app = 'app' in keys ? keys.app : 1;
  const appSKey = app === undefined ? {} : { appSKey: keyOf(app) };
  return {
    id: sessionFingerprint(nwkSKey, devAddr),
    device,
    devAddr,
    cipher: createSessionCipher({ nwkSKey, ...appSKey }),
    seen: createFcntSet(),
    digests: undefined,
    remembered: createMarks({ remembered: () => undefined }),
    underWay: undefined,
    standing: 'given',
    mac: undefined,
    macUnsaved: false,
  };
}
