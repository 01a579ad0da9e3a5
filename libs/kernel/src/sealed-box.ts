import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, hkdfSync } from 'node:crypto';
import { aesGcmDecrypt, aesGcmEncrypt } from './aes.ts';
import { fromBase64, toBase64, utf8 } from './bytes.ts';
import { canonicalBytes } from './canonical-json.ts';
import { AntirioError } from './errors.ts';
import { importX25519, verifySignature, type Identity, type SealKey } from './identity.ts';

/** Bytes that only the holder of one edge's X25519 key can open (ephemeral X25519, HKDF-SHA-256, AES-256-GCM). */
export interface SealedBox {
  readonly to: string;
  readonly ephemeral: string;
  readonly sealed: string;
}

function boxKey(shared: Uint8Array, ephemeral: Uint8Array, to: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', shared, ephemeral, utf8(`antirio sealed box ${to}`), 32));
}

// A fresh ephemeral key gives a fresh box key, so that the all-zero nonce is used once with each.
const NONCE = new Uint8Array(12);

/** @throws AntirioError forbidden when the recipient's key is not signed by the recipient. */
export function sealTo(recipient: SealKey, plain: Uint8Array): SealedBox {
  const { edgeId, x25519 } = recipient;
  if (!verifySignature(edgeId, canonicalBytes({ edgeId, x25519 }), fromBase64(recipient.signature)))
    throw new AntirioError('forbidden', 'the seal key is not signed by its edge', { edgeId });
  const pair = generateKeyPairSync('x25519');
  const privateKey = createPrivateKey(pair.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const shared = diffieHellman({ privateKey, publicKey: importX25519(fromBase64(x25519)) });
  const ephemeral = new Uint8Array(
    createPublicKey(privateKey).export({ type: 'spki', format: 'der' }).subarray(-32),
  );
  const key = boxKey(new Uint8Array(shared), ephemeral, edgeId);
  return {
    to: edgeId,
    ephemeral: toBase64(ephemeral),
    sealed: toBase64(aesGcmEncrypt(key, NONCE, plain, utf8(edgeId))),
  };
}

/** @throws AntirioError corrupt when the box was sealed to another edge or was changed. */
export function openSealed(identity: Identity, box: SealedBox): Uint8Array {
  if (box.to !== identity.edgeId)
    throw new AntirioError('corrupt', 'the box is sealed to another edge', { to: box.to });
  const ephemeral = fromBase64(box.ephemeral);
  const key = boxKey(identity.agree(ephemeral), ephemeral, identity.edgeId);
  return aesGcmDecrypt(key, NONCE, fromBase64(box.sealed), utf8(identity.edgeId));
}
