import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { parseInput } from '@antirio/host';
import {
  AntirioError,
  aesGcmDecrypt,
  aesGcmEncrypt,
  canonicalBytes,
  fromBase64,
  fromUtf8,
  openSealed,
  sealTo,
  toBase64,
  utf8,
  xorBytes,
  type Identity,
  type Random,
  type SealKey,
  type SealedBox,
} from '@antirio/kernel';
import type { ContractTerms } from '@antirio/service-contract';

const hexKey = z.string().regex(/^[0-9a-fA-F]{32}$/);

/** The secrets file of a device service. */
export const secrets = z.object({
  keyVersion: z.int().min(1).default(1),
  sessions: z.array(
    z.object({ devEui: z.string(), devAddr: z.string(), nwkSKey: hexKey, appSKey: hexKey.optional() }),
  ),
});
export type Secrets = z.output<typeof secrets>;

export const sealedBox = z.strictObject({ to: z.string(), ephemeral: z.string(), sealed: z.string() });

/** What the provider is given at signing: the service's description, its keys encrypted, and the provider's part of the key. */
export const keyPackage = z.strictObject({
  contractId: z.uuid(),
  keyVersion: z.int().min(1),
  service: z.record(z.string(), z.unknown()),
  nonce: z.string(),
  sealedSecrets: z.string(),
  /** 32 bytes sealed to the provider: one XOR part, or the whole key where the contract says `autonomous`. */
  part: sealedBox,
  whole: z.boolean(),
});
export type KeyPackage = z.output<typeof keyPackage>;

export interface DividedKeys {
  readonly forProvider: KeyPackage;
  /** The arbitrators' part, sealed to the central arbitrator; absent where the provider holds the whole. */
  readonly forCentral:
    { readonly contractId: string; readonly keyVersion: number; readonly share: SealedBox } | undefined;
}

/** The contract's sensors only, and with AppSKeys only where the provider may read. */
export function secretsFor(terms: ContractTerms, all: Secrets): Secrets {
  const wanted = new Set(terms.set.devices.map((device) => device.devEui));
  const sessions = all.sessions
    .filter((session) => wanted.has(session.devEui.toLowerCase()))
    .map(({ appSKey, ...session }) =>
      terms.confidentiality === 'process' ? { ...session, appSKey } : session,
    );
  return { keyVersion: all.keyVersion, sessions: terms.confidentiality === 'relay' ? [] : sessions };
}

function associated(contractId: string, keyVersion: number): Uint8Array {
  return canonicalBytes({ kind: 'antirio/sealed-keys/1', contractId, keyVersion });
}

/** Encrypts the keys and divides what opens them: neither part alone says anything about it. */
export function divideKeys(
  terms: ContractTerms,
  service: Readonly<Record<string, unknown>>,
  allSecrets: Secrets,
  sealKeys: { readonly provider: SealKey; readonly central: SealKey },
  random: Random,
): DividedKeys {
  const chosen = secretsFor(terms, allSecrets);
  const { contractId } = terms;
  const { keyVersion } = chosen;
  const key = random.bytes(32);
  const nonce = random.bytes(12);
  const sealed = aesGcmEncrypt(key, nonce, utf8(JSON.stringify(chosen)), associated(contractId, keyVersion));
  const whole = terms.opening === 'autonomous';
  const centralPart = random.bytes(32);
  const providerPart = whole ? key : xorBytes(key, centralPart);
  return {
    forProvider: {
      contractId,
      keyVersion,
      service: { ...service },
      nonce: toBase64(nonce),
      sealedSecrets: toBase64(sealed),
      part: sealTo(sealKeys.provider, providerPart),
      whole,
    },
    forCentral: whole ? undefined : { contractId, keyVersion, share: sealTo(sealKeys.central, centralPart) },
  };
}

/** @throws AntirioError corrupt when the parts do not open the package: the customer's breach (wrong keys). */
export function openKeys(
  identity: Identity,
  given: KeyPackage,
  centralShare: SealedBox | undefined,
): Secrets {
  const own = openSealed(identity, given.part);
  if (!given.whole && centralShare === undefined)
    throw new AntirioError('forbidden', 'the keys take the arbitrators’ share', {
      contractId: given.contractId,
    });
  const key =
    given.whole || centralShare === undefined ? own : xorBytes(own, openSealed(identity, centralShare));
  const aad = associated(given.contractId, given.keyVersion);
  const plain = aesGcmDecrypt(key, fromBase64(given.nonce), fromBase64(given.sealedSecrets), aad);
  return parseInput(secrets, JSON.parse(fromUtf8(plain)));
}

/** @throws AntirioError badConfig when a file is missing or not what it should be. */
export function readJsonFile<S extends z.ZodType>(path: string, schema: S): z.output<S> {
  try {
    return parseInput(schema, JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new AntirioError('badConfig', `cannot use ${path}`, { path }, cause);
  }
}
