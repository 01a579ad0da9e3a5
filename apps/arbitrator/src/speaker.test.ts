import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog, systemRandom, type HttpCall, type HttpPeer, type HttpRim } from '@antirio/host';
import {
  AntirioError,
  generateIdentity,
  openIdentity,
  parseEdgeId,
  signDocument,
  type Identity,
} from '@antirio/kernel';
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
import { FACTS_KEPT, openCustomerBook, type CustomerBook } from './customer-book.ts';
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
import { countersignRoot } from './ring-roots.ts';
import { addSpeakerRoutes } from './speaker-desk.ts';
import { createSpeakerReports, type SpeakerReports } from './speaker-reports.ts';
import { speakerReport } from './speaker-report.ts';

type Request = z.input<typeof payload>;
type Handler = (given: { params: object; body: unknown; request: unknown }) => unknown;

const START = 1_800_000_000_000;
const SILENT_S = 600;
const terms = contractTerms.parse({ ...plain, escrow: undefined, expiresAt: START + 86_400_000 });
const { setId } = terms.set;
const self = parseEdgeId(customer.edgeId);

let folder = '';
let now = 0;
let height = 0;
let state: MemoryState;
let store: ContractStore;
let book: CustomerBook;
let follow: CustomerFollow;
let handlers: Map<string, Handler>;
let reports: SpeakerReports;
/** The customer's edge cannot be reached, or reaches nobody. */
let isCut = false;

const clock = { now: () => now, monotonic: () => now - START };

/** The ledger itself, in memory, for one signer. */
function ledgerOf(identity: Identity): LedgerClient {
  const submit = async (request: Request) => {
    height += 1;
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
    time: async () => now,
  } as unknown as LedgerClient;
}
const send = (by: Identity, request: Request) => ledgerOf(by).submit(request);

const ask = async (
  method: string,
  path: string,
  by: string | undefined,
  json: unknown = {},
): Promise<unknown> =>
  handlers.get(`${method} ${path}`)?.({
    params: { id: contractId },
    body: json,
    request: { get: () => by },
  });

/** Between edges: to the cloud's arbitrator, and to the central one. */
const edge2edgeOf = (by: Identity): HttpPeer => ({
  async call({ path, json }: HttpCall) {
    if (isCut && by === customer) throw new AntirioError('unavailable', 'the way is cut');
    const [, , , to, , ...rest] = path.split('/');
    const asking = { peer: by.edgeId, now };
    const [facts, ledger] = [centralFacts(ledgerOf(central), clock), ledgerOf(central)];
    const judge = path.endsWith('statement-below-root') ? judgeBelowRoot : judgeContradiction;
    const answer =
      to === 'central'
        ? await judge(facts, ledger, asking, json as never)
        : await ask('post', `/${rest.join('/')}`, by.edgeId, speakerReport.parse(json));
    return { status: 200, headers: {}, body: Buffer.from('{}'), json: () => answer, text: () => '' };
  },
  close: () => undefined,
});

const rootOf = (through: number, count = through, by = provider) =>
  signedRingRoot.parse(
    signDocument(by, RING_ROOT_KIND, {
      ...{ contractId, root: 'ab'.repeat(32), count, through, incarnation: 'life' },
    }),
  );

function openReports(withSpeaker = true): SpeakerReports {
  const driver = {
    ...{ terms, role: 'customer', phase: () => ({ at: 'guarded', epoch: 1 }) },
    record: () => ({ state: 'READY', epoch: 1, holder: self }),
    seen: { beats: () => ({ bootId: 'b', sequence: 7, epoch: 1 }), leaseBy: () => 'grantor' },
  };
  const ports = { identity: customer, clock, random: systemRandom, log: silentLog };
  const speaker = {
    ...{ edgeId: parseEdgeId(cloud.edgeId), everyS: 30, silentS: SILENT_S, forDays: 90 },
    acts: ['cancel' as const, 'expire' as const, 'coverage' as const, 'roots' as const],
  };
  return createSpeakerReports({
    options: withSpeaker ? { speaker } : {},
    ports: { ...ports, peers: { edge2edge: edge2edgeOf(customer) } },
    ...{ store, ledger: ledgerOf(customer) },
    drivers: new Map([[contractId, driver as never]]),
  });
}

/** An edge of the same owner's. */
const sister = parseEdgeId(provider.edgeId);

function openCloud(): void {
  book = openCustomerBook(join(folder, 'customers.db'), 2);
  const ledger = ledgerOf(cloud);
  follow = createCustomerFollow({
    ...{ identity: cloud, clock, log: silentLog, ledger, book, customers: [self] },
    peers: { edge2edge: edge2edgeOf(cloud) },
    submit: createPatientSubmit(ledger, { clock, random: systemRandom }),
  });
  handlers = new Map();
  const rim = {
    route: (method: string, path: string, _about: object, handler: Handler) =>
      void handlers.set(`${method} ${path}`, handler),
  } as unknown as HttpRim;
  addSpeakerRoutes(rim, { clock, book, follow, customers: [self, sister] });
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-speaker-'));
  [now, height, isCut] = [START, 0, false];
  state = new MemoryState();
  const balances = { [customer.edgeId]: 1000, [provider.edgeId]: 1000 };
  state.apply(genesisWrites(state, genesis.parse({ arbitrator: central.edgeId, balances })));
  for (const edge of [customer, provider, cloud])
    await send(edge, {
      ...{ type: 'identity/register', name: 'an edge', sealKey: edge.sealKey },
      addresses: { url: 'http://127.0.0.1:59716', udp: { host: '127.0.0.1', port: 59717 } },
    });
  const signatures = {
    customer: signDocument(customer, TERMS_KIND, terms).signature,
    provider: signDocument(provider, TERMS_KIND, terms).signature,
  };
  await send(central, { type: 'contract/validate', terms, signatures });
  store = openContractStore(join(folder, 'contracts.db'));
  openCloud();
  reports = openReports();
});
afterEach(() => {
  store.close();
  book.close();
  rmSync(folder, { recursive: true });
});

const contract = (): ContractRecord => state.get(keys.contract(contractId)) as ContractRecord;
const balance = (edge: Identity): number =>
  (state.get(keys.account(parseEdgeId(edge.edgeId))) as { balance: number }).balance;
const names = (): string[] => book.facts(contractId).map(({ name }) => name);

/** One round of the edge, as far as it lives, and of its cloud. */
async function round(lives: boolean): Promise<void> {
  now += 60_000;
  if (lives) {
    await reports.appoint();
    await reports.tell();
  }
  await follow.look();
}
async function rounds(count: number, lives: boolean): Promise<void> {
  for (let i = 0; i < count; i++) await round(lives);
}

async function readyNow(): Promise<void> {
  const { imageCid, configCid } = terms.image;
  await send(provider, { type: 'contract/ready', contractId, imageCid, configCid });
}
/** The provider takes over from a customer that does not come back, lets go, and states so much. */
async function servedUpTo(through: number): Promise<void> {
  await send(central, { type: 'contract/open', contractId, root: rootOf(40), keyVersion: 1 });
  const request = { ...signDocument(provider, EPOCH_REQUEST_KIND, { setId, epoch: 1, contractId }) };
  await send(central, {
    ...{ type: 'epoch/take', request: { ...request, kind: EPOCH_REQUEST_KIND } },
    ...{ holderLeaseEndedAt: null, customerLeaseEndedAt: now - 500 },
  });
  await follow.look();
  await send(provider, { type: 'epoch/release', setId, epoch: 2, counters: {} });
  const statement = { contractId, epoch: 2, from: 1, through, incarnation: 'life', devices: [] };
  await send(provider, { type: 'contract/statement', statement, counters: {} });
}

describe('a customer’s cloud arbitrator', () => {
  test('is told by the edge how its contracts stand, once each, and shows it', async () => {
    countersignRoot({ identity: customer, store, clock }, terms, rootOf(7));
    await round(true);
    await rounds(3, true);
    expect(names().filter((name) => name.startsWith('root/'))).toHaveLength(1);
    const [shown] = (await ask('get', '/arbitrator/v1/speaker', undefined)) as [object];
    expect(shown).toMatchObject({
      ...{ contractId, customer: customer.edgeId, state: 'VALIDATED', closed: false },
      edge: { unheardS: 0, appointed: { speaker: cloud.edgeId, silentMs: SILENT_S * 1000 } },
      report: { at: now, value: { phase: 'guarded', beat: { sequence: 7 }, leaseBy: 'grantor' } },
    });
    expect(await ask('get', '/arbitrator/v1/speaker/:id', undefined)).toMatchObject({
      facts: expect.arrayContaining([expect.objectContaining({ name: 'epoch/1' })]),
    });
    await expect(ask('get', '/arbitrator/v1/speaker', provider.edgeId)).rejects.toThrow(/only the operator/);
  });

  test('takes nothing of an edge that is not its own, nor what is not signed, nor of others’ contracts', async () => {
    await follow.look();
    const path = '/arbitrator/v1/speaker/report';
    const report = { contractId, phase: 'guarded', heard: [], roots: [rootOf(7)] };
    const tell = (by: string | undefined, changes: object = {}) =>
      ask('post', path, by, { contracts: [{ ...report, ...changes }] });
    await expect(tell(central.edgeId)).rejects.toMatchObject({ code: 'forbidden' });
    await expect(tell(undefined)).rejects.toMatchObject({ code: 'forbidden' });
    const refused = (reason: string) => ({ taken: 0, refused: [{ reason }] });
    const root = rootOf(7);
    for (const roots of [[rootOf(7, 7, customer)], [{ ...root, body: { ...root.body, count: 6 } }]])
      expect(await tell(self, { roots })).toMatchObject(refused('a root is not the provider’s'));
    const other = { contractId: '00000000-0000-4000-8000-000000000001' };
    expect(await tell(self, other)).toMatchObject(refused('not followed yet'));
    expect(await tell(sister)).toMatchObject(refused('the contract is of another customer'));
    expect(await tell(self)).toMatchObject({ taken: 1, refused: [] });
  });

  test('knows from the ledger alone what comes after the end of its edge, and keeps it over a restart', async () => {
    await readyNow();
    await servedUpTo(50);
    await round(false);
    book.close();
    openCloud();
    await round(false);
    const found = new Set(names().map((name) => name.split('/')[0]));
    expect([...found].sort()).toEqual(['activation', 'epoch', 'opening', 'statement']);
    expect(names().filter((name) => name.startsWith('statement/'))).toHaveLength(1);
    // the epoch as it was held, and as it was let go
    expect(names().filter((name) => name === 'epoch/2')).toHaveLength(2);
    now += 8 * 86_400_000;
    await send(provider, { type: 'contract/close', contractId });
    await rounds(2, false);
    expect(book.get(contractId)).toMatchObject({ closed: true, record: { settlement: { row: 'honoured' } } });
  });

  test('reads again what it could not read, and follows the others where one contract is broken', async () => {
    await readyNow();
    await round(true);
    await servedUpTo(50);
    const ledger = ledgerOf(cloud);
    let fails: string | undefined = 'opening/';
    const code = { now: 'unavailable' as 'unavailable' | 'corrupt' };
    const flaky = createCustomerFollow({
      ...{ identity: cloud, clock, log: silentLog, book, customers: [self], peers: {} },
      submit: createPatientSubmit(ledger, { clock, random: systemRandom }),
      ledger: {
        ...ledger,
        entries: async (prefix) => {
          if (fails !== undefined && prefix.startsWith(fails)) throw new AntirioError(code.now, 'not now');
          return ledger.entries(prefix);
        },
      },
    });
    await send(central, { type: 'contract/open', contractId, root: rootOf(60), keyVersion: 1 });
    const openings = () => names().filter((name) => name.startsWith('opening/')).length;
    expect(openings()).toBe(1);
    await expect(flaky.look()).rejects.toThrow(/not now/);
    code.now = 'corrupt';
    await flaky.look();
    expect(openings()).toBe(1);
    fails = undefined;
    await flaky.look();
    expect(openings()).toBe(2);
  });

  test('keeps so much of each kind, and lets go of contracts that are over for those that live', () => {
    const put = (id: string, closed: boolean): boolean => {
      const admitted = book.admit(id);
      if (admitted) book.put({ contractId: id, customer: self, record: {}, closed });
      return admitted;
    };
    expect([put('a', false), put('b', true), put('c', false), put('d', false)]).toEqual([
      ...[true, true, true, false],
    ]);
    expect(book.all().map(({ contractId: id }) => id)).toEqual(['a', 'c']);
    book.note('a', { name: 'opening/1', at: 0, value: {} });
    for (let i = 0; i < FACTS_KEPT + 9; i++) book.note('a', { name: `root/${i}`, at: i, value: { i } });
    expect(book.facts('a')).toHaveLength(FACTS_KEPT + 1);
    expect(book.facts('a').at(0)?.name).toBe('opening/1');
  });
});

describe('who speaks for an edge', () => {
  test('cancels what never became READY once the edge has been silent for as long as it said', async () => {
    await rounds(30, true);
    expect(contract().life.state).toBe('VALIDATED');
    await rounds(9, false);
    expect(contract().life.state).toBe('VALIDATED');
    await rounds(3, false);
    expect(contract().life.state).toBe('CANCELLED');
    expect([balance(customer), balance(provider)]).toEqual([1000, 1000]);
  });

  test('says nothing while it hears the edge itself, or the ledger does, or it has just started', async () => {
    await round(true);
    for (let i = 0; i < 30; i++) {
      now += 60_000;
      await reports.tell();
      await follow.look();
    }
    expect(contract().life.state).toBe('VALIDATED');
    isCut = true;
    for (let i = 0; i < 30; i++) {
      now += 60_000;
      await reports.appoint();
      await expect(reports.tell()).rejects.toThrow(/cut/);
      await follow.look();
    }
    expect(contract().life.state).toBe('VALIDATED');
    now += SILENT_S * 1000;
    book.close();
    openCloud();
    await rounds(9, false);
    expect(contract().life.state).toBe('VALIDATED');
    await rounds(2, false);
    expect(contract().life.state).toBe('CANCELLED');
  });

  test('is nobody where the edge names nobody, and is so again once it does not any more', async () => {
    await rounds(2, true);
    await openReports(false).appoint();
    expect(state.get(keys.speaker(self))).toBeUndefined();
    await rounds(30, false);
    expect(contract().life.state).toBe('VALIDATED');
  });

  test('tells the ledger four times in a silence that the edge lives, and no oftener', async () => {
    await rounds(60, true);
    const said = 60 / (SILENT_S / 60 / 4);
    expect(height).toBeGreaterThan(said - 6);
    expect(height).toBeLessThan(said + 10);
  });

  test('claims where the provider states less than it had signed for when it opened', async () => {
    await readyNow();
    await round(true);
    await servedUpTo(39);
    await rounds(9, false);
    expect(contract().life.state).toBe('RETURNING');
    await rounds(3, false);
    expect(contract()).toMatchObject({ settlement: { row: 'providerBreach', reason: 'statementBelowRoot' } });
    expect([balance(customer), balance(provider)]).toEqual([1100, 900]);
  });

  test('claims where the provider’s opening contradicts a root that the edge had signed', async () => {
    await readyNow();
    countersignRoot({ identity: customer, store, clock }, terms, rootOf(40, 38));
    await rounds(2, true);
    await servedUpTo(50);
    await rounds(12, false);
    expect(contract()).toMatchObject({ settlement: { row: 'providerBreach', reason: 'contradictingRoots' } });
  });

  test('claims nothing at the centre while the provider serves, and puts no refusal on the ledger by it', async () => {
    await readyNow();
    await round(true);
    await send(central, { type: 'contract/open', contractId, root: rootOf(40), keyVersion: 1 });
    const request = { ...signDocument(provider, EPOCH_REQUEST_KIND, { setId, epoch: 1, contractId }) };
    await send(central, {
      ...{ type: 'epoch/take', request: { ...request, kind: EPOCH_REQUEST_KIND } },
      ...{ holderLeaseEndedAt: null, customerLeaseEndedAt: now - 500 },
    });
    now += SILENT_S * 1000;
    const before = height;
    const roots: [ReturnType<typeof rootOf>, ReturnType<typeof rootOf>] = [rootOf(40), rootOf(40, 39)];
    const ledger = ledgerOf(central);
    const asking = { peer: cloud.edgeId, now };
    const facts = centralFacts(ledger, clock);
    await expect(judgeContradiction(facts, ledger, asking, { contractId, roots })).rejects.toThrow(/serves/);
    await expect(judgeBelowRoot(facts, ledger, asking, { contractId })).rejects.toThrow(/serves/);
    expect(height).toBe(before);
  });

  test('leaves an honest provider alone', async () => {
    await readyNow();
    countersignRoot({ identity: customer, store, clock }, terms, rootOf(12));
    await rounds(2, true);
    await servedUpTo(50);
    await rounds(30, false);
    expect(contract().life.state).toBe('RETURNING');
    expect(contract().settlement).toBeUndefined();
  });

  test('is judged by the appointment: a stranger, the provider, and who is not silent claim nothing', async () => {
    await readyNow();
    await round(true);
    await servedUpTo(39);
    const facts = centralFacts(ledgerOf(central), clock);
    const judge = (by: Identity) =>
      judgeBelowRoot(facts, ledgerOf(central), { peer: by.edgeId, now }, { contractId });
    await expect(judge(openIdentity(generateIdentity()))).rejects.toMatchObject({ code: 'forbidden' });
    await expect(judge(provider)).rejects.toMatchObject({ code: 'forbidden' });
    await expect(judge(cloud)).rejects.toMatchObject({ code: 'conflict' });
    expect(await judge(customer)).toEqual({ ruled: 'statementBelowRoot' });
  });

  test('ends what is over by its time', async () => {
    await readyNow();
    await round(true);
    now = terms.expiresAt + 3_600_000;
    await rounds(2, false);
    expect(contract()).toMatchObject({ settlement: { row: 'expired' } });
    expect([balance(customer), balance(provider)]).toEqual([1000, 1000]);
  });
});
