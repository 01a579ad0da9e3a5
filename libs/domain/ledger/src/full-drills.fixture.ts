// What the tests of full drills share: a READY contract with them, and what its parties send about one.
import { expect } from '@jest/globals';
import { signDocument } from '@antirio/kernel';
import {
  DRILL_FETCH_MS,
  YIELD_KIND,
  signedWord,
  type ContractTerms,
  type FullDrill,
  type SignedWord,
  type YieldCause,
} from '@antirio/service-contract';
import {
  ada,
  balances,
  ben,
  central,
  contractOf,
  createTestLedger,
  makeTerms,
  ready,
  register,
  ringRootOf,
  statement,
  take,
  validation,
  type Request,
  type TestLedger,
} from './machine.fixture.ts';
import { keys, type ContractRecord } from './records.ts';

export const SERVES_MS = 60_000;
export const PENALTY = 7;
export const FULL = { everyS: 86_400, servesMs: SERVES_MS };

export class FullDrillScene {
  readonly ledger: TestLedger = createTestLedger();
  readonly terms: ContractTerms;

  constructor(changes: Parameters<typeof makeTerms>[1] = {}) {
    this.terms = makeTerms(1, { drills: { penalty: PENALTY, full: FULL }, ...changes });
    register(this.ledger, ada, ben);
    this.well(central, validation(this.terms, ada, ben));
    this.ledger.now += 1000;
    this.well(ben, ready(this.terms));
  }

  /** Sends what the ledger has to take. */
  well(by: typeof ada, request: Request): void {
    expect(this.ledger.send(by, request)).toMatchObject({ ok: true });
  }

  wordFor(epoch: number, cause: YieldCause = 'drill'): SignedWord {
    const { contractId, set } = this.terms;
    const body = { contractId, setId: set.setId, epoch, cause, at: this.ledger.now };
    return signedWord.parse(signDocument(ada, YIELD_KIND, body));
  }
  ask(drill: number, epoch: number): Request {
    return { type: 'drill/full', contractId: this.terms.contractId, drill, word: this.wordFor(epoch) };
  }
  about(type: 'drill/full-end' | 'drill/decline', drill: number): Request {
    return { type, contractId: this.terms.contractId, drill };
  }
  back(epoch: number): Request {
    return { type: 'drill/back', contractId: this.terms.contractId, epoch };
  }
  release(epoch: number): Request {
    return { type: 'epoch/release', setId: this.terms.set.setId, epoch, counters: {} };
  }

  open(): void {
    const { contractId } = this.terms;
    const root = ringRootOf(ben, contractId, 0);
    this.well(central, { type: 'contract/open', contractId, root, keyVersion: 1 });
  }
  /** From the word to the provider's epoch, which is one more than the customer's. */
  served(drill: number, epoch: number): void {
    this.well(ada, this.ask(drill, epoch));
    this.open();
    this.well(ada, this.release(epoch));
    this.well(central, take(ben, this.terms, epoch));
  }
  stated(epoch: number): void {
    for (const by of [ben, ada]) this.well(by, statement(this.terms, epoch, 0));
  }
  home(epoch: number): void {
    this.well(ben, this.release(epoch));
    this.well(central, take(ada, this.terms, epoch));
    this.stated(epoch);
  }
  /** Its customer has had the time to fetch what it has asked for. */
  fetched(): void {
    this.ledger.now += DRILL_FETCH_MS + 1;
  }

  drillOf(n: number): FullDrill {
    return this.ledger.state.get(keys.fullDrill(this.terms.contractId, n)) as FullDrill;
  }
  contract(): ContractRecord {
    return contractOf(this.ledger, this.terms.contractId);
  }
  /** The customer's and the provider's. */
  balances(): number[] {
    return balances(this.ledger);
  }
}
