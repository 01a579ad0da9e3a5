import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  sign as signBytes,
  verify as verifyBytes,
  type KeyObject,
} from 'node:crypto';
import { base58btc } from 'multiformats/bases/base58';
import { AntirioError } from './errors.ts';
import { fromBase64, toBase64 } from './bytes.ts';
import { canonicalBytes } from './canonical-json.ts';

declare const edgeIdBrand: unique symbol;
/** A libp2p PeerId of an Ed25519 key (`12D3KooW...`): the public key is in it, so an id alone verifies signatures. */
export type EdgeId = string & { readonly [edgeIdBrand]: true };

/** An edge's private identity. The X25519 key is for what is sealed to the edge; its public half is signed by the first. */
export interface Identity {
  readonly edgeId: EdgeId;
  readonly sealKey: SealKey;
  sign(bytes: Uint8Array): Uint8Array;
  /** The shared secret of this edge's X25519 key and another public one (32 bytes each). */
  agree(publicKey: Uint8Array): Uint8Array;
}

/** The public X25519 key of an edge with the proof that it is its own. */
export interface SealKey {
  readonly edgeId: EdgeId;
  readonly x25519: string;
  readonly signature: string;
}

/** What is kept on disk (mode 0600): two PKCS #8 keys, base64. */
export interface StoredIdentity {
  readonly edgeId: string;
  readonly ed25519: string;
  readonly x25519: string;
}

// protobuf PublicKey{Type: Ed25519, Data: 32 bytes} as an identity multihash (libp2p peer-ids specification)
const PEER_ID_PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20);
const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex');
const SPKI_X25519 = Buffer.from('302a300506032b656e032100', 'hex');

function rawPublic(key: KeyObject): Uint8Array {
  return new Uint8Array(createPublicKey(key).export({ type: 'spki', format: 'der' }).subarray(-32));
}

function toEdgeId(publicKey: Uint8Array): EdgeId {
  return base58btc.baseEncode(Uint8Array.from([...PEER_ID_PREFIX, ...publicKey])) as EdgeId;
}

const publicKeys = new Map<string, KeyObject>();
const PUBLIC_KEYS_KEPT = 1024;

/** @throws AntirioError invalidInput when the text is not the PeerId of an Ed25519 key. */
export function parseEdgeId(text: string): EdgeId {
  publicKeyOf(text);
  return text as EdgeId;
}

function publicKeyOf(edgeId: string): KeyObject {
  const known = publicKeys.get(edgeId);
  if (known !== undefined) return known;
  let bytes: Uint8Array;
  try {
    if (edgeId.length > 64) throw new AntirioError('invalidInput', 'too long');
    bytes = base58btc.baseDecode(edgeId);
  } catch (cause) {
    throw new AntirioError('invalidInput', 'not an edge id', {}, cause);
  }
  if (bytes.length !== 38 || PEER_ID_PREFIX.some((byte, i) => bytes[i] !== byte))
    throw new AntirioError('invalidInput', 'not an edge id: no Ed25519 PeerId');
  const key = createPublicKey({
    key: Buffer.concat([SPKI_ED25519, bytes.subarray(6)]),
    format: 'der',
    type: 'spki',
  });
  if (publicKeys.size >= PUBLIC_KEYS_KEPT) publicKeys.clear();
  publicKeys.set(edgeId, key);
  return key;
}

export function generateIdentity(): StoredIdentity {
  const ed = generateKeyPairSync('ed25519').privateKey;
  const x = generateKeyPairSync('x25519').privateKey;
  const pkcs8 = (key: KeyObject): string => toBase64(key.export({ type: 'pkcs8', format: 'der' }));
  return { edgeId: toEdgeId(rawPublic(ed)), ed25519: pkcs8(ed), x25519: pkcs8(x) };
}

/** @throws AntirioError badConfig when the keys are unreadable or are not those of the id. */
export function openIdentity(stored: StoredIdentity): Identity {
  const open = (text: string): KeyObject =>
    createPrivateKey({ key: Buffer.from(fromBase64(text)), format: 'der', type: 'pkcs8' });
  let ed: KeyObject;
  let x: KeyObject;
  try {
    ed = open(stored.ed25519);
    x = open(stored.x25519);
  } catch (cause) {
    throw new AntirioError('badConfig', 'the identity file is unreadable', {}, cause);
  }
  const edgeId = toEdgeId(rawPublic(ed));
  if (edgeId !== stored.edgeId)
    throw new AntirioError('badConfig', 'the identity file names another edge than its key');
  const sign = (bytes: Uint8Array): Uint8Array => new Uint8Array(signBytes(null, bytes, ed));
  const x25519 = toBase64(rawPublic(x));
  const signature = toBase64(sign(canonicalBytes({ edgeId, x25519 })));
  const agree = (publicKey: Uint8Array): Uint8Array =>
    new Uint8Array(diffieHellman({ privateKey: x, publicKey: importX25519(publicKey) }));
  return { edgeId, sign, agree, sealKey: { edgeId, x25519, signature } };
}

export function importX25519(publicKey: Uint8Array): KeyObject {
  if (publicKey.length !== 32) throw new AntirioError('invalidInput', 'an X25519 key is 32 bytes');
  return createPublicKey({ key: Buffer.concat([SPKI_X25519, publicKey]), format: 'der', type: 'spki' });
}

export function verifySignature(edgeId: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  return signature.length === 64 && verifyBytes(null, bytes, publicKeyOf(edgeId), signature);
}

/** A document and who signed its canonical JSON. `kind` keeps a signature for one purpose from serving another. */
export interface Signed<T> {
  readonly kind: string;
  readonly by: EdgeId;
  readonly body: T;
  readonly signature: string;
}

export function signDocument<T>(identity: Identity, kind: string, body: T): Signed<T> {
  const by = identity.edgeId;
  return { kind, by, body, signature: toBase64(identity.sign(canonicalBytes({ kind, by, body }))) };
}

/** Whether the document is signed by the edge that it names, for this purpose. Never throws on bad input. */
export function verifyDocument(document: Signed<unknown>, kind: string): boolean {
  try {
    const { by, body, signature } = document;
    return (
      document.kind === kind && verifySignature(by, canonicalBytes({ kind, by, body }), fromBase64(signature))
    );
  } catch {
    return false;
  }
}
