import { expect, test } from '@jest/globals';
import type { HttpCall, HttpPeer } from '@antirio/host';
import { generateIdentity, openIdentity } from '@antirio/kernel';
import type { ContractTerms } from '@antirio/service-contract';
import { secrets, secretsFor } from './sealed-keys.ts';
import { leavesNothing } from './volume-phases.ts';
import { takeVolumesHome, volumeKeyIn, volumeRoot, volumesAtHome } from './volumes.ts';

const contractId = '6a6e5df8-14ab-4f2c-b6f2-2b1d0c4e9a01';
const volumes = { maxBytes: 8192, everyS: 10 };
const terms = {
  contractId,
  volumes,
  confidentiality: 'process',
  set: { devices: [] },
} as unknown as ContractTerms;
const stated = { cid: 'bafy', size: 12 };

function orchestrator(answer: object): { readonly peer: HttpPeer; readonly calls: HttpCall[] } {
  const calls: HttpCall[] = [];
  const peer: HttpPeer = {
    async call(call) {
      calls.push(call);
      return { status: 200, headers: {}, body: Buffer.from(JSON.stringify(answer)), json: () => answer };
    },
    close: () => undefined,
  };
  return { peer, calls };
}

test('the root of all keys is made once, kept sealed, and is another for each edge', () => {
  const identity = openIdentity(generateIdentity());
  const documents = new Map<string, unknown>();
  const store = {
    document: (owner: string, name: string) => documents.get(`${owner}/${name}`),
    putDocument: (owner: string, name: string, value: unknown) =>
      void documents.set(`${owner}/${name}`, value),
  };
  let drawn = 0;
  const random = { bytes: (length: number) => new Uint8Array(length).fill(++drawn) };
  const root = volumeRoot(store, identity, random)();
  expect(volumeRoot(store, identity, random)()).toBe(root);
  expect(root).toHaveLength(64);
  expect(JSON.stringify([...documents.values()])).not.toContain(root);
});

test('a provider gets one version’s key of one contract, and only who may process any', () => {
  const own = secrets.parse({ keyVersion: 3, volumes: { key: '11'.repeat(32) } });
  const given = secretsFor(terms, own);
  expect(given.volumes?.key).toHaveLength(64);
  expect(given.volumes).not.toEqual(own.volumes);
  expect(secretsFor(terms, { ...own, keyVersion: 4 }).volumes).not.toEqual(given.volumes);
  expect(volumeKeyIn(given)).toEqual({ volumeKey: { version: 3, key: given.volumes?.key } });
  expect(secretsFor({ ...terms, confidentiality: 'forward' }, own).volumes).toBeUndefined();
  expect(secretsFor({ ...terms, volumes: undefined }, own).volumes).toBeUndefined();
});

test('both sides state what went home; a contract without volumes, or keys for them, waits for nothing', async () => {
  const { peer, calls } = orchestrator({ state: 'restored', volumes: stated });
  const keys = secretsFor(terms, secrets.parse({ volumes: { key: '11'.repeat(32) } }));
  expect(await takeVolumesHome(peer, terms, 2, keys)).toEqual({ volumes: stated });
  expect(calls[0]?.json).toMatchObject({ epoch: 2, volumeKey: { version: 1 } });
  expect(await volumesAtHome(peer, terms, 2)).toEqual({ volumes: stated });
  for (const other of [{ volumes: undefined }, { confidentiality: 'forward' as const }]) {
    expect(await takeVolumesHome(peer, { ...terms, ...other }, 2, keys)).toEqual({});
    expect(await volumesAtHome(peer, { ...terms, ...other }, 2)).toEqual({});
  }
  expect(calls).toHaveLength(2);
  const waiting = orchestrator({ state: 'waits' });
  await expect(volumesAtHome(waiting.peer, terms, 2)).rejects.toMatchObject({ code: 'unavailable' });
  expect(await volumesAtHome(orchestrator({ state: 'refused' }).peer, terms, 2)).toEqual({});
});

test('a provider’s service leaves nothing where it stands by with nothing to hand back', () => {
  const leaving = [
    'ready',
    'opening',
    'reading',
    'active',
    'releasing',
    'released',
    'stating',
    'stated',
  ].filter((at) => leavesNothing({ at }));
  expect(leaving).toEqual(['ready', 'stated']);
});
