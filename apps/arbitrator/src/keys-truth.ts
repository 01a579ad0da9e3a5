import { describeError, isAntirioError, type Clock, type Identity, type SealedBox } from '@antirio/kernel';
import type { HttpPeer, Log } from '@antirio/host';
import { GENUINE_EVERY_MS, holdersOf, type ContractTerms, type HeldShare } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import { tellGenuine, type KeptFrames } from './genuine-sample.ts';
import type { LedgerClient } from './ledger-client.ts';
import { neighbourCall } from './peers.ts';
import {
  digestOf,
  releasedShare,
  secretsFor,
  type DividedKeys,
  type KeptPackage,
  type ReleasedShare,
  type Secrets,
} from './sealed-keys.ts';
import { claimOf, unverified } from './wrong-keys.ts';

export interface KeysTruthDependencies {
  readonly terms: ContractTerms;
  readonly identity: Identity;
  readonly clock: Clock;
  readonly peers: Readonly<Record<string, HttpPeer>>;
  readonly ledger: LedgerClient;
  readonly store: ContractStore;
  readonly log: Log;
  readonly given: (keyVersion?: number) => KeptPackage | undefined;
  readonly divided: () => Promise<DividedKeys>;
  readonly ownSecrets: () => Secrets;
}

/** Whether the keys that a customer sealed are those that it uses: it signs for frames, and its provider compares. */
export interface KeysTruth {
  /** The customer's half, now and then. */
  tell(): Promise<void>;
  /** The provider's: it has opened the keys, or failed to with these shares. */
  onOpened(secrets: Secrets, shares: readonly HeldShare[] | null): Promise<void>;
  onRefused(shares: readonly HeldShare[] | null): Promise<void>;
  /** Has the provider's claim judged, as long as there is one. */
  press(): Promise<void>;
}

/** Under which a provider keeps the frames that its customer signed for under a version of its keys. */
export function genuineName(keyVersion: number): string {
  return `genuine/${keyVersion}`;
}

const CLAIM = 'wrongKeysClaim';
const PRESS_EVERY_MS = 5000;
/** A holder that has not answered by then is not waited for before the customer is held to what it signed. */
const PATIENCE_MS = 30_000;

export function createKeysTruth(deps: KeysTruthDependencies): KeysTruth {
  const { terms, identity, clock, peers, ledger, store, log } = deps;
  const { contractId } = terms;
  let toldAt = -Infinity;
  let triedAt = -Infinity;
  let confirmed = 0;
  let pressedAt = -Infinity;
  let refusedSince: number | undefined;

  const claim = async (
    given: KeptPackage,
    shares: readonly HeldShare[] | null,
    kept: KeptFrames | undefined,
  ): Promise<void> => {
    const { header } = given;
    if (header === undefined) {
      log.warn(
        { keyVersion: given.keyVersion },
        'the keys are wrong, and the customer has not signed for them',
      );
      return;
    }
    const released = (shares ?? []).map(({ holder, share }) => ({ holder, ...releasedShare.parse(share) }));
    const sealKey = await ledger.sealKeyOf(terms.central);
    store.putDocument(contractId, CLAIM, claimOf(identity, sealKey, { ...given, header }, released, kept));
    log.warn({ keyVersion: given.keyVersion }, 'the customer’s keys are wrong: the arbitrator is to rule');
  };
  const packageOf = (shares: readonly HeldShare[] | null): KeptPackage | undefined => {
    const [first] = shares ?? [];
    const version = first === undefined ? undefined : (first.share as ReleasedShare).keyVersion;
    return deps.given(version);
  };

  return {
    async tell() {
      const now = clock.monotonic();
      const early = now - toldAt < GENUINE_EVERY_MS || now - triedAt < PRESS_EVERY_MS;
      if (early || terms.confidentiality === 'relay') return;
      triedAt = now;
      const own = deps.ownSecrets();
      const { digest } = await deps.divided();
      if (digest !== digestOf(secretsFor(terms, own))) {
        // Signing for frames under keys that were never given would be our own breach.
        log.warn(
          { keyVersion: own.keyVersion },
          'the keys have changed without a new version: give them one',
        );
        toldAt = now;
        return;
      }
      const told = await tellGenuine(peers, identity, terms, own);
      if (told === undefined) return;
      toldAt = now;
      if (told <= confirmed) return;
      await ledger.submit({ type: 'keys/confirm', contractId, keyVersion: told });
      confirmed = told;
    },
    async onOpened(secrets, shares) {
      refusedSince = undefined;
      const kept = store.document(contractId, genuineName(secrets.keyVersion)) as KeptFrames | undefined;
      const given = packageOf(shares);
      if (kept === undefined || given === undefined || unverified(secrets, kept) === undefined) return;
      await claim(given, shares, kept);
    },
    async onRefused(shares) {
      const now = clock.monotonic();
      refusedSince ??= now;
      const all = (shares?.length ?? 0) >= holdersOf(terms).length;
      const given = packageOf(shares);
      if (given !== undefined && (all || now - refusedSince >= PATIENCE_MS))
        await claim(given, shares, undefined);
    },
    async press() {
      const box = store.document(contractId, CLAIM) as SealedBox | null | undefined;
      const now = clock.monotonic();
      if (!box || now - pressedAt < PRESS_EVERY_MS) return;
      pressedAt = now;
      const json = { contractId, claim: box };
      const path = '/arbitrator/v1/central/wrong-keys';
      try {
        await neighbourCall(peers, 'central', 'arbitrator', { method: 'POST', path, json });
        store.putDocument(contractId, CLAIM, null);
      } catch (error) {
        log.warn({ error: describeError(error) }, 'the claim of wrong keys was not ruled');
        const final = ['forbidden', 'gone', 'invalidInput', 'unauthenticated'] as const;
        if (final.some((code) => isAntirioError(error, code))) store.putDocument(contractId, CLAIM, null);
      }
    },
  };
}
