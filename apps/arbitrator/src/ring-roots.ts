import { z } from 'zod';
import { parseInput, type HttpPeer, type Log } from '@antirio/host';
import {
  AntirioError,
  describeError,
  isAntirioError,
  signDocument,
  verifyDocument,
  type Clock,
  type Identity,
} from '@antirio/kernel';
import { RING_ROOT_KIND, contradict, keys, signedRingRoot } from '@antirio/ledger-machine';
import type { ContractTerms } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import type { LedgerClient } from './ledger-client.ts';
import type { PartyRooms } from './party-rooms.ts';
import { neighbourCall } from './peers.ts';
import { noteRingLife, ringLives } from './ring-lives.ts';
import { CONTRADICTION } from './root-claims.ts';

/** A provider's root over its ring, and who saw it before any opening. */
interface KeptRoot {
  readonly root: z.output<typeof signedRingRoot>;
  /** Wall ms of the edge that keeps it. */
  readonly at: number;
  /** The customer's signature over the same; without it the root is on the ledger. */
  readonly customer?: string;
}

export const rootRequest = z.strictObject({ root: signedRingRoot });
const rootAnswer = z.object({ signature: z.string().max(128) });

const newestAnswer = z.object({ root: signedRingRoot.optional() });

const ROOTS = 'ringRoots';
const ROOTS_KEPT = 32;
const EVERY_MS = 60_000;

function keptRoots(store: ContractStore, contractId: string): KeptRoot[] {
  return (store.document(contractId, ROOTS) as KeptRoot[] | undefined) ?? [];
}

function keep(store: ContractStore, contractId: string, one: KeptRoot): void {
  store.putDocument(contractId, ROOTS, [...keptRoots(store, contractId), one].slice(-ROOTS_KEPT));
  noteRingLife(store, contractId, one.root.body.incarnation);
}

export interface RootKeeperPorts {
  readonly terms: ContractTerms;
  readonly identity: Identity;
  readonly clock: Clock;
  readonly peers: Readonly<Record<string, HttpPeer>>;
  readonly ledger: Pick<LedgerClient, 'submit' | 'fetch'>;
  readonly store: ContractStore;
  readonly rooms: Pick<PartyRooms, 'ringIfThere' | 'ringRoot'>;
  readonly log: Log;
}

type Said = KeptRoot['root']['body'];

/** Has the root of the provider's ring signed by its customer once a minute, or recorded, where the ring has grown. */
export function createRootKeeper(ports: RootKeeperPorts): { look(): Promise<void> } {
  const { terms, identity, clock, peers, ledger, store, rooms, log } = ports;
  const { contractId, customer } = terms;
  let lookedAt = -Infinity;

  const countersigned = async (root: KeptRoot['root']): Promise<string | undefined> => {
    const path = `/arbitrator/v1/contract/${contractId}/root`;
    const call = { method: 'POST', path, json: { root } } as const;
    try {
      const { signature } = parseInput(rootAnswer, await neighbourCall(peers, customer, 'arbitrator', call));
      const signed = { kind: RING_ROOT_KIND, by: customer, body: root.body, signature };
      return verifyDocument(signed, RING_ROOT_KIND) ? signature : undefined;
    } catch (error) {
      log.debug({ error: describeError(error) }, 'the customer does not sign our ring’s root');
      return undefined;
    }
  };
  const show = async (through: number): Promise<void> => {
    const tree = await rooms.ringRoot(contractId, through);
    const document = signDocument(identity, RING_ROOT_KIND, { contractId, ...tree, through });
    const signed = signedRingRoot.parse(document);
    const by = await countersigned(signed);
    if (by === undefined) await ledger.submit({ type: 'ring/root', root: signed });
    keep(store, contractId, { root: signed, at: clock.now(), ...(by === undefined ? {} : { customer: by }) });
  };
  /** Whether our ring is what we said before that it is: brought back from an old backup it is another, and nothing is said of it. */
  const isItself = async (said: Said | undefined, last: number): Promise<boolean> => {
    if (said === undefined) return true;
    const through = Math.min(said.through, last);
    try {
      const { root, count, incarnation } = await rooms.ringRoot(contractId, through);
      if (incarnation !== said.incarnation) return true;
      return through === said.through && root === said.root && count === said.count;
    } catch (error) {
      if (isAntirioError(error, 'gone')) return true;
      throw error;
    }
  };
  /** What the customer remembers of it: nothing where it is of a version that keeps none, undefined where it is away. */
  const theirWord = async (): Promise<{ readonly said?: Said } | undefined> => {
    const path = `/arbitrator/v1/contract/${contractId}/root`;
    try {
      const answer = await neighbourCall(peers, customer, 'arbitrator', { path });
      const found = newestAnswer.safeParse(answer).data?.root;
      const isOurs = found?.by === terms.provider && verifyDocument(found, RING_ROOT_KIND);
      return isOurs ? { said: found.body } : {};
    } catch (error) {
      if (!isAntirioError(error)) throw error;
      return error.code === 'notFound' ? {} : undefined;
    }
  };
  /** Who lost all of its disk knows by others alone that this is another ring. */
  const noteLives = (all: readonly (Said | undefined)[]): void => {
    for (const said of all) noteRingLife(store, contractId, said?.incarnation);
  };
  let isChecked = false;
  const mayShow = async (last: number): Promise<boolean> => {
    if (isChecked) return true;
    const [theirs, recorded] = await Promise.all([theirWord(), ledger.fetch(keys.ringRoot(contractId))]);
    // our own disk may be an old one: where nobody remembers anything nothing is said before the customer is asked
    const ours = [recorded?.root, keptRoots(store, contractId).at(-1)?.root.body];
    if (theirs === undefined && ours.every((one) => one === undefined)) return false;
    for (const said of [theirs?.said, ...ours])
      if (!(await isItself(said, last))) {
        log.error(
          { said },
          'our ring came back from an old backup: no root that contradicts an earlier one is signed',
        );
        return false;
      }
    isChecked = theirs !== undefined;
    noteLives([...ours, theirs?.said]);
    return true;
  };
  const isNew = async (last: number): Promise<boolean> => {
    const shown = keptRoots(store, contractId).at(-1)?.root.body;
    if (shown === undefined || last >= shown.through) return last > (shown?.through ?? 0);
    return (await rooms.ringRoot(contractId, last)).incarnation !== shown.incarnation;
  };
  return {
    async look() {
      const now = clock.monotonic();
      if (now - lookedAt < EVERY_MS) return;
      lookedAt = now;
      const { next = 1 } = (await rooms.ringIfThere(contractId)) ?? {};
      if (next > 1 && (await mayShow(next - 1)) && (await isNew(next - 1))) await show(next - 1);
    },
  };
}

/**
 * Signs a root of the provider's that none of those before it contradicts: two that do are kept, for they prove its breach.
 * @throws AntirioError unauthenticated, conflict
 */
export function countersignRoot(
  { identity, store, clock }: { identity: Identity; store: ContractStore; clock: Pick<Clock, 'now'> },
  { contractId, provider }: ContractTerms,
  root: KeptRoot['root'],
): { readonly signature: string } {
  if (root.by !== provider || root.body.contractId !== contractId || !verifyDocument(root, RING_ROOT_KIND))
    throw new AntirioError('unauthenticated', 'the provider has not signed this root');
  const other = keptRoots(store, contractId).find((one) => contradict(one.root.body, root.body));
  if (other !== undefined) {
    store.putDocument(contractId, CONTRADICTION, [other.root, root]);
    throw new AntirioError('conflict', 'the root contradicts one that was signed before');
  }
  const { signature } = signDocument(identity, RING_ROOT_KIND, root.body);
  keep(store, contractId, { root, at: clock.now(), customer: signature });
  return { signature };
}

/** The newest root of the provider's that we have signed: who lost its disk may have forgotten what it said. */
export function newestRoot(
  store: ContractStore,
  contractId: string,
): { readonly root: KeptRoot['root'] | undefined } {
  return { root: keptRoots(store, contractId).at(-1)?.root };
}

/** The newest of the provider's roots, as it signed them, and two that contradict each other where there are such. */
export function shownRoots(store: ContractStore, contractId: string, newest: number): KeptRoot['root'][] {
  const contradicting = (store.document(contractId, CONTRADICTION) as KeptRoot['root'][] | undefined) ?? [];
  const kept = keptRoots(store, contractId).slice(-newest);
  return [...kept.map(({ root }) => root), ...contradicting];
}

async function unlessAway<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if (isAntirioError(error)) return undefined;
    throw error;
  }
}

/**
 * Which frames of the provider's ring prove themselves: those under a root that is older than the first opening of any keys. Later
 * ones are `keyShared`: whoever has the keys could have made them.
 */
export async function proofView(
  store: ContractStore,
  ledger: Pick<LedgerClient, 'fetch'>,
  terms: ContractTerms,
): Promise<unknown> {
  const { contractId } = terms;
  // what came after it may have been made with keys that it opened, also where newer ones are sealed now
  const [opening, recorded] = await Promise.all([
    unlessAway(ledger.fetch(keys.opening(contractId, 1))),
    unlessAway(ledger.fetch(keys.ringRoot(contractId))),
  ]);
  const roots = keptRoots(store, contractId).map(({ root, at, customer }) => ({
    ...{ through: root.body.through, root: root.body.root, at },
    signedBy: customer === undefined ? 'provider, on the ledger' : 'both',
  }));
  return {
    ringLives: ringLives(store, contractId),
    roots,
    recorded,
    contradicting: store.document(contractId, CONTRADICTION),
    proof:
      terms.opening === 'autonomous'
        ? { ownThrough: 0, later: 'keyShared' }
        : opening && { ownThrough: opening.root.through, later: 'keyShared', opening: 1 },
  };
}
