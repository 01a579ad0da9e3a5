import { expect, test } from '@jest/globals';
import { generateIdentity, openIdentity, signDocument, utf8 } from '@antirio/kernel';
import { RING_ROOT_KIND, payload } from '@antirio/ledger-machine';
import type { CallArgs } from '@antirio/service-contract';
import { beatEvidence, beatIn } from './beat-evidence.ts';
import { arrivalOf } from './datagram-arrival.ts';
import { performCall, type CallDependencies } from './party-calls.ts';

const [ada, ben] = [openIdentity(generateIdentity()), openIdentity(generateIdentity())];
const contractId = '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f';
const terms = { contractId, customer: ada.edgeId, provider: ben.edgeId };
const KIND = 'antirio/datagram/beat';

function shown(signer = ada, gateways = 0) {
  const ages = Array.from({ length: gateways }, (_, i) => ({ id: `${i}`.padEnd(16, 'f'), heardMsAgo: 9999 }));
  const body = {
    ...{ contractId, epoch: 3, bootId: 'ab'.repeat(8), sequence: 41, echo: 'cd'.repeat(8), clock: 1.5 },
    ...{ storeOk: true, leaseLeftMs: 0, ...(gateways === 0 ? {} : { gateways: ages }) },
  };
  const envelope = { to: ben.edgeId, boot: '00'.repeat(8), seq: 7, body };
  const { signature } = signDocument(signer, KIND, envelope);
  return { signed: { kind: KIND, by: signer.edgeId, body: envelope, signature }, msAgo: 700 } as const;
}

test('the ledger takes a beat among the evidence of an opening, and it is told from there in plain words', () => {
  const about = { contractId, root: 'ab'.repeat(32), count: 3, through: 3 };
  const root = { ...signDocument(ben, RING_ROOT_KIND, about), kind: RING_ROOT_KIND };
  const given = { lastSequence: 41, ...beatEvidence(shown(ada, 8), terms) };
  const tx = payload.parse({ type: 'contract/open', contractId, root, keyVersion: 1, evidence: given });
  const { evidence } = tx as { evidence: Record<string, unknown> };
  expect(evidence).toEqual(given);
  expect(beatIn(evidence, terms)).toEqual({
    ...{ isGenuine: true, bootId: 'ab'.repeat(8), sequence: 41, epoch: 3, msAgo: 700 },
  });
  const changed = String(evidence['beat']).replace('"sequence":41', '"sequence":42');
  expect(beatIn({ ...evidence, beat: changed }, terms)).toMatchObject({ isGenuine: false, sequence: 42 });
  expect(beatIn({ ...evidence, beat: 'nonsense' }, terms)).toEqual({ isGenuine: false, msAgo: 700 });
  // an opening of before, or by a provider that had heard none
  expect(beatIn({ lastSequence: 41 }, terms)).toBeUndefined();
  expect(beatEvidence(undefined, terms)).toEqual({});
});

test('a beat of another customer or contract is refused in words', () => {
  expect(() => beatEvidence(shown(ben), terms)).toThrow(/not the customer/);
  expect(() => beatEvidence(shown(), { ...terms, contractId: 'another' })).toThrow(/another contract/);
  const { signed, msAgo } = shown();
  const long = { ...signed, body: { ...signed.body, to: 'x'.repeat(1024) } };
  expect(() => beatEvidence({ signed: long, msAgo }, terms)).toThrow(/longer/);
});

test('what edge2edge says of a beat’s signature comes to the machine with it', () => {
  const { body, signature } = shown().signed;
  const { body: beat, ...envelope } = body;
  const message = { from: ada.edgeId, kind: 'beat', body: beat, receivedAt: 5 };
  const arrived = (more: object) => arrivalOf('beat', utf8(JSON.stringify({ ...message, ...more })));
  const proof = { ...envelope, signature };
  const arrival = { type: 'datagram', from: ada.edgeId, datagram: { kind: 'beat', body: beat } };
  expect(arrived({ proof })).toEqual({ ...arrival, proof });
  expect(arrived({})).toEqual(arrival);
});

test('a provider asks a centre of before, which knows no such evidence, without it', async () => {
  const bodies: object[] = [];
  const edge2edge = {
    call: async ({ json }: { json: object }) => {
      bodies.push(json);
      const refused = 'beat' in json;
      const answer = refused
        ? { error: { code: 'invalidInput', message: 'beat' } }
        : { refused: 'leaseRuns' };
      return { status: refused ? 400 : 200, headers: {}, body: Buffer.from('{}'), json: () => answer };
    },
    close: () => undefined,
  };
  const deps = {
    ...{ terms, identity: ben, peers: { edge2edge }, given: () => undefined },
    rooms: {
      ring: async () => ({ next: 4 }),
      ringRoot: async () => ({ root: 'ab'.repeat(32), count: 3 }),
    },
  } as unknown as CallDependencies;
  const evidence = { lastBeatMsAgo: 700, lastSequence: 41, probesUnanswered: 8, witness: 'dead' } as const;
  const asking = (beat: object): CallArgs => ({
    method: 'open',
    args: { contractId, from: 1, evidence, ...beat },
  });
  expect(await performCall(deps, asking({ beat: shown() }))).toMatchObject({ code: 'leaseRuns' });
  expect(bodies.map((body) => 'beat' in body)).toEqual([true, false]);
  await performCall(deps, asking({}));
  expect(bodies).toHaveLength(3);
});
