// A customer's edge, its owner's cloud arbitrator that speaks for it, and a ledger in memory between them all.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from '@jest/globals';
import { silentLog, systemRandom, type HttpCall, type HttpPeer, type HttpRim } from '@antirio/host';
import { AntirioError, parseEdgeId, signDocument, type Identity } from '@antirio/kernel';
import {
  EPOCH_REQUEST_KIND,
  MemoryState,
  RING_ROOT_KIND,
  apply,
  genesis,
  genesisWrites,
  keys,
  signTx,
  signedRingRoot,
  type ContractRecord,
  type payload,
} from '@antirio/ledger-machine';
import { TERMS_KIND, contractTerms } from '@antirio/service-contract';
import type { z } from 'zod';
import { centralFacts } from './central-facts.ts';
import { openContractStore, type ContractStore } from './contract-store.ts';
import { openCustomerBook, type CustomerBook } from './customer-book.ts';
import { createCustomerFollow, type CustomerFollow } from './customer-follow.ts';
import {
  central,
  contractId,
  customer,
  provider,
  terms as plain,
  witness as cloud,
} from './escrow.fixture.ts';
import type { LedgerClient } from './ledger-client.ts';
import { createPatientSubmit } from './patient-submit.ts';
import { judgeBelowRoot, judgeContradiction } from './root-claims.ts';
import { addSpeakerRoutes } from './speaker-desk.ts';
import { createSpeakerReports, type SpeakerReports } from './speaker-reports.ts';
import { speakerReport } from './speaker-report.ts';

type Request = z.input<typeof payload>;
type Handler = (given: { params: object; body: unknown; request: unknown }) => unknown;

const START = 1_800_000_000_000;
export const SILENT_S = 600;
export const terms = contractTerms.parse({ ...plain, escrow: undefined, expiresAt: START + 86_400_000 });
const { setId } = terms.set;
export const self = parseEdgeId(customer.edgeId);
/** An edge of the same owner's. */
export const sister = parseEdgeId(provider.edgeId);

export const rootOf = (through: number, count = through, by = provider) =>
  signedRingRoot.parse(
    signDocument(by, RING_ROOT_KIND, {
      ...{ contractId, root: 'ab'.repeat(32), count, through, incarnation: 'life' },
    }),
  );

/** What exists from the beginning of a test to its end. */
interface Opened {
  readonly folder: string;
  readonly state: MemoryState;
  readonly store: ContractStore;
}

/** A customer's contract that is on the ledger, and who speaks for it; anew for each test of a file. */
export class SpeakerScene {
  now = START;
  height = 0;
  /** When the newest block was made: the ledger's time, which stands still while nobody submits anything. */
  blockAt = START;
  /** The customer's edge cannot be reached, or reaches nobody. */
  isCut = false;
  readonly clock = { now: () => this.now, monotonic: () => this.now - START };
  #opened: Opened | undefined;
  #cloud: { readonly book: CustomerBook; readonly follow: CustomerFollow } | undefined;
  #reports: SpeakerReports | undefined;
  #handlers = new Map<string, Handler>();

  constructor() {
    beforeEach(() => this.#open());
    afterEach(() => {
      this.store.close();
      this.book.close();
      rmSync(this.#now.folder, { recursive: true });
    });
  }

  get #now(): Opened {
    if (this.#opened === undefined) throw new AntirioError('internal', 'before the first test');
    return this.#opened;
  }
  get state(): MemoryState {
    return this.#now.state;
  }
  get store(): ContractStore {
    return this.#now.store;
  }
  get book(): CustomerBook {
    if (this.#cloud === undefined) throw new AntirioError('internal', 'before the first test');
    return this.#cloud.book;
  }
  get follow(): CustomerFollow {
    if (this.#cloud === undefined) throw new AntirioError('internal', 'before the first test');
    return this.#cloud.follow;
  }
  get reports(): SpeakerReports {
    return (this.#reports ??= this.openReports());
  }

  async #open(): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), 'antirio-speaker-'));
    [this.now, this.height, this.isCut, this.#reports] = [START, 0, false, undefined];
    this.blockAt = START;
    const state = new MemoryState();
    this.#opened = { folder, state, store: openContractStore(join(folder, 'contracts.db')) };
    const balances = { [customer.edgeId]: 1000, [provider.edgeId]: 1000 };
    state.apply(genesisWrites(state, genesis.parse({ arbitrator: central.edgeId, balances })));
    for (const edge of [customer, provider, cloud])
      await this.send(edge, {
        ...{ type: 'identity/register', name: 'an edge', sealKey: edge.sealKey },
        addresses: { url: 'http://127.0.0.1:59716', udp: { host: '127.0.0.1', port: 59717 } },
      });
    const signatures = {
      customer: signDocument(customer, TERMS_KIND, terms).signature,
      provider: signDocument(provider, TERMS_KIND, terms).signature,
    };
    await this.send(central, { type: 'contract/validate', terms, signatures });
    this.openCloud();
  }

  /** The ledger itself, in memory, for one signer. */
  readonly ledgerOf = (identity: Identity): LedgerClient => {
    const { state } = this;
    const submit = async (request: Request) => {
      this.height += 1;
      const { now, height } = this;
      this.blockAt = now;
      const applied = apply(state, signTx(identity, systemRandom, height + 10, request), { now, height });
      state.apply(applied.writes);
      const { receipt } = applied;
      if (receipt.ok) return receipt.result;
      throw new AntirioError(receipt.code, receipt.message, { txId: receipt.txId });
    };
    return {
      submit,
      read: async (key: string) => state.get(key),
      fetch: async (key: string) => state.get(key),
      entries: async (prefix: string) => [...state.range(prefix)],
      time: async () => this.blockAt,
    } as unknown as LedgerClient;
  };
  readonly send = (by: Identity, request: Request) => this.ledgerOf(by).submit(request);

  readonly ask = async (
    method: string,
    path: string,
    by: string | undefined,
    json: unknown = {},
  ): Promise<unknown> =>
    this.#handlers.get(`${method} ${path}`)?.({
      params: { id: contractId },
      body: json,
      request: { get: () => by },
    });

  /** Between edges: to the cloud's arbitrator, and to the central one. */
  #edge2edgeOf(by: Identity): HttpPeer {
    return {
      call: async ({ path, json }: HttpCall) => {
        if (this.isCut && by === customer) throw new AntirioError('unavailable', 'the way is cut');
        const [, , , to, , ...rest] = path.split('/');
        const asking = { peer: by.edgeId, now: this.now };
        const [facts, ledger] = [centralFacts(this.ledgerOf(central), this.clock), this.ledgerOf(central)];
        const judge = path.endsWith('statement-below-root') ? judgeBelowRoot : judgeContradiction;
        const answer =
          to === 'central'
            ? await judge(facts, ledger, asking, json as never)
            : await this.ask('post', `/${rest.join('/')}`, by.edgeId, speakerReport.parse(json));
        return { status: 200, headers: {}, body: Buffer.from('{}'), json: () => answer, text: () => '' };
      },
      close: () => undefined,
    };
  }

  readonly openReports = (withSpeaker = true): SpeakerReports => {
    const driver = {
      ...{ terms, role: 'customer', phase: () => ({ at: 'guarded', epoch: 1 }) },
      record: () => ({ state: 'READY', epoch: 1, holder: self }),
      seen: { beats: () => ({ bootId: 'b', sequence: 7, epoch: 1 }), leaseBy: () => 'grantor' },
    };
    const ports = { identity: customer, clock: this.clock, random: systemRandom, log: silentLog };
    const speaker = {
      ...{ edgeId: parseEdgeId(cloud.edgeId), everyS: 30, silentS: SILENT_S, forDays: 90 },
      acts: ['cancel' as const, 'expire' as const, 'coverage' as const, 'roots' as const],
    };
    return createSpeakerReports({
      options: withSpeaker ? { speaker } : {},
      ports: { ...ports, peers: { edge2edge: this.#edge2edgeOf(customer) } },
      ...{ store: this.store, ledger: this.ledgerOf(customer) },
      drivers: new Map([[contractId, driver as never]]),
    });
  };

  readonly openCloud = (): void => {
    const { clock } = this;
    const book = openCustomerBook(join(this.#now.folder, 'customers.db'), 2);
    const ledger = this.ledgerOf(cloud);
    const follow = createCustomerFollow({
      ...{ identity: cloud, clock, log: silentLog, ledger, book, customers: [self] },
      peers: { edge2edge: this.#edge2edgeOf(cloud) },
      submit: createPatientSubmit(ledger, { clock, random: systemRandom }),
    });
    this.#cloud = { book, follow };
    this.#handlers = new Map();
    const rim = {
      route: (method: string, path: string, _about: object, handler: Handler) =>
        void this.#handlers.set(`${method} ${path}`, handler),
    } as unknown as HttpRim;
    addSpeakerRoutes(rim, { clock, book, follow, customers: [self, sister] });
  };

  readonly contract = (): ContractRecord => this.state.get(keys.contract(contractId)) as ContractRecord;
  readonly balance = (edge: Identity): number =>
    (this.state.get(keys.account(parseEdgeId(edge.edgeId))) as { balance: number }).balance;
  readonly names = (): string[] => this.book.facts(contractId).map(({ name }) => name);

  /** One round of the edge, as far as it lives, and of its cloud. */
  readonly round = async (lives: boolean): Promise<void> => {
    this.now += 60_000;
    if (lives) {
      await this.reports.appoint();
      await this.reports.tell();
    }
    await this.follow.look();
  };
  readonly rounds = async (count: number, lives: boolean): Promise<void> => {
    for (let i = 0; i < count; i++) await this.round(lives);
  };

  readonly readyNow = async (): Promise<void> => {
    const { imageCid, configCid } = terms.image;
    await this.send(provider, { type: 'contract/ready', contractId, imageCid, configCid });
  };
  /** The provider takes over from a customer that does not come back. */
  readonly takenOver = async (): Promise<void> => {
    await this.send(central, { type: 'contract/open', contractId, root: rootOf(40), keyVersion: 1 });
    const request = { ...signDocument(provider, EPOCH_REQUEST_KIND, { setId, epoch: 1, contractId }) };
    await this.send(central, {
      ...{ type: 'epoch/take', request: { ...request, kind: EPOCH_REQUEST_KIND } },
      ...{ holderLeaseEndedAt: null, customerLeaseEndedAt: this.now - 500 },
    });
  };
  /** And lets go, and states so much. */
  readonly servedUpTo = async (through: number): Promise<void> => {
    await this.takenOver();
    await this.follow.look();
    await this.send(provider, { type: 'epoch/release', setId, epoch: 2, counters: {} });
    const statement = { contractId, epoch: 2, from: 1, through, incarnation: 'life', devices: [] };
    await this.send(provider, { type: 'contract/statement', statement, counters: {} });
  };
}
