import { statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { HttpRim, Log } from '@antirio/host';
import { AntirioError, describeError } from '@antirio/kernel';
import {
  isRekeying,
  joinedAddresses,
  keepsOnly,
  protectedDevice,
  type ProtectedDevice,
} from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import { dividedName } from './divided-keys.ts';
import type { Disclosed } from './key-history.ts';
import type { ArbitratorOptions } from './options.ts';
import type { PartyDriver } from './party-driver.ts';
import {
  ownSecretsIn,
  readJsonFile,
  secrets as secretsFile,
  sessionKeys,
  usedJoins,
  type DividedKeys,
  type Secrets,
} from './sealed-keys.ts';

/** What the device service writes of the sessions that joins made. */
const liveFile = z.object({
  serial: z.int().min(0),
  sessions: z.array(sessionKeys).max(100_000),
  joins: z.array(usedJoins).max(10_000).optional(),
});
type LiveFile = z.output<typeof liveFile>;

const NOTHING: LiveFile = { serial: 0, sessions: [] };

/** Where the device service of an edge writes it. */
const FILE = join('device-lora', 'live-sessions.json');

/** Of which parts a version of the keys was made. */
const madeOf = z.object({ version: z.int().min(1), file: z.int().min(1), serial: z.int().min(0) });
export type MadeOf = z.output<typeof madeOf>;

/** A provider says in what it is READY with how far the ledger is: a number that no joins explain is not followed. */
const FLOOR_AHEAD = 1_000_000;

function believed(floor: number, version: number): number {
  return floor <= version + FLOOR_AHEAD ? floor : 0;
}

/**
 * The version of the keys in the operator's file and of those that joins made, together: a number that only rises. Where nothing
 * joins it is the file's own. `floor`: what the ledger knows of already; above what we know of where our folder is an old backup.
 */
export function versionAfter(
  known: MadeOf | undefined,
  now: { readonly file: number; readonly serial: number },
  floor = 0,
): MadeOf {
  const there = now.serial === 0 ? 0 : believed(floor, Math.max(known?.version ?? 0, now.file));
  if (known === undefined)
    return { ...now, version: now.serial === 0 ? now.file : Math.max(now.file, there) + 1 };
  const isSame = known.file === now.file && known.serial === now.serial;
  if (isSame && known.version >= there) return known;
  return { ...now, version: Math.max(known.version + 1, now.file, there + 1) };
}

/** The customer's keys: those of its file, and those that joins have made. */
export interface OwnKeys {
  /** @throws AntirioError badConfig */
  secrets(): Secrets;
  /** Nothing where they cannot be read and never could. */
  keyVersion(): { readonly keyVersion?: number };
  live(): LiveFile;
}

export interface OwnKeysPorts {
  readonly options: Pick<ArbitratorOptions, 'dataDir' | 'protectedService'>;
  readonly store: Pick<ContractStore, 'document' | 'putDocument'>;
  readonly log: Log;
  /** The newest version that the ledger knows of in any contract of ours as a customer. */
  readonly floor?: () => number;
}

const OWN = 'own';
const MADE_OF = 'keysMadeOf';

/** What a file says, read again where it has changed; undefined where there is none. */
function watched<T>(path: string, read: (path: string) => T): () => T | undefined {
  let stamp = '';
  let known: T | undefined;
  return () => {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) return undefined;
    const { mtimeMs, size, ino } = found;
    const now = `${mtimeMs}/${size}/${ino}`;
    if (now !== stamp) {
      known = read(path);
      stamp = now;
    }
    return known;
  };
}

export function openOwnKeys({ options, store, log, floor }: OwnKeysPorts): OwnKeys {
  const readLive = watched(join(options.dataDir, FILE), (path) => readJsonFile(path, liveFile));
  const files = (): NonNullable<ArbitratorOptions['protectedService']> => {
    if (options.protectedService !== undefined) return options.protectedService;
    throw new AntirioError('badConfig', 'arbitrator.protectedService names no device service to protect');
  };
  let readOwn: (() => Pick<Secrets, 'keyVersion'> | undefined) | undefined;
  let last: MadeOf | undefined;
  const live = (): LiveFile => (options.protectedService === undefined ? NOTHING : (readLive() ?? NOTHING));
  const kept = (): MadeOf | undefined => {
    const found = madeOf.safeParse(store.document(OWN, MADE_OF));
    return found.success ? found.data : undefined;
  };
  const versionOf = (file: number, serial: number): number => {
    const before = last ?? kept();
    const next = versionAfter(before, { file, serial }, floor?.());
    // before anything is sealed under the number; where nothing joins there is nothing to be kept
    if (next !== before && (serial > 0 || before !== undefined)) store.putDocument(OWN, MADE_OF, next);
    last = next;
    return next.version;
  };
  const withLive = (own: Secrets): Secrets => {
    const { serial, sessions, joins } = live();
    const keyVersion = versionOf(own.keyVersion, serial);
    return sessions.length === 0
      ? { ...own, keyVersion }
      : { ...own, keyVersion, sessions: [...own.sessions, ...sessions], joins };
  };
  return {
    live,
    secrets: () => withLive(ownSecretsIn(files())),
    keyVersion() {
      if (options.protectedService === undefined) return {};
      try {
        readOwn ??= watched(files().secretsFile, (path) => readJsonFile(path, secretsFile));
        const own = readOwn();
        if (own !== undefined) return { keyVersion: versionOf(own.keyVersion, live().serial) };
      } catch (error) {
        // Perhaps it is being written; until it can be read, it goes by what was known.
        log.warn({ error: describeError(error) }, 'the keys of the protected service cannot be read');
      }
      return last === undefined ? {} : { keyVersion: last.version };
    },
  };
}

/** A session that a provider lacks. `waits`: it is on its way. */
export interface UnsealedSession extends ProtectedDevice {
  readonly contractId: string;
  readonly waits: boolean;
  readonly why: string;
}

type Driver = Pick<PartyDriver, 'role' | 'terms' | 'phase' | 'keysDelivered' | 'record'>;
type Documents = Pick<ContractStore, 'document'>;

/** Phases in which new keys go to the provider. */
const delivers: ReadonlySet<string> = new Set(['guarded', 'stated']);
/** The provider has no keys yet: nothing is promised for these devices. */
const unpromised: ReadonlySet<string> = new Set(['arming', 'ended']);

const nameOf = ({ devEui, devAddr }: ProtectedDevice): string => `${devEui}/${devAddr}`;

/** The addresses that the provider's newest package says. */
function sealedOf(store: Documents, { terms, keysDelivered }: Driver): ReadonlySet<string> {
  const version = keysDelivered();
  const divided =
    version === undefined
      ? undefined
      : (store.document(terms.contractId, dividedName(version)) as DividedKeys | undefined);
  return new Set([...terms.set.devices, ...(divided?.forProvider.addresses ?? [])].map(nameOf));
}

function unsealedOf(store: Documents, driver: Driver, sessions: LiveFile['sessions']): UnsealedSession[] {
  const { terms } = driver;
  const { contractId } = terms;
  const sealed = sealedOf(store, driver);
  const reachable = new Set(joinedAddresses(terms, sessions).map(nameOf));
  const ofSet = new Set(terms.set.devices.map(({ devEui }) => devEui));
  const phase = driver.phase().at;
  return sessions
    .map(({ devEui, devAddr }) => ({ devEui: devEui.toLowerCase(), devAddr: devAddr.toLowerCase() }))
    .filter((one) => ofSet.has(one.devEui) && !sealed.has(nameOf(one)))
    .map((one) => {
      const inRange = reachable.has(nameOf(one));
      const waits = inRange && delivers.has(phase);
      const why = !inRange
        ? 'its address is not in the contract’s devAddrRange'
        : waits
          ? 'on its way to the provider'
          : `the contract is ${phase}: keys go to the provider afterwards`;
      return { ...one, contractId, waits, why };
    });
}

/** What providers lack of the sessions that joins made. */
export interface SealingNow {
  readonly serial: number;
  readonly protected: readonly string[];
  readonly unsealed: readonly UnsealedSession[];
  /** Sessions in use whose keys others have seen. */
  readonly disclosed?: readonly Disclosed[];
  /** Devices whose root key others have seen: whatever they join with. */
  readonly rootKeysSeen?: readonly { readonly devEui: string }[];
}

export function sealingNow(
  drivers: Iterable<Driver>,
  store: Documents,
  own: Pick<OwnKeys, 'live'>,
): SealingNow {
  const { serial, sessions } = own.live();
  const living = [...drivers].filter(
    ({ role, phase, record, terms }) =>
      // what only waits for its payment goes on with no device, and who only keeps frames never does
      role === 'customer' && !keepsOnly(terms) && !unpromised.has(phase().at) && !isRekeying(record()),
  );
  return {
    serial,
    protected: [...new Set(living.flatMap(({ terms }) => terms.set.devices.map(({ devEui }) => devEui)))],
    unsealed: sessions.length === 0 ? [] : living.flatMap((one) => unsealedOf(store, one, sessions)),
  };
}

/** The device service asks, before it answers a join, whether providers could go on with the device. */
export function addLiveSessionRoutes(
  rim: HttpRim,
  now: () => SealingNow,
  leaveBehind: (left: readonly ProtectedDevice[]) => void,
): void {
  /** Of the sessions that others have seen, those whose devices go on in another one. */
  const left = z.array(protectedDevice).max(100_000).default([]);
  const body = z.strictObject({ serial: z.int().min(0), left });
  const asked = { summary: 'which sessions that joins made providers lack', body };
  rim.route('post', '/arbitrator/v1/live-sessions', asked, ({ request, body: told }) => {
    if ((request.get('x-antirio-peer') ?? '') !== '')
      throw new AntirioError('forbidden', 'only this edge’s own device service asks this');
    leaveBehind(told.left);
    return now();
  });
}
