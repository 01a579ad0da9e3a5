import { z } from 'zod';
import { canonicalBytes, sha256Hex } from '@antirio/kernel';
import type { ContractTerms, ProtectedDevice } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import type { RootKey, Secrets } from './sealed-keys.ts';

type SessionKeys = Secrets['sessions'][number];

/** In which version of a contract's keys each session was sealed first, by a hash of the session; those of the newest version only. */
const history = z.object({ version: z.int(), first: z.record(z.string(), z.int()) });
export type KeyHistory = z.output<typeof history>;

const NAME = 'keysSince';

function hashOf({ devEui, devAddr, nwkSKey }: SessionKeys): string {
  const named = { devEui: devEui.toLowerCase(), devAddr: devAddr.toLowerCase() };
  return sha256Hex(canonicalBytes({ ...named, nwkSKey: nwkSKey.toLowerCase() })).slice(0, 32);
}

function hashOfRoot({ devEui, appKey, nwkKey = appKey }: RootKey): string {
  const named = { devEui: devEui.toLowerCase(), rootKey: nwkKey?.toLowerCase() };
  return `root/${sha256Hex(canonicalBytes(named)).slice(0, 32)}`;
}

/** Before every version: a session that a provider has made was never unseen. */
const EVER = 1;

export function historyAfter(
  known: KeyHistory | undefined,
  { keyVersion, sessions, rootKeys = [] }: Pick<Secrets, 'keyVersion' | 'sessions' | 'rootKeys'>,
): KeyHistory {
  if (known !== undefined && known.version >= keyVersion) return known;
  const first = sessions.map((session) => {
    const hash = hashOf(session);
    return [hash, known?.first[hash] ?? (session.broughtHome === true ? EVER : keyVersion)] as const;
  });
  const roots = rootKeys.map((one) => {
    const hash = hashOfRoot(one);
    return [hash, known?.first[hash] ?? keyVersion] as const;
  });
  return { version: keyVersion, first: Object.fromEntries([...first, ...roots]) };
}

/** The first version that had some of the newest one's keys. */
export function sinceOf({ version, first }: KeyHistory): number {
  return Math.min(version, ...Object.values(first));
}

type Documents = Pick<ContractStore, 'document' | 'putDocument'>;

export function historyIn(store: Pick<Documents, 'document'>, contractId: string): KeyHistory | undefined {
  const found = history.safeParse(store.document(contractId, NAME));
  return found.success ? found.data : undefined;
}

/** Writes a version down before it is sealed. Resolves to the first version that had some of its keys. */
export function noteVersion(store: Documents, contractId: string, chosen: Secrets): number {
  const known = historyIn(store, contractId);
  const next = historyAfter(known, chosen);
  if (next !== known) store.putDocument(contractId, NAME, next);
  return sinceOf(next);
}

/** Which version of the keys somebody has seen, as the ledger has it. */
export interface SeenKeys {
  readonly version: number;
  readonly exposedAt?: number | undefined;
  readonly exposedVersion?: number | undefined;
}

/** A session whose keys somebody else has seen, and that is still in use. */
export interface Disclosed extends ProtectedDevice {
  /** Neither of a session that a provider made itself: it has known it from the beginning. */
  readonly contractId?: string;
  /** The ledger's time. */
  readonly at?: number;
}

/** Of these sessions, those of the set whose keys were in the version that was seen. */
export function disclosedOf(
  { contractId, set, confidentiality }: ContractTerms,
  known: KeyHistory | undefined,
  seen: SeenKeys | undefined,
  sessions: Secrets['sessions'],
): readonly Disclosed[] {
  if (seen?.exposedAt === undefined || confidentiality === 'relay') return [];
  const { exposedAt: at, exposedVersion = seen.version } = seen;
  const ofSet = new Set(set.devices.map(({ devEui }) => devEui));
  return (
    sessions
      .filter((session) => ofSet.has(session.devEui.toLowerCase()))
      // sealed before there was a history: as if seen
      .filter(
        (session) => known === undefined || (known.first[hashOf(session)] ?? Infinity) <= exposedVersion,
      )
      .map(({ devEui, devAddr }) => ({
        ...{ devEui: devEui.toLowerCase(), devAddr: devAddr.toLowerCase() },
        ...{ contractId, at },
      }))
  );
}

/** Of these root keys, those of the set's devices that were in the version that was seen. */
export function rootsSeenOf(
  { contractId, rootKeys: given, set }: ContractTerms,
  known: KeyHistory | undefined,
  seen: SeenKeys | undefined,
  rootKeys: readonly RootKey[],
): readonly RootSeen[] {
  if (given !== true || seen?.exposedAt === undefined) return [];
  const { exposedAt: at, exposedVersion = seen.version } = seen;
  const ofSet = new Set(set.devices.map(({ devEui }) => devEui));
  return rootKeys
    .map((one) => ({ devEui: one.devEui.toLowerCase(), hash: hashOfRoot(one), contractId, at }))
    .filter(({ devEui, hash }) => ofSet.has(devEui) && (known?.first[hash] ?? Infinity) <= exposedVersion);
}

const kept = z.object({
  hash: z.string(),
  devEui: z.string(),
  devAddr: z.string(),
  contractId: z.string(),
  at: z.number(),
});
const keptAll = z.array(kept);
type Kept = z.output<typeof kept>;

const rootSeen = kept.omit({ devAddr: true });
/** A root key that somebody else has seen: only another one ends that, no join does. */
export type RootSeen = z.output<typeof rootSeen>;

const OWN = 'own';
const DISCLOSED = 'disclosed';
const ROOTS_SEEN = 'rootKeysSeen';

/** Root keys that others have seen outlast contracts and joins: until the operator has given the device another one. */
function openRootsSeen(store: Documents) {
  let all = z.array(rootSeen).safeParse(store.document(OWN, ROOTS_SEEN)).data ?? [];
  return {
    add(found: readonly RootSeen[], inUse: ReadonlySet<string>): void {
      const before = new Set(all.map(({ hash }) => hash));
      const added = found.filter(({ hash }) => !before.has(hash));
      const left = all.filter(({ hash }) => inUse.has(hash));
      if (added.length === 0 && left.length === all.length) return;
      all = [...left, ...added];
      store.putDocument(OWN, ROOTS_SEEN, all);
    },
    all: () => all,
  };
}

/** What others have seen of this edge's keys outlasts the contracts by which they did. */
export interface Disclosures {
  /** Looks at what the ledger says of a contract's keys. */
  look(terms: ContractTerms, seen: SeenKeys | undefined): void;
  /** Those that are still in use. */
  all(): readonly Disclosed[];
  /** Devices that still have a root key which others have seen. */
  rootKeys(): readonly Omit<RootSeen, 'hash'>[];
}

export function openDisclosures(
  store: Documents,
  secrets: () => Secrets,
  /** Sessions in use that providers have made. */
  made: () => readonly ProtectedDevice[] = () => [],
): Disclosures {
  const stampOf = ({ version, exposedAt, exposedVersion }: SeenKeys, now: KeyHistory | undefined): string =>
    `${version}/${exposedAt ?? ''}/${exposedVersion ?? ''}/${now?.version ?? ''}`;
  const read = (): Kept[] => {
    const found = keptAll.safeParse(store.document(OWN, DISCLOSED));
    return found.success ? found.data : [];
  };
  let known = read();
  const roots = openRootsSeen(store);
  const looked = new Map<string, string>();
  /** Undefined where the files cannot be read now. */
  const keysNow = (): Secrets | undefined => {
    try {
      return secrets();
    } catch {
      return undefined;
    }
  };
  const sessionsOf = ({ sessions }: Secrets): ReadonlyMap<string, SessionKeys> =>
    new Map(sessions.map((session) => [hashOf(session), session]));
  return {
    look(terms, seen) {
      if (seen?.exposedAt === undefined) return;
      const { contractId } = terms;
      const now = historyIn(store, contractId);
      const stamp = stampOf(seen, now);
      if (looked.get(contractId) === stamp) return;
      const files = keysNow();
      if (files === undefined) return;
      const { rootKeys = [] } = files;
      roots.add(rootsSeenOf(terms, now, seen, rootKeys), new Set(rootKeys.map(hashOfRoot)));
      const current = sessionsOf(files);
      const found = disclosedOf(terms, now, seen, [...current.values()]);
      const named = new Set(found.map(({ devEui, devAddr }) => `${devEui}/${devAddr}`));
      const before = new Set(known.map(({ hash }) => hash));
      const added = [...current].flatMap(([hash, { devEui, devAddr }]) => {
        const one = { devEui: devEui.toLowerCase(), devAddr: devAddr.toLowerCase() };
        const isNew = !before.has(hash) && named.has(`${one.devEui}/${one.devAddr}`);
        return isNew ? [{ hash, ...one, contractId, at: seen.exposedAt ?? 0 }] : [];
      });
      const left = known.filter(({ hash }) => current.has(hash));
      if (added.length > 0 || left.length < known.length) {
        known = [...left, ...added];
        store.putDocument(OWN, DISCLOSED, known);
      }
      looked.set(contractId, stamp);
    },
    all() {
      const others = made().map(({ devEui, devAddr }) => ({ devEui, devAddr }));
      if (known.length === 0) return others;
      const files = keysNow();
      const current = files === undefined ? undefined : sessionsOf(files);
      const seen = known
        .filter(({ hash }) => current?.has(hash) !== false)
        .map(({ hash: _hash, ...one }) => one);
      const names = new Set(seen.map(({ devEui, devAddr }) => `${devEui}/${devAddr}`));
      return [...seen, ...others.filter(({ devEui, devAddr }) => !names.has(`${devEui}/${devAddr}`))];
    },
    rootKeys() {
      const seen = roots.all();
      if (seen.length === 0) return [];
      const current = keysNow()?.rootKeys;
      const inUse = current === undefined ? undefined : new Set(current.map(hashOfRoot));
      return seen.filter(({ hash }) => inUse?.has(hash) !== false).map(({ hash: _hash, ...one }) => one);
    },
  };
}
