import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog } from '@antirio/host';
import { fromHex, signDocument, toBase64, toHex, type Identity } from '@antirio/kernel';
import { createSessionCipher, parseDataFrame, parseDevAddr, sessionFingerprint } from '@antirio/lorawan';
import {
  COVERAGE_KIND,
  contractTerms,
  type CoverageMark,
  type CoverageSettings,
  type SignedMark,
} from '@antirio/service-contract';
import { openContractStore, type ContractStore } from './contract-store.ts';
import { createCoverageClaims } from './coverage-claims.ts';
import { coverageName } from './coverage-store.ts';
import { contractId, customer, provider, terms as twoHolders } from './escrow.fixture.ts';

const terms = contractTerms.parse({ ...twoHolders, coverage: { breach: 'ruled', claimWithinMs: 60_000 } });
const KEY = '11'.repeat(16);
const devEui = '00000000000000aa';
const devAddr = parseDevAddr('0000000a');
const nwkSKey = fromHex(KEY, 16);
const session = sessionFingerprint(nwkSKey, devAddr);
const cipher = createSessionCipher({ nwkSKey });
const secrets = { keyVersion: 1, sessions: [{ devEui, devAddr, nwkSKey: KEY }] };
const EPOCH = 4;
const THROUGH = 3;
const AGREED = 1_000_000;

function markOf(more: Partial<CoverageMark> = {}): SignedMark {
  const body: CoverageMark = {
    ...{
      contractId,
      devEui,
      devAddr,
      session,
      keyVersion: 1,
      at: 0,
      from: 91,
      last: 100,
      shown: 10,
      seq: 280,
    },
    ...{
      settings: { dataRate: 'SF7BW125', txPower: 0 },
      receipts: { chain: 'c', batch: 1, hash: '0'.repeat(64) },
    },
    ...{ before: { sent: 100, shown: 95 }, since: { sent: 100, shown: 100 } },
    ...more,
  };
  const by = (one: Identity): string => signDocument(one, COVERAGE_KIND, body).signature;
  return { body, signatures: { customer: by(customer), provider: by(provider) } };
}

let folder = '';
let store: ContractStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-claims-'));
  store = openContractStore(join(folder, 'a.db'));
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

interface World {
  readonly role?: 'customer' | 'provider';
  /** Handed back, of 300 uplinks. */
  readonly count?: number;
  /** FCnts in the provider's ring after what it stated. */
  readonly after?: readonly number[];
  readonly coverage?: object;
  readonly claimed?: object;
  readonly now?: number;
  readonly settings?: CoverageSettings;
}

/** A look at the ledger's open outage; returns what was sent to it. */
async function look(world: World = {}): Promise<unknown[]> {
  const { role = 'customer', count = 150, after = [401, 402], now = AGREED } = world;
  const frames = after.map((fcnt, i) => {
    const bytes = cipher.build({ direction: 'up', confirmed: false, devAddr, fcnt });
    const { fcnt16, mic } = parseDataFrame(bytes);
    const rx = { snr: 5, spreadingFactor: 7, bandwidth: 125 };
    const seq = THROUGH + 1 + i;
    const offer = { seq, devAddr, fcnt: fcnt16, mic: toHex(mic) };
    return { offer, wire: { seq, receivedAt: 1, via: 'radio', rx, phyPayload: toBase64(bytes) } };
  });
  const device = { devEui, devAddr, session, first: 103, last: 400, count, gaps: 0, digest: '0'.repeat(64) };
  const statement = { contractId, epoch: EPOCH, from: 301, through: THROUGH, devices: [device] };
  const coverage = { epoch: EPOCH, until: AGREED + 60_000, ...world.coverage };
  const records: Readonly<Record<string, unknown>> = {
    [`contract/${contractId}`]: { coverage },
    [`statement/${contractId}/${String(EPOCH).padStart(12, '0')}/provider`]: { statement },
    [`coverage/${contractId}/${String(EPOCH).padStart(12, '0')}`]: world.claimed,
  };
  const submitted: unknown[] = [];
  const claims = createCoverageClaims({
    ...{ terms, role, store, log: silentLog, ownSecrets: () => secrets },
    clock: { now: () => 0, monotonic: () => 0 },
    settings: async () => new Map([[devEui, world.settings ?? { txPower: 0 }]]),
    ledger: {
      fetch: async (key) => records[key] as never,
      time: async () => now,
      submit: async (payload) => {
        submitted.push(payload);
        return {};
      },
    },
    ring: async (path) => {
      const from = Number(/after=(\d+)/.exec(path)?.[1] ?? 0);
      const page = frames.filter(({ wire }) => wire.seq > from);
      const last = THROUGH + after.length;
      if (path.includes('/offers'))
        return { offers: page.map((one) => one.offer), last, incarnation: 'life' };
      if (path.includes('/frames')) return { frames: page.map((one) => one.wire) };
      return { incarnation: 'life', next: last + 1 };
    },
  });
  claims.stated({ epoch: EPOCH });
  await claims.look();
  return submitted;
}

function keep(mark: SignedMark = markOf()): void {
  store.putDocument(contractId, coverageName(devEui), mark);
}
const judgedAs = (...devEuis: string[]): void => {
  store.putDocument(contractId, 'coverageChanged', { epoch: EPOCH, devEuis });
};

describe('of an outage that the ledger rules', () => {
  test('a customer claims what is out of the question, with marks of before it', async () => {
    keep();
    judgedAs();
    const closings = [{ devEui, first: 401 }];
    const claim = { marks: [markOf()], changed: [], closings };
    expect(await look()).toEqual([{ type: 'coverage/claim', contractId, epoch: EPOCH, claim }]);
    // marks of after the return are no baselines of before
    keep(markOf({ from: 401, last: 420, seq: 500 }));
    expect(await look()).toMatchObject([{ claim: { marks: [{ body: { last: 100 } }] } }]);
    expect(store.notes(contractId).map(({ milestone }) => milestone)).toContain('coverageClaimed');
  });

  test('a customer waives what is within, once every device was heard again or half of its time is over', async () => {
    keep();
    judgedAs();
    const waived = [{ type: 'coverage/waive', contractId, epoch: EPOCH }];
    expect(await look({ count: 295 })).toEqual(waived);
    expect(await look({ count: 295, after: [] })).toEqual([]);
    expect(await look({ count: 295, after: [], now: AGREED + 31_000 })).toEqual(waived);
  });

  test('a customer waives what it has no baselines of, and waits for its own look at who sends otherwise', async () => {
    expect(await look()).toMatchObject([{ type: 'coverage/waive' }]);
    store.putDocument(contractId, 'coverageFrozen', { epoch: EPOCH, marks: [markOf()] });
    expect(await look()).toEqual([]);
    judgedAs(devEui);
    expect(await look()).toMatchObject([{ type: 'coverage/waive' }]);
  });

  test('a customer counts a device for its provider that sends otherwise since', async () => {
    keep();
    judgedAs();
    expect(await look({ settings: { txPower: 3 } })).toMatchObject([{ type: 'coverage/waive' }]);
  });

  test('a provider answers by its own ring, with marks that the claim leaves out', async () => {
    keep(markOf({ from: 96, last: 105 }));
    const claim = { marks: [markOf()], changed: [], closings: [{ devEui, first: 500 }] };
    const claimed = { claim, at: AGREED };
    const [sent] = await look({ role: 'provider', claimed, after: [402] });
    expect(sent).toMatchObject({ type: 'coverage/answer', answer: { closings: [{ devEui, first: 402 }] } });
    expect(sent).toMatchObject({ answer: { marks: [{ body: { last: 105 } }] } });
  });

  test('either has it ruled once it is answered, or the time is over, and not before', async () => {
    const claim = { marks: [markOf()], changed: [], closings: [] };
    const ruled = [{ type: 'coverage/rule', contractId, epoch: EPOCH }];
    const answered = { claim, at: AGREED, answer: { closings: [], marks: [] } };
    expect(await look({ claimed: answered })).toEqual(ruled);
    expect(await look({ claimed: { claim, at: AGREED } })).toEqual([]);
    expect(await look({ role: 'provider', now: AGREED + 60_001 })).toEqual(ruled);
    expect(await look({ role: 'provider' })).toEqual([]);
  });
});
