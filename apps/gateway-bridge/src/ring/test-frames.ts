import { createSessionCipher, parseDevAddr, type DevAddr } from '@antirio/lorawan';
import { RADIO } from '../frame.ts';
import type { StoredFrame } from './record.ts';
import type { RingSettings } from './ring.ts';

const cipher = createSessionCipher({ nwkSKey: new Uint8Array(16).fill(1) });
export const ONE = parseDevAddr('01000001');
export const TWO = parseDevAddr('01000002');
const rx = {
  tmst: 7,
  frequency: 868_100_000,
  spreadingFactor: 7,
  bandwidth: 125_000,
  codeRate: '4/5',
  rssi: -60,
  snr: 5,
  channel: 1,
  rfChain: 0,
  crcOk: true,
};

/** A frame as a gateway heard it, for tests. */
export const uplink = (devAddr: DevAddr, fcnt: number): StoredFrame => ({
  gatewayId: '00000000aabbccdd',
  phyPayload: cipher.build({ direction: 'up', confirmed: false, devAddr, fcnt }),
  rx,
  receivedAt: 1000,
  via: RADIO,
});

export const settings: RingSettings = {
  devEuis: [],
  devAddrs: [ONE],
  budgetBytes: 1 << 20,
  prefix: '',
  deliver: false,
  retainS: 60,
};
