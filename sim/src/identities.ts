import { createPrivateKey, createPublicKey } from 'node:crypto';
import { base58btc } from 'multiformats/bases/base58';
import { fromHex, openIdentity, sha256, toBase64, utf8, type Identity } from '@antirio/kernel';

// PKCS #8 of a raw private key, and the bytes before the key in a PeerId
const ED25519 = fromHex('302e020100300506032b657004220420', 16);
const X25519 = fromHex('302e020100300506032b656e04220420', 16);
const PEER_ID = fromHex('002408011220', 6);

/** An identity that is the same in every run: its keys are hashes of its name. */
function identityNamed(name: string): Identity {
  const pkcs8 = (prefix: Uint8Array, purpose: string): Uint8Array =>
    Uint8Array.from([...prefix, ...sha256(utf8(`simulated ${purpose} of ${name}`))]);
  const ed25519 = pkcs8(ED25519, 'ed25519');
  const key = createPrivateKey({ key: Buffer.from(ed25519), format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' }).subarray(-32);
  const edgeId = base58btc.baseEncode(Uint8Array.from([...PEER_ID, ...publicKey]));
  return openIdentity({ edgeId, ed25519: toBase64(ed25519), x25519: toBase64(pkcs8(X25519, 'x25519')) });
}

/** Edges that hold shares of keys. */
export const holderIds = [identityNamed('W').edgeId, identityNamed('V').edgeId] as const;

export type NodeName = 'A' | 'B' | 'C' | 'central';

export const identities: Readonly<Record<NodeName, Identity>> = {
  A: identityNamed('A'),
  B: identityNamed('B'),
  C: identityNamed('C'),
  central: identityNamed('central'),
};
