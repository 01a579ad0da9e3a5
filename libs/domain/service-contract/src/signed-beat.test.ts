import { expect, test } from '@jest/globals';
import { generateIdentity, openIdentity, signDocument } from '@antirio/kernel';
import { driveProvider, newEdge, terms as plain, tick } from './contract.fixture.ts';
import { currentNonce } from './detector.ts';
import { shownBeat, type Beat, type DatagramProof } from './messages.ts';
import type { PartyEvent } from './party.ts';
import { createProvider, type ProviderState } from './provider-state.ts';
import { beatProblem } from './signed-beat.ts';

const ada = openIdentity(generateIdentity());
const terms = { ...plain, customer: ada.edgeId };
const { contractId, provider } = terms;
const evidence = { lastBeatMsAgo: 700, lastSequence: 2, probesUnanswered: 8, witness: 'dead' } as const;

function beatOf(state: ProviderState, sequence: number): Beat {
  const echo = currentNonce(state.watch.detector);
  const about = { contractId, epoch: 1, bootId: 'boot-a', sequence, echo, clock: 5 };
  return { ...about, storeOk: true, leaseLeftMs: 900 };
}

/** As edge2edge hands it on. */
function proofOf(body: Beat, signer = ada): DatagramProof {
  const envelope = { to: provider, boot: '00'.repeat(8), seq: 7 };
  const { signature } = signDocument(signer, 'antirio/datagram/beat', { ...envelope, body });
  return { ...envelope, signature };
}

function arrival(body: Beat, proof: DatagramProof | undefined = proofOf(body)): PartyEvent {
  const datagram = { kind: 'beat', body } as const;
  return { type: 'datagram', from: ada.edgeId, datagram, proof };
}

/** What is shown with the demand for the keys at that time. */
function shownAt(state: ProviderState, now: number) {
  const opening = { ...state, phase: { at: 'opening', from: 3, evidence } } as const;
  const { effects } = driveProvider(opening, tick, now);
  const open = effects.find((one) => one.type === 'call' && one.method === 'open');
  if (open?.type !== 'call') throw new TypeError('the keys are not asked for');
  return open.args.beat;
}

test('the customer’s last signed beat that counted goes with the demand for its keys', () => {
  const start = createProvider(terms, { at: 'ready' }, 'boot-b', 0);
  let { state } = driveProvider(start, arrival(beatOf(start, 1)), 100);
  ({ state } = driveProvider(state, arrival(beatOf(state, 2)), 300));
  // neither an old one nor a recorded one of an earlier life is the last
  ({ state } = driveProvider(state, arrival(beatOf(state, 1)), 400));
  ({ state } = driveProvider(state, arrival({ ...beatOf(state, 9), echo: 'another' }), 400));
  const shown = shownBeat.parse(shownAt(state, 1000));
  expect(shown.msAgo).toBe(700);
  expect(shown.signed.body.body.sequence).toBe(2);
  expect(beatProblem(shown.signed, terms)).toBeUndefined();
});

test('without a signature, and after a restart, none is shown', () => {
  const start = createProvider(terms, { at: 'ready' }, 'boot-b', 0);
  let { state } = driveProvider(start, arrival(beatOf(start, 1)), 100);
  const { proof: _none, ...bare } = arrival(beatOf(state, 2)) as Extract<PartyEvent, { type: 'datagram' }>;
  ({ state } = driveProvider(state, bare, 300));
  expect(shownAt(state, 1000)).toBeUndefined();
  expect(shownAt(createProvider(terms, { at: 'ready' }, 'boot-c', 1000), 1100)).toBeUndefined();
});

test('a beat counts as the customer’s only with its signature, under this contract, to this provider', () => {
  const body = beatOf(createProvider(terms, { at: 'ready' }, 'boot-b', 0), 1);
  const { signature, ...envelope } = proofOf(body);
  const kind = 'antirio/datagram/beat';
  const signed = { kind, by: ada.edgeId, body: { ...envelope, body }, signature } as const;
  expect(beatProblem(signed, terms)).toBeUndefined();
  expect(beatProblem(signed, { ...terms, customer: newEdge() })).toMatch(/not the customer/);
  expect(beatProblem(signed, { ...terms, contractId: 'another' })).toMatch(/another contract/);
  expect(beatProblem(signed, { ...terms, provider: newEdge() })).toMatch(/another edge/);
  const newer = { ...signed, body: { ...signed.body, body: { ...body, sequence: 2 } } };
  expect(beatProblem(newer, terms)).toMatch(/not signed/);
  const forged = proofOf(body, openIdentity(generateIdentity())).signature;
  expect(beatProblem({ ...signed, signature: forged }, terms)).toMatch(/not signed/);
});
