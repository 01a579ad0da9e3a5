import { z } from 'zod';
import { callJson, parseInput, type HttpPeer } from '@antirio/host';
import {
  AntirioError,
  fromBase64,
  sha256Hex,
  signDocument,
  toBase64,
  verifyDocument,
  type Identity,
} from '@antirio/kernel';
import {
  GENUINE_KIND,
  GENUINE_SAMPLE,
  signedGenuineFrames,
  type ContractTerms,
  type GenuineFrames,
} from '@antirio/service-contract';
import { counterFloors, type CounterFloors } from './counter-floors.ts';
import { createGenuine } from './genuine-frames.ts';
import { neighbourCall } from './peers.ts';
import type { Secrets } from './sealed-keys.ts';

const frames = z.object({ frames: z.array(z.object({ seq: z.int(), phyPayload: z.string().max(1024) })) });
const ringLast = z.looseObject({ next: z.int() });

/** What a customer gives its provider: its signed word, and where in the provider's ring the frames are. */
export const genuineWord = z.strictObject({
  genuine: signedGenuineFrames,
  seqs: z.array(z.int().min(1)).min(1).max(GENUINE_SAMPLE),
});
export type GenuineWord = z.output<typeof genuineWord>;

/** The customer's word with the frames themselves, as a provider keeps it until the settlement. */
export const keptFrames = z.object({ genuine: signedGenuineFrames, frames: z.array(z.string().max(1024)) });
export type KeptFrames = z.output<typeof keptFrames>;

/** The newest frames of the provider's ring that our keys verify; undefined where there is none. */
export function genuineOf(
  identity: Identity,
  contractId: string,
  own: Secrets,
  sample: readonly { readonly seq: number; readonly phyPayload: string }[],
  floors?: CounterFloors,
): GenuineWord | undefined {
  const verified = createGenuine(own, floors);
  const found = sample.flatMap(({ seq, phyPayload }) => {
    const bytes = fromBase64(phyPayload);
    const one = verified(bytes);
    if (one === undefined) return [];
    return [{ seq, frame: { devAddr: one.session.devAddr, fcnt: one.fcnt, digest: sha256Hex(bytes) } }];
  });
  if (found.length === 0) return undefined;
  const body: GenuineFrames = {
    ...{ contractId, keyVersion: own.keyVersion },
    frames: found.map(({ frame }) => frame),
  };
  const genuine = signedGenuineFrames.parse(signDocument(identity, GENUINE_KIND, body));
  return { genuine, seqs: found.map(({ seq }) => seq) };
}

/**
 * Looks at the newest frames of the provider's ring and tells it, signed, which are genuine. Resolves with the version of the keys
 * for which the provider keeps frames from now on; undefined where there were none.
 */
export async function tellGenuine(
  peers: Readonly<Record<string, HttpPeer>>,
  identity: Identity,
  { contractId, provider }: ContractTerms,
  own: Secrets,
): Promise<number | undefined> {
  const ring = `/api/v3/ring/${contractId}`;
  const bridge = (path: string): Promise<unknown> =>
    neighbourCall(peers, provider, 'gateway-bridge', { path });
  const { next } = parseInput(ringLast, await bridge(ring));
  const after = Math.max(0, next - 1 - GENUINE_SAMPLE);
  const sample = parseInput(frames, await bridge(`${ring}/frames?after=${after}&limit=${GENUINE_SAMPLE}`));
  const floors = await counterFloors(peers, 'own');
  const json = genuineOf(identity, contractId, own, sample.frames, floors);
  if (json === undefined) return undefined;
  const path = `/arbitrator/v1/contract/${contractId}/genuine`;
  await neighbourCall(peers, provider, 'arbitrator', { method: 'POST', path, json });
  return own.keyVersion;
}

/**
 * What a provider keeps of a customer's word: only frames that its own ring holds, so that no customer can name what it made up.
 * @throws AntirioError unauthenticated, invalidInput
 */
export async function keepGenuine(
  bridge: HttpPeer,
  { contractId, customer }: ContractTerms,
  { genuine, seqs }: GenuineWord,
): Promise<KeptFrames> {
  if (genuine.by !== customer || !verifyDocument(genuine, GENUINE_KIND))
    throw new AntirioError('unauthenticated', 'the customer has not signed for these frames');
  if (genuine.body.contractId !== contractId || genuine.body.frames.length !== seqs.length)
    throw new AntirioError('invalidInput', 'these frames are of another contract');
  const path = `/api/v3/ring/${contractId}/frames`;
  const held = parseInput(frames, await callJson(bridge, { method: 'POST', path, json: { seqs } }));
  const bySeq = new Map(held.frames.map(({ seq, phyPayload }) => [seq, fromBase64(phyPayload)]));
  const ours = seqs.map((seq, i) => {
    const bytes = bySeq.get(seq);
    const there = bytes !== undefined && sha256Hex(bytes) === genuine.body.frames[i]?.digest;
    if (!there) throw new AntirioError('invalidInput', 'our ring does not hold these frames', { seq });
    return toBase64(bytes);
  });
  return { genuine, frames: ours };
}
