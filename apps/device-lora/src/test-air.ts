import { expect } from '@jest/globals';
import { toHex } from '@antirio/kernel';
import { parseDataFrame } from '@antirio/lorawan';
import type { TestMote } from './test-mote.ts';

/** What went on air, in all lives of a service. */
export interface Air {
  readonly data: Uint8Array[];
  readonly accepts: { readonly bytes: Uint8Array; readonly devNonce: number }[];
}

/** No FCntDown with two contents, no DevNonce answered twice, no JoinNonce given twice. */
export function checkAir({ data, accepts }: Air, mote: TestMote): void {
  const used = new Map<string, string>();
  for (const bytes of data) {
    const { devAddr, fcnt16 } = parseDataFrame(bytes);
    const key = `${devAddr}/${fcnt16}`;
    // the same counter goes on air again with the same bytes only
    expect(used.get(key) ?? toHex(bytes)).toBe(toHex(bytes));
    used.set(key, toHex(bytes));
  }
  const devNonces = accepts.map(({ devNonce }) => devNonce);
  expect(new Set(devNonces).size).toBe(devNonces.length);
  const joinNonces = accepts.map(({ bytes, devNonce }) => mote.accept(bytes, devNonce)?.joinNonce);
  expect(joinNonces).not.toContain(undefined);
  expect(new Set(joinNonces).size).toBe(joinNonces.length);
}
