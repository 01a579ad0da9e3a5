// What the tests of this library share: a small ledger in memory with named edges.
import {
  AntirioError,
  generateIdentity,
  openIdentity,
  signDocument,
  type Identity,
  type Random,
} from '@antirio/kernel';
import type { z } from 'zod';
import { TERMS_KIND, contractTerms, type ContractTerms } from '@antirio/service-contract';
import { genesis, genesisWrites } from './genesis.ts';
import { apply, type Applied } from './machine.ts';
import type { Receipt } from './receipt.ts';
import { keys, type ContractRecord } from './records.ts';
import { EMPTY_STATE_HASH, MemoryState, nextStateHash } from './state.ts';
import { EPOCH_REQUEST_KIND, RING_ROOT_KIND, signTx, type SignedTx, type payload } from './transaction.ts';

export type Request = z.input<typeof payload>;

export const start = 1_800_000_000_000;

let counter = 0;
export const counting: Random = {
  bytes(length) {
    counter += 1;
    const out = new Uint8Array(length);
    new DataView(out.buffer).setUint32(0, counter);
    return out;
  },
};

export const central = openIdentity(generateIdentity());
export const ada = openIdentity(generateIdentity());
export const ben = openIdentity(generateIdentity());
export const cleo = openIdentity(generateIdentity());

export interface TestLedger {
  readonly state: MemoryState;
  readonly log: { readonly tx: SignedTx; readonly now: number }[];
  now: number;
  stateHash(): string;
  send(by: Identity, request: Request): Receipt;
  sendTx(tx: SignedTx): Applied;
}

export const testGenesis = genesis.parse({
  arbitrator: central.edgeId,
  balances: { [ada.edgeId]: 1000, [ben.edgeId]: 1000, [cleo.edgeId]: 1000, [central.edgeId]: 500 },
});

export function createTestLedger(): TestLedger {
  const state = new MemoryState();
  const writes = genesisWrites(state, testGenesis);
  state.apply(writes);
  let hash = nextStateHash(EMPTY_STATE_HASH, writes);
  let height = 0;
  const ledger: TestLedger = {
    state,
    log: [],
    now: start,
    stateHash: () => hash,
    sendTx(tx) {
      height += 1;
      ledger.log.push({ tx, now: ledger.now });
      const applied = apply(state, tx, { now: ledger.now, height });
      if (applied.writes.length > 0) hash = nextStateHash(hash, applied.writes);
      state.apply(applied.writes);
      return applied;
    },
    send: (by, request) => ledger.sendTx(signTx(by, counting, height + 100, request)).receipt,
  };
  return ledger;
}

export function register(ledger: TestLedger, ...edges: Identity[]): void {
  for (const edge of edges)
    ledger.send(edge, {
      type: 'identity/register',
      name: 'an edge',
      sealKey: edge.sealKey,
      addresses: { url: 'http://127.0.0.1:59716', udp: { host: '127.0.0.1', port: 59717 } },
    });
}

export const devEui = (n: number): string => n.toString(16).padStart(16, '0');

export function makeTerms(n: number, changes: Partial<z.input<typeof contractTerms>> = {}): ContractTerms {
  return contractTerms.parse({
    version: 1,
    contractId: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`,
    customer: ada.edgeId,
    provider: ben.edgeId,
    central: central.edgeId,
    set: { setId: `set-${n}`, service: 'device-lora', devices: [{ devEui: devEui(n), devAddr: '0000000a' }] },
    image: { imageName: 'device-lora:1', imageCid: 'bafy-image', configCid: 'bafy-config' },
    confidentiality: 'process',
    opening: 'witnessed',
    standby: 'hot',
    stakes: { customer: 100, provider: 100 },
    takeoverSlaMs: 60_000,
    slots: { customer: 0, provider: 1 },
    expiresAt: start + 86_400_000,
    ...changes,
  });
}

export function validation(terms: ContractTerms, customer: Identity, provider: Identity): Request {
  const signatures = {
    customer: signDocument(customer, TERMS_KIND, terms).signature,
    provider: signDocument(provider, TERMS_KIND, terms).signature,
  };
  return { type: 'contract/validate', terms, signatures };
}

export function ready({ contractId, image }: ContractTerms): Request {
  const { imageCid, configCid } = image;
  return { type: 'contract/ready', contractId, imageCid, configCid };
}

export function take(
  taker: Identity,
  terms: ContractTerms,
  epoch: number,
  leases: { holder?: number; customer?: number } = {},
): Request {
  const { contractId, set } = terms;
  const request = signDocument(taker, EPOCH_REQUEST_KIND, { setId: set.setId, epoch, contractId });
  return {
    type: 'epoch/take',
    request: { ...request, kind: EPOCH_REQUEST_KIND },
    holderLeaseEndedAt: leases.holder ?? null,
    customerLeaseEndedAt: leases.customer ?? null,
  };
}

export function ringRootOf(
  provider: Identity,
  contractId: string,
  through: number,
  count = through,
  root = '0'.repeat(64),
) {
  const document = signDocument(provider, RING_ROOT_KIND, { contractId, root, count, through });
  return { ...document, kind: RING_ROOT_KIND } as const;
}

export function statement(terms: ContractTerms, epoch: number, through: number, count = 3): Request {
  const [device] = terms.set.devices;
  const devices =
    device === undefined
      ? []
      : [
          {
            ...device,
            session: '00'.repeat(8),
            first: 1,
            last: count,
            count,
            gaps: 0,
            digest: 'ab'.repeat(32),
          },
        ];
  return {
    type: 'contract/statement',
    statement: { contractId: terms.contractId, epoch, from: 1, through, devices },
    counters: {},
  };
}

export function askFor(p: number, q: number, changes: object = {}): Request {
  return { type: 'order/place', order: { side: 'ask', ...orderBody(p, q), ...changes } };
}

export function bidFor(p: number, q: number, changes: object = {}): Request {
  return {
    type: 'order/place',
    order: { side: 'bid', devices: 1, ...orderBody(p, q), capacity: smallCapacity, ...changes },
  };
}

const smallCapacity = {
  cpuMillis: 100,
  memoryMiB: 100,
  storageMiB: 100,
  bandwidthKbps: 10,
  ringBytes: 1_000_000,
};

function orderBody(p: number, q: number) {
  return {
    capacity: {
      cpuMillis: 250,
      memoryMiB: 250,
      storageMiB: 1000,
      bandwidthKbps: 1000,
      ringBytes: 10_000_000,
    },
    qualities: { cells: ['u0'] },
    standby: ['hot' as const],
    confidentiality: ['process' as const],
    price: { p, q },
    expiresAt: start + 3_600_000,
  };
}

/** A contract as that ledger has it. */
export const contractOf = (ledger: TestLedger, contractId: string): ContractRecord =>
  ledger.state.get(keys.contract(contractId)) as ContractRecord;

export function balances(ledger: TestLedger): number[] {
  return [ada, ben].map(
    (edge) => (ledger.state.get(keys.account(edge.edgeId)) as { balance: number }).balance,
  );
}

export function must(receipt: Receipt): void {
  // a test's world that cannot be built is a test that fails
  if (!receipt.ok) throw new AntirioError('internal', receipt.message);
}

export function readyLedger(terms: ContractTerms): TestLedger {
  const ledger = createTestLedger();
  register(ledger, ada, ben, cleo);
  must(ledger.send(central, validation(terms, ada, ben)));
  ledger.now += 1000;
  must(ledger.send(ben, ready(terms)));
  return ledger;
}

/** B took over and gave back. */
export function returnedLedger(terms: ContractTerms): TestLedger {
  const { contractId, set } = terms;
  const ledger = readyLedger(terms);
  ledger.now += 10_000;
  const root = ringRootOf(ben, contractId, 40);
  must(ledger.send(central, { type: 'contract/open', contractId, root, keyVersion: 1 }));
  must(ledger.send(central, take(ben, terms, 1, { customer: ledger.now - 500 })));
  const counters = { [devEui(1)]: 32 };
  must(ledger.send(ben, { type: 'epoch/release', setId: set.setId, epoch: 2, counters }));
  must(ledger.send(central, take(ada, terms, 2)));
  return ledger;
}
