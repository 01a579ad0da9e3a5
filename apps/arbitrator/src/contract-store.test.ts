import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { generateIdentity, parseEdgeId } from '@antirio/kernel';
import { contractTerms } from '@antirio/service-contract';
import { openContractStore, type Note } from './contract-store.ts';

const edge = () => parseEdgeId(generateIdentity().edgeId);
const terms = contractTerms.parse({
  version: 1,
  contractId: '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f',
  ...{ customer: edge(), provider: edge(), central: edge() },
  set: { setId: 'bridge', service: 'lora', devices: [{ devEui: '00000000000000aa', devAddr: '0000000a' }] },
  image: { imageName: 'lora', imageCid: 'a', configCid: 'b' },
  ...{ confidentiality: 'process', opening: 'witnessed', standby: 'hot' },
  stakes: { customer: 1, provider: 1 },
  slots: { customer: 0, provider: 1 },
  expiresAt: 1,
});
const note = (milestone: string): Note => ({ at: 1, monotonic: 2, milestone, detail: {} });
let folder = '';
const open = () => openContractStore(join(folder, 'contracts.db'));

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'contracts-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

test('a phase and the notes that come with it are kept together, or not at all', () => {
  const store = open();
  const { contractId } = terms;
  store.put({ terms, role: 'provider', signatures: {}, phase: { at: 'ready' } });
  store.setPhase(contractId, { at: 'reading', from: 1 }, [note('opened')]);
  const unwritable = { ...note('lost'), detail: { n: 1n } };
  expect(() => store.setPhase(contractId, { at: 'ended' }, [note('ended'), unwritable])).toThrow(TypeError);
  store.close();

  const again = open();
  expect(again.get(contractId)?.phase).toEqual({ at: 'reading', from: 1 });
  expect(again.notes(contractId).map(({ milestone }) => milestone)).toEqual(['opened']);
  again.close();
});

test('older versions of a document go, and nothing else', () => {
  const store = open();
  const { contractId } = terms;
  const names = ['keys', 'keys/1', 'keys/9', 'keys/10', 'keys/11', 'keys/2/drill', 'keysSince', 'other/1'];
  for (const name of names) store.putDocument(contractId, name, name);
  store.putDocument('another', 'keys/1', 1);
  store.forgetVersions(contractId, 'keys', 10);
  const left = names.filter((name) => store.document(contractId, name) !== undefined);
  expect(left).toEqual(names.filter((name) => name !== 'keys/1' && name !== 'keys/9'));
  expect(store.document('another', 'keys/1')).toBe(1);
  store.close();
});
