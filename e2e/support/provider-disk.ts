import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { readIdentityFile } from '@antirio/host';
import {
  aesGcmDecrypt,
  canonicalBytes,
  fromBase64,
  fromUtf8,
  openSealed,
  xorBytes,
  type Identity,
  type SealedBox,
} from '@antirio/kernel';
import { z } from 'zod';

/** What is there, while others come and go. */
function ifThere<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return otherwise;
    throw error;
  }
}

/** Every file below a folder; sockets have no bytes. */
export function filesBelow(folder: string): string[] {
  return ifThere(() => readdirSync(folder, { recursive: true, withFileTypes: true }), [])
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}

export function bytesOf(file: string): Buffer {
  return ifThere(() => readFileSync(file), Buffer.alloc(0));
}

/** How 16 bytes may stand in a file: as they are, in hex of either case, in base64 at each of its three alignments. */
function spellings(key: string): Buffer[] {
  const raw = Buffer.from(key, 'hex');
  const aligned = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), raw]).toString('base64');
    // Characters that also hold bits of what stands before or behind the key are not its own.
    return text.slice(before === 0 ? 0 : before + 1, Math.floor(((before + raw.length) * 8) / 6));
  });
  return [
    raw,
    ...[key.toLowerCase(), key.toUpperCase(), ...aligned].map((text) => Buffer.from(text, 'latin1')),
  ];
}

/** Where keys (hex) are found, as `file: spelling`. */
export function findKeys(files: readonly string[], keys: readonly string[]): string[] {
  const wanted = keys.flatMap(spellings);
  return files.flatMap((file) => {
    const bytes = bytesOf(file);
    return wanted
      .filter((spelling) => bytes.includes(spelling))
      .map((spelling) => `${file}: ${spelling.toString('hex')}`);
  });
}

const sealedBox = z.strictObject({ to: z.string(), ephemeral: z.string(), sealed: z.string() });
const keyPackage = z.looseObject({
  contractId: z.string(),
  keyVersion: z.int(),
  nonce: z.string(),
  sealedSecrets: z.string(),
  part: sealedBox,
  whole: z.boolean(),
});
export type KeyPackage = z.output<typeof keyPackage>;

function column(file: string, query: string, ...values: string[]): unknown {
  const db = new DatabaseSync(file, { readOnly: true });
  try {
    return JSON.parse(String(db.prepare(query).get(...values)?.['json']));
  } finally {
    db.close();
  }
}

/** What the provider was given when the contract was armed, from its disk. */
export function keyPackageOf(providerFolder: string, contractId: string): KeyPackage {
  const file = path.join(providerFolder, 'arbitrator', 'contracts.db');
  const query = "SELECT json FROM document WHERE contract = ? AND name = 'keys'";
  return keyPackage.parse(column(file, query, contractId));
}

/** The central arbitrator's share in the clear, by its own disk. */
export function centralShare(centralFolder: string, contractId: string): Uint8Array {
  const file = path.join(centralFolder, 'arbitrator', 'escrow.db');
  const box = sealedBox.parse(column(file, 'SELECT json FROM share WHERE contract = ?', contractId));
  return openSealed(readIdentityFile(path.join(centralFolder, 'identity.json')), box);
}

function opened(identity: Identity, box: SealedBox): Uint8Array | undefined {
  try {
    return openSealed(identity, box);
  } catch {
    return undefined;
  }
}

const BOX = /\{"to":"[^"]{1,64}","ephemeral":"[^"]{44}","sealed":"[^"]{1,200}"\}/g;
const HEX = /(?<![0-9a-fA-F])[0-9a-fA-F]{64}(?![0-9a-fA-F])/g;
const BASE64 = /(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{43}(?![A-Za-z0-9+/_-])/g;

/** Everything in files that could be 32 bytes of a key: sealed boxes that this edge can open, and 32 bytes in hex or base64. */
export function possibleParts(identity: Identity, files: readonly string[]): Uint8Array[] {
  const found = new Map<string, Uint8Array>();
  const take = (bytes: Uint8Array | undefined): void => {
    if (bytes?.length === 32) found.set(Buffer.from(bytes).toString('hex'), bytes);
  };
  for (const file of files) {
    const text = bytesOf(file).toString('latin1');
    for (const [json] of text.matchAll(BOX)) take(opened(identity, sealedBox.parse(JSON.parse(json))));
    for (const [hex] of text.matchAll(HEX)) take(new Uint8Array(Buffer.from(hex, 'hex')));
    for (const [base64] of text.matchAll(BASE64)) take(new Uint8Array(Buffer.from(base64, 'base64')));
  }
  return [...found.values()];
}

/** The sessions in a key package, opened with a key; undefined where the key is wrong. */
export function openPackage(given: KeyPackage, key: Uint8Array): unknown {
  const { contractId, keyVersion, nonce, sealedSecrets } = given;
  const about = canonicalBytes({ kind: 'antirio/sealed-keys/1', contractId, keyVersion });
  try {
    return JSON.parse(fromUtf8(aesGcmDecrypt(key, fromBase64(nonce), fromBase64(sealedSecrets), about)));
  } catch {
    return undefined;
  }
}

/** Tries a key package with everything that an edge's files hold. Gives how much was tried, and what came of it. */
export function breakIn(
  providerFolder: string,
  given: KeyPackage,
  files: readonly string[],
): { readonly tried: number; readonly opened: unknown } {
  const identity = readIdentityFile(path.join(providerFolder, 'identity.json'));
  const own = openSealed(identity, given.part);
  const parts = [new Uint8Array(32), ...possibleParts(identity, files)];
  const keys = parts.flatMap((part) => [part, xorBytes(own, part)]);
  return {
    tried: keys.length,
    opened: keys.map((key) => openPackage(given, key)).find((one) => one !== undefined),
  };
}

/** The key that the provider's part and the central arbitrator's share make. */
export function wholeKey(providerFolder: string, given: KeyPackage, share: Uint8Array): Uint8Array {
  const identity = readIdentityFile(path.join(providerFolder, 'identity.json'));
  return xorBytes(openSealed(identity, given.part), share);
}
