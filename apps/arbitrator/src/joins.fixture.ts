// What tests of joins under contracts share: a device that joins, and terms that give its root key.
import { createAes128, toBase64, utf8 } from '@antirio/kernel';
import { buildJoinAccept, devAddrOf, parseAppKey } from '@antirio/lorawan';
import type { ContractTerms } from '@antirio/service-contract';
import type { AiredJoin } from './join-records.ts';
import { terms as common } from './escrow.fixture.ts';

export const devEui = '00000000000000aa';
export const rootKey = { devEui, appKey: '5a'.repeat(16) };
const appKey = parseAppKey(rootKey.appKey);
export const range = { first: '02000000', last: '0200ffff' };
export const terms: ContractTerms = {
  ...common,
  confidentiality: 'process',
  devAddrRange: range,
  rootKeys: true,
};

export function joinRequestOf(devNonce: number, key = appKey): string {
  const bytes = new Uint8Array(23);
  bytes.set([0xaa], 9);
  bytes.set([devNonce & 0xff, devNonce >> 8], 17);
  bytes.set(createAes128(key).cmac(bytes.subarray(0, 19)).subarray(0, 4), 19);
  return toBase64(bytes);
}

/** The `n`th join of the device, with an address in the range. */
export function airedJoin(n: number, devAddr = 0x0200_0000 + n): AiredJoin {
  const fields = { joinNonce: 15 + n, netId: 0, devAddr: devAddrOf(devAddr), rxDelay: 1 };
  const joinAccept = buildJoinAccept(appKey, { ...fields, dlSettings: { rx1DrOffset: 0, rx2DataRate: 0 } });
  return { n, epoch: 3, at: 5, joinRequest: joinRequestOf(n), joinAccept: toBase64(joinAccept) };
}

export const bytesOf = (json: object): Uint8Array => utf8(JSON.stringify(json));
