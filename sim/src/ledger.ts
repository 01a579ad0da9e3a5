import { signDocument, type Identity, type Random } from '@antirio/kernel';
import {
  EMPTY_STATE_HASH,
  MemoryState,
  apply,
  genesis,
  genesisWrites,
  invariantProblems,
  signTx,
  type ContractRecord,
  type Receipt,
  type SignedTx,
  type Write,
  type payload,
} from '@antirio/ledger-machine';
import { TERMS_KIND, isEnded, type ContractTerms, type LedgerSight } from '@antirio/service-contract';
import type { input as Input } from 'zod';
import type { Dice } from './random.ts';
import { identities } from './identities.ts';

export type Payload = Input<typeof payload>;

/** One transaction's writes, at the ledger's time. */
export interface Written {
  readonly at: number;
  readonly writes: readonly Write[];
}

/** What each edge has before it signs anything; the customer's is enough for any rent in advance. */
export const FUNDS = { A: 1_000_000_000_000, B: 1000, C: 1000 } as const;

/** The ledger's real machine, on a disk that keeps everything: what it applied, no crash undoes. */
export interface SimLedger {
  head(): LedgerSight;
  /** The state hash after the transaction of that height. */
  hashAt(height: number): string | undefined;
  /** As it was after that height; what came later is gone until it is brought back. */
  restore(height: number): void;
  /** Everything that was ever applied is in it. */
  isWhole(): boolean;
  makeWhole(): void;
  /** Whether it ever said so, even where it has forgotten it. */
  hasEnded(contractId: string): boolean;
  submit(tx: SignedTx, wall: number): Receipt;
  read(key: string): unknown;
  balance(of: Identity): number;
  /** What is wrong with the state, in words. */
  problems(): string[];
  /** What was written so far, and when. */
  written(): readonly Written[];
}

const start = genesis.parse({
  arbitrator: identities.central.edgeId,
  balances: {
    [identities.A.edgeId]: FUNDS.A,
    [identities.B.edgeId]: FUNDS.B,
    [identities.C.edgeId]: FUNDS.C,
    [identities.central.edgeId]: 500,
  },
});

export function randomOf(dice: Dice): Random {
  return { bytes: (length) => Uint8Array.from({ length }, () => dice.below(256)) };
}

const FAR_HEIGHT = 10_000;

export function sign(by: Identity, dice: Dice, request: Payload): SignedTx {
  return signTx(by, randomOf(dice), FAR_HEIGHT, request);
}

const zero: Random = { bytes: (length) => new Uint8Array(length) };

/** Genesis and the registrations, the same for every run. */
const firstWrites: readonly (readonly Write[])[] = (() => {
  const state = new MemoryState();
  const all: (readonly Write[])[] = [];
  const keep = (writes: readonly Write[]): void => {
    state.apply(writes);
    all.push(writes);
  };
  keep(genesisWrites(state, start));
  for (const edge of [identities.A, identities.B, identities.C]) {
    const addresses = { url: 'http://127.0.0.1:59716', udp: { host: '127.0.0.1', port: 59_717 } };
    const request: Payload = { type: 'identity/register', name: 'an edge', sealKey: edge.sealKey, addresses };
    keep(apply(state, signTx(edge, zero, FAR_HEIGHT, request), { now: 1, height: 1 }).writes);
  }
  return all;
})();

export function createLedger(
  contracts: readonly ContractTerms[],
  dice: Dice,
  wall: number,
  machine: typeof apply,
): SimLedger {
  let state = new MemoryState();
  for (const writes of firstWrites) state.apply(writes);
  let log: (Written & { readonly stateHash: string })[] = [];
  /** The longest log there ever was: it comes back when the right disk does. */
  let newest = log;
  const ended = new Set<string>();
  let now = 1;
  const heightOf = (): number => 1 + log.length;
  const hashAt = (height: number): string | undefined =>
    height === 1 ? EMPTY_STATE_HASH : log[height - 2]?.stateHash;
  const submit = (tx: SignedTx, at: number): Receipt => {
    now = Math.max(now, Math.floor(at));
    const applied = machine(state, tx, { now, height: heightOf() + 1 });
    state.apply(applied.writes);
    for (const { contractId } of contracts) {
      const contract = state.get(`contract/${contractId}`) as ContractRecord | undefined;
      if (contract !== undefined && isEnded(contract.life)) ended.add(contractId);
    }
    log.push({ at: now, writes: applied.writes, stateHash: `${heightOf()}/${tx.signature}` });
    return applied.receipt;
  };
  const restore = (height: number): void => {
    const wanted = height - 1;
    if (log.length > newest.length) newest = log;
    log = (wanted > log.length ? newest : log).slice(0, wanted);
    state = new MemoryState();
    for (const writes of firstWrites) state.apply(writes);
    for (const { writes } of log) state.apply(writes);
  };
  for (const terms of contracts) {
    const provider = terms.provider === identities.B.edgeId ? identities.B : identities.C;
    const signatures = {
      customer: signDocument(identities.A, TERMS_KIND, terms).signature,
      provider: signDocument(provider, TERMS_KIND, terms).signature,
    };
    submit(sign(identities.central, dice, { type: 'contract/validate', terms, signatures }), wall);
  }
  return {
    submit,
    restore,
    hasEnded: (contractId) => ended.has(contractId),
    isWhole: () => log.length >= newest.length,
    makeWhole: () => {
      restore(1 + Math.max(log.length, newest.length));
    },
    hashAt,
    head: () => ({ height: heightOf(), stateHash: hashAt(heightOf()) ?? '' }),
    read: (key) => state.get(key),
    balance: (of) => (state.get(`account/${of.edgeId}`) as { balance: number } | undefined)?.balance ?? 0,
    problems: () => invariantProblems(state),
    written: () => log,
  };
}
