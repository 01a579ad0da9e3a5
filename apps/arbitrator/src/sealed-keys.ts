import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { parseInput } from '@antirio/host';
import {
  AntirioError,
  aesGcmDecrypt,
  aesGcmEncrypt,
  canonicalBytes,
  concatBytes,
  fromBase64,
  fromUtf8,
  isAntirioError,
  openSealed,
  sealTo,
  sha256Hex,
  signDocument,
  toBase64,
  utf8,
  verifyDocument,
  xorBytes,
  type EdgeId,
  type Identity,
  type Random,
  type SealKey,
  type SealedBox,
} from '@antirio/kernel';
import {
  KEY_HEADER_KIND,
  contractForwardingKey,
  contractVolumeKey,
  versionVolumeKey,
  holdersOf,
  areOfSet,
  joinedAddresses,
  protectedDevice,
  signedKeyHeader,
  type ContractTerms,
  type KeyHeader,
} from '@antirio/service-contract';
import { candidateSecrets, splitSecret } from './shares.ts';

const hexKey = z.string().regex(/^[0-9a-fA-F]{32}$/);

/** 32 bytes. */
const longKey = z.string().regex(/^[0-9a-fA-F]{64}$/);

export const sessionKeys = z.object({
  devEui: z.string(),
  devAddr: z.string(),
  nwkSKey: hexKey,
  appSKey: hexKey.optional(),
  /** A provider made it of a join that it answered: it has known the keys from the beginning. */
  broughtHome: z.literal(true).optional(),
});

/** As in the secrets file of a device service. */
const rootKey = z.object({ devEui: z.string(), appKey: hexKey.optional(), nwkKey: hexKey.optional() });
export type RootKey = z.output<typeof rootKey>;

/** What of a device's joins is used up, as its device service says it. */
export const usedJoins = z.looseObject({ devEui: z.string(), joinNonce: z.int().min(0) });

/** The secrets file of a device service; in a package also what the provider shows to the customer's cloud. */
export const secrets = z.object({
  keyVersion: z.int().min(1).default(1),
  sessions: z.array(sessionKeys).max(100_000).default([]),
  rootKeys: z.array(rootKey).max(10_000).optional(),
  joins: z.array(usedJoins).max(10_000).optional(),
  forwarding: z.strictObject({ key: longKey }).optional(),
  /** For snapshots of volumes: of all contracts, and in a package of one version of one contract's keys. */
  volumes: z.strictObject({ key: longKey }).optional(),
  /** Keys of the service's own, for what is no LoRaWAN session. */
  values: z.record(z.string().regex(/^[A-Za-z][A-Za-z0-9_]{0,63}$/), z.string().max(4096)).optional(),
});
export type Secrets = z.output<typeof secrets>;

/** Of a set of 10,000 devices, a few for each. */
const MOST_ADDRESSES = 40_000;

/** Characters. */
const MOST_SEALED = 1 << 20;
const base64 = z.string().max(MOST_SEALED);
export const sealedBox = z.strictObject({
  to: z.string().max(128),
  ephemeral: z.string().max(64),
  sealed: z.string().max(1024),
});

/** What the provider is given at signing: the service's description, its keys encrypted, and the provider's part of the key. */
export const keyPackage = z.strictObject({
  contractId: z.uuid(),
  keyVersion: z.int().min(1),
  service: z.record(z.string(), z.unknown()),
  nonce: z.string().max(64),
  sealedSecrets: base64,
  /** 32 bytes sealed to the provider: one XOR part, or the whole key where the contract says `autonomous`. */
  part: sealedBox,
  whole: z.boolean(),
  /** In the clear, as they are on air: the addresses that joins gave to the set's devices since the terms were signed. */
  addresses: z.array(protectedDevice).max(MOST_ADDRESSES).optional(),
  /** The customer's signature under all of it that matters. */
  header: signedKeyHeader,
});
export type KeyPackage = z.output<typeof keyPackage>;
/** As a provider may have kept it: there was a time when customers did not sign for their keys. */
export type KeptPackage = Omit<KeyPackage, 'header'> & { readonly header?: KeyPackage['header'] };

/** What a holder is given: its share, sealed to it, and what the customer signed for this version. */
export const shareDelivery = z.strictObject({ header: signedKeyHeader, share: sealedBox });
export type ShareDelivery = z.output<typeof shareDelivery>;

/** A share as a holder releases it, sealed to the provider. */
export const releasedShare = z.object({ keyVersion: z.int().min(1), box: sealedBox });
export type ReleasedShare = z.output<typeof releasedShare>;

export interface DividedKeys {
  readonly keyVersion: number;
  readonly forProvider: KeyPackage;
  readonly forHolders: readonly { readonly holder: EdgeId; readonly delivery: ShareDelivery }[];
  /** Of the keys that were sealed: whether the customer's files still hold these. */
  readonly digest: string;
}

/** To who may process only: volumes hold what the service made of its readings. */
function volumesFor(
  { contractId, confidentiality, volumes: wanted }: ContractTerms,
  { keyVersion, volumes }: Secrets,
): Pick<Secrets, 'volumes'> {
  if (wanted === undefined || volumes === undefined || confidentiality !== 'process') return {};
  return { volumes: { key: versionVolumeKey(contractVolumeKey(volumes.key, contractId), keyVersion) } };
}

/** To who may answer joins only, and nothing where the terms do not say so. */
function rootsFor(
  { rootKeys: given, confidentiality, set }: ContractTerms,
  { rootKeys = [], joins = [] }: Secrets,
): Pick<Secrets, 'rootKeys' | 'joins'> {
  if (given !== true || confidentiality !== 'process') return {};
  const wanted = new Set(set.devices.map(({ devEui }) => devEui));
  const isOfSet = ({ devEui }: { readonly devEui: string }): boolean => wanted.has(devEui.toLowerCase());
  return { rootKeys: rootKeys.filter(isOfSet), joins: joins.filter(isOfSet) };
}

/** Keys as they are kept beside a contract that has nothing to do with root keys. */
export function withoutRoots({ rootKeys: _roots, joins: _used, ...rest }: Secrets): Secrets {
  return rest;
}

/** The contract's sensors only, and with AppSKeys only where the provider may read. */
export function secretsFor(terms: ContractTerms, all: Secrets): Secrets {
  const wanted = new Set(terms.set.devices.map((device) => device.devEui));
  const sessions = all.sessions
    .filter((session) => wanted.has(session.devEui.toLowerCase()))
    .map(({ appSKey, ...session }) =>
      terms.confidentiality === 'process' ? { ...session, appSKey } : session,
    );
  const { contractId } = terms;
  const cloud = terms.forwarding === undefined ? undefined : all.forwarding;
  return {
    keyVersion: all.keyVersion,
    sessions: terms.confidentiality === 'relay' ? [] : sessions,
    ...(all.values === undefined || terms.confidentiality !== 'process' ? {} : { values: all.values }),
    ...volumesFor(terms, all),
    ...rootsFor(terms, all),
    ...(cloud === undefined ? {} : { forwarding: { key: contractForwardingKey(cloud.key, contractId) } }),
  };
}

/** The keys of a contract, as they are sealed. @throws AntirioError invalidInput where a provider takes no package so large */
export function plainKeys(chosen: Secrets): Uint8Array {
  const plain = utf8(JSON.stringify(chosen));
  const sealed = 4 * Math.ceil((plain.length + 16) / 3);
  if (sealed <= MOST_SEALED) return plain;
  throw new AntirioError(
    'invalidInput',
    `the sealed keys of ${chosen.sessions.length} sessions would take ${sealed} characters, and a package holds ${MOST_SEALED}: insure fewer devices in one set, or without root keys`,
  );
}

function associated(contractId: string, keyVersion: number): Uint8Array {
  return canonicalBytes({ kind: 'antirio/sealed-keys/1', contractId, keyVersion });
}

/** By what the customer's files are compared with the keys that were sealed. */
export function digestOf(chosen: Secrets): string {
  return sha256Hex(canonicalBytes(chosen));
}

/** By what a customer commits to the sealed keys. */
export function sealedHash(nonce: string, sealedSecrets: string): string {
  return sha256Hex(concatBytes(fromBase64(nonce), fromBase64(sealedSecrets)));
}

/**
 * Encrypts the keys and divides what opens them: the provider's part, and the arbitrators' part shared among the holders. Neither
 * says anything about the key, nor do fewer shares than the contract's threshold.
 */
export async function divideKeys(
  customer: Identity,
  terms: ContractTerms,
  service: Readonly<Record<string, unknown>>,
  allSecrets: Secrets,
  sealKeyOf: (edge: EdgeId) => SealKey,
  random: Random,
  since?: number,
): Promise<DividedKeys> {
  const chosen = secretsFor(terms, allSecrets);
  const { contractId } = terms;
  const { keyVersion } = chosen;
  const addresses = joinedAddresses(terms, allSecrets.sessions);
  const key = random.bytes(32);
  const nonce = toBase64(random.bytes(12));
  const plain = plainKeys(chosen);
  const sealedSecrets = toBase64(
    aesGcmEncrypt(key, fromBase64(nonce), plain, associated(contractId, keyVersion)),
  );
  const whole = terms.opening === 'autonomous';
  const arbitratorsPart = random.bytes(32);
  const part = whole ? key : xorBytes(key, arbitratorsPart);
  const holders = holdersOf(terms);
  const { threshold } = terms.escrow;
  const shares = whole ? [] : await splitSecret(arbitratorsPart, holders.length, threshold);
  const given = holders.map((holder, i) => ({ holder, share: shares[i] ?? new Uint8Array() }));
  const body: KeyHeader = {
    ...{ contractId, keyVersion, threshold },
    // without joins a new version is a new set of keys: who raises it says so
    ...(since === undefined || (addresses.length === 0 && terms.rootKeys !== true) ? {} : { since }),
    sealed: sealedHash(nonce, sealedSecrets),
    part: sha256Hex(part),
    shares: given.map(({ holder, share }) => ({ holder, commitment: sha256Hex(share) })),
  };
  const header = { ...signDocument(customer, KEY_HEADER_KIND, body), kind: KEY_HEADER_KIND } as const;
  const forProvider: KeyPackage = {
    ...{ contractId, keyVersion, service: { ...service }, nonce, sealedSecrets, whole },
    ...(addresses.length === 0 ? {} : { addresses: [...addresses] }),
    part: sealTo(sealKeyOf(terms.provider), part),
    header: { ...header, by: terms.customer },
  };
  const forHolders = given.map(({ holder, share }) => ({
    holder,
    delivery: { header: forProvider.header, share: sealTo(sealKeyOf(holder), share) },
  }));
  return { keyVersion, forProvider, forHolders, digest: digestOf(chosen) };
}

/** Whether the customer signed it for this contract, threshold and holders. @throws AntirioError unauthenticated, invalidInput */
export function checkHeader(terms: ContractTerms, header: KeyPackage['header']): void {
  const { body, by } = header;
  if (by !== terms.customer || !verifyDocument(header, KEY_HEADER_KIND))
    throw new AntirioError('unauthenticated', 'the customer has not signed for these keys');
  const named = body.shares.map(({ holder }) => holder).join();
  const agreed = named === holdersOf(terms).join() && body.threshold === terms.escrow.threshold;
  if (body.contractId !== terms.contractId || !agreed)
    throw new AntirioError('invalidInput', 'these keys are for another contract or other holders');
}

/** What a provider looks at before it takes a package. @throws AntirioError unauthenticated, invalidInput, corrupt */
export function checkPackage(identity: Identity, terms: ContractTerms, given: KeyPackage): void {
  const { header, nonce, sealedSecrets, part, whole, keyVersion, contractId } = given;
  checkHeader(terms, header);
  if (contractId !== terms.contractId || part.to !== identity.edgeId)
    throw new AntirioError('invalidInput', 'these keys are for another contract or edge');
  if (!areOfSet(terms, given.addresses ?? []))
    throw new AntirioError('invalidInput', 'these addresses are not in the range that the contract names');
  if (whole !== (terms.opening === 'autonomous'))
    throw new AntirioError('invalidInput', 'whole keys are for autonomous contracts only');
  const { body } = header;
  const same = body.keyVersion === keyVersion && body.sealed === sealedHash(nonce, sealedSecrets);
  if (!same || body.part !== sha256Hex(openSealed(identity, part)))
    throw new AntirioError('invalidInput', 'these are not the keys that the customer signed for');
}

/**
 * The share in a box, if it is the one that the customer gave this holder; `header` undefined: it has not signed for any.
 * @throws AntirioError corrupt
 */
export function openShare(
  identity: Identity,
  header: KeyHeader | undefined,
  holder: EdgeId,
  box: SealedBox,
): Uint8Array {
  const share = openSealed(identity, box);
  if (header === undefined) return share;
  const commitment = header.shares.find((one) => one.holder === holder)?.commitment;
  if (commitment !== sha256Hex(share))
    throw new AntirioError('corrupt', 'this share is not the one that the customer gave the holder', {
      holder,
    });
  return share;
}

/**
 * The keys in a package. `shares`: what holders released, null where the package has the whole key.
 * @throws AntirioError corrupt when no threshold of the shares opens it; forbidden when there are too few.
 */
export async function openKeys(
  identity: Identity,
  given: KeptPackage,
  shares: readonly { readonly holder: EdgeId; readonly box: SealedBox }[] | null,
): Promise<Secrets> {
  const own = openSealed(identity, given.part);
  if (given.whole) return openWith(given, own, []);
  const header = given.header?.body;
  const threshold = thresholdOf(given);
  const open = (shares ?? []).map(({ holder, box }) => openShare(identity, header, holder, box));
  if (open.length < threshold)
    throw new AntirioError('forbidden', `the keys take ${threshold} of the arbitrators’ shares`, {
      contractId: given.contractId,
    });
  return openWith(given, own, open);
}

/** Without a header there is one share, the central arbitrator's. */
function thresholdOf({ header }: Pick<KeptPackage, 'header'>): number {
  return header?.body.threshold ?? 1;
}

/** The same with the parts in the clear, as whoever judges has them. @throws AntirioError corrupt */
export async function openWith(
  given: Omit<KeptPackage, 'service' | 'part'>,
  part: Uint8Array,
  shares: readonly Uint8Array[],
): Promise<Secrets> {
  if (given.whole) return decrypt(given, part);
  for await (const secret of candidateSecrets(shares, thresholdOf(given))) {
    try {
      return decrypt(given, xorBytes(part, secret));
    } catch (error) {
      if (!isAntirioError(error, 'corrupt')) throw error;
    }
  }
  throw new AntirioError('corrupt', 'the keys do not open with these shares', {
    contractId: given.contractId,
  });
}

function decrypt(
  {
    contractId,
    keyVersion,
    nonce,
    sealedSecrets,
  }: Pick<KeyPackage, 'contractId' | 'keyVersion' | 'nonce' | 'sealedSecrets'>,
  key: Uint8Array,
): Secrets {
  const aad = associated(contractId, keyVersion);
  const plain = aesGcmDecrypt(key, fromBase64(nonce), fromBase64(sealedSecrets), aad);
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

export interface ProtectedFiles {
  readonly secretsFile: string;
  readonly forwardingKeyFile?: string | undefined;
}

/** The customer's own keys. @throws AntirioError badConfig */
export function ownSecretsIn({ secretsFile, forwardingKeyFile }: ProtectedFiles): Secrets {
  const { forwarding: _none, volumes: _neither, ...own } = readJsonFile(secretsFile, secrets);
  if (forwardingKeyFile === undefined) return own;
  try {
    return { ...own, forwarding: { key: longKey.parse(readFileSync(forwardingKeyFile, 'utf8').trim()) } };
  } catch (cause) {
    throw new AntirioError(
      'badConfig',
      `cannot use ${forwardingKeyFile}`,
      { path: forwardingKeyFile },
      cause,
    );
  }
}
