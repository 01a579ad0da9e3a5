import type { EdgeId } from '@antirio/kernel';
import type { ContractTerms, mayRelease } from '@antirio/service-contract';
import { ledgerView } from './ledger-view.ts';
import type { Engine } from './engine.ts';
import { holderIds } from './identities.ts';
import type { SimLedger } from './ledger.ts';
import type { Reply } from './network.ts';
import type { Dice } from './random.ts';
import type { Trace } from './trace.ts';

export interface HolderPieces {
  readonly mayRelease: typeof mayRelease;
}

export interface HolderPorts {
  readonly engine: Engine;
  readonly trace: Trace;
  readonly dice: Dice;
  readonly ledger: SimLedger;
  readonly contracts: readonly ContractTerms[];
  readonly pieces: HolderPieces;
  /** Until then one of them at a time is killed, and a greedy provider asks for what it has no right to. */
  readonly until: number;
  /** A share left its holder without an opening on the ledger. */
  readonly onTheft: (holder: EdgeId) => void;
}

/** Edges that hold shares of keys and nothing else. What they keep survives their deaths. */
export interface Holders {
  keep(holder: EdgeId, contractId: string, reply: Reply<unknown>): void;
  release(asker: EdgeId, holder: EdgeId, contractId: string, opening: number, reply: Reply<unknown>): void;
}

const padded = (n: number): string => String(n).padStart(12, '0');

interface Opening {
  readonly at: number;
  readonly epoch: number;
  readonly keyVersion: number;
}

export function createHolders(ports: HolderPorts): Holders {
  const { engine, trace, dice, ledger, contracts, pieces } = ports;
  const kept = new Set<string>();
  let dead: EdgeId | undefined;
  const termsOf = (id: string): ContractTerms | undefined => contracts.find((one) => one.contractId === id);
  const openingOf = (id: string, n: number): Opening | undefined =>
    ledger.read(`opening/${id}/${padded(n)}`) as Opening | undefined;

  const answers = (holder: EdgeId, contractId: string): boolean =>
    dead !== holder && kept.has(`${holder}/${contractId}`);

  const release: Holders['release'] = (asker, holder, contractId, number, reply) => {
    const terms = termsOf(contractId);
    if (terms === undefined || !answers(holder, contractId)) {
      reply({ ok: false, code: 'unavailable' });
      return;
    }
    const view = ledgerView(ledger, terms);
    const { life, openings, activation } = view.contract();
    const there = openingOf(contractId, number);
    const allowed = pieces.mayRelease({
      ...{ terms, asker, holder, epoch: view.setRecord().epoch },
      opening: there && { ...there, number, rootIsProviders: true },
      contract: { state: life.state, openings, activation: activation?.epoch },
      now: there?.at ?? 0,
    });
    if (allowed.ok && there === undefined) ports.onTheft(holder);
    trace.note('holder', 'share', () => (allowed.ok ? 'released' : allowed.error));
    reply(allowed.ok ? { ok: true, value: { share: holder } } : { ok: false, code: allowed.error });
  };
  const killOne = (): void => {
    dead = engine.now < ports.until ? dice.pick(holderIds) : undefined;
    if (dead === undefined) return;
    engine.after(dice.between(100, 6000), () => {
      dead = undefined;
      engine.after(dice.between(200, 6000), killOne);
    });
  };
  const steal = (): void => {
    if (engine.now >= ports.until) return;
    for (const terms of contracts) {
      const { contractId, provider } = terms;
      const { openings } = ledgerView(ledger, terms).contract();
      release(provider, dice.pick(holderIds), contractId, openings + 1, () => undefined);
    }
    engine.after(dice.between(1000, 8000), steal);
  };
  engine.after(dice.between(200, 10_000), killOne);
  engine.after(dice.between(1000, 8000), steal);
  return {
    release,
    keep(holder, contractId, reply) {
      if (dead !== holder) kept.add(`${holder}/${contractId}`);
      reply(dead === holder ? { ok: false, code: 'unavailable' } : { ok: true, value: { keyVersion: 1 } });
    },
  };
}
