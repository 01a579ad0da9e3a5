import { z } from 'zod';
import { canonicalBytes, sha256Hex } from '@antirio/kernel';
import type { ContractTerms, ProtectedDevice } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import type { Secrets } from './sealed-keys.ts';

type SessionKeys = Secrets['sessions'][number];

/** In which version of a contract's keys each session was sealed first, by a hash of the session; those of the newest version only. */
const history = z.object({ version: z.int(), first: z.record(z.string(), z.int()) });
export type KeyHistory = z.output<typeof history>;

const NAME = 'keysSince';

function hashOf({ devEui, devAddr, nwkSKey }: SessionKeys): string {
  const named = { devEui: devEui.toLowerCase(), devAddr: devAddr.toLowerCase() };
  return sha256Hex(canonicalBytes({ ...named, nwkSKey: nwkSKey.toLowerCase() })).slice(0, 32);
}

export function historyAfter(
  known: KeyHistory | undefined,
  { keyVersion, sessions }: Pick<Secrets, 'keyVersion' | 'sessions'>,
): KeyHistory {
  if (known !== undefined && known.version >= keyVersion) return known;
  const first = sessions.map((session) => {
    const hash = hashOf(session);
    return [hash, known?.first[hash] ?? keyVersion] as const;
  });
  return { version: keyVersion, first: Object.fromEntries(first) };
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
  readonly contractId: string;
  /** The ledger's time. */
  readonly at: number;
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

const kept = z.object({
  hash: z.string(),
  devEui: z.string(),
  devAddr: z.string(),
  contractId: z.string(),
  at: z.number(),
});
const keptAll = z.array(kept);
type Kept = z.output<typeof kept>;

const OWN = 'own';
const DISCLOSED = 'disclosed';

/** What others have seen of this edge's keys outlasts the contracts by which they did. */
export interface Disclosures {
  /** Looks at what the ledger says of a contract's keys. */
  look(terms: ContractTerms, seen: SeenKeys | undefined): void;
  /** Those that are still in use. */
  all(): readonly Disclosed[];
}

export function openDisclosures(store: Documents, secrets: () => Secrets): Disclosures {
  const read = (): Kept[] => {
    const found = keptAll.safeParse(store.document(OWN, DISCLOSED));
    return found.success ? found.data : [];
  };
  let known = read();
  const looked = new Map<string, string>();
  /** Undefined where the files cannot be read now. */
  const inUse = (): ReadonlyMap<string, SessionKeys> | undefined => {
    try {
      return new Map(secrets().sessions.map((session) => [hashOf(session), session]));
    } catch {
      return undefined;
    }
  };
  return {
    look(terms, seen) {
      if (seen?.exposedAt === undefined) return;
      const { contractId } = terms;
      const now = historyIn(store, contractId);
      const stamp = `${seen.version}/${seen.exposedAt}/${seen.exposedVersion ?? ''}/${now?.version ?? ''}`;
      if (looked.get(contractId) === stamp) return;
      const current = inUse();
      if (current === undefined) return;
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
      if (known.length === 0) return [];
      const current = inUse();
      return known.filter(({ hash }) => current?.has(hash) !== false).map(({ hash: _hash, ...one }) => one);
    },
  };
}
