import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog } from '@antirio/host';
import { AntirioError, fromHex, signDocument, toBase64 } from '@antirio/kernel';
import { createSessionCipher, parseDevAddr, sessionFingerprint } from '@antirio/lorawan';
import {
  COVERAGE_KIND,
  contractTerms,
  type CoverageMark,
  type CoverageSettings,
  type HandbackStatement,
} from '@antirio/service-contract';
import { openContractStore, type ContractStore } from './contract-store.ts';
import { createCoverageJudge, keptJudgement } from './coverage-judge.ts';
import { coverageName } from './coverage-store.ts';
import { contractId, customer, provider, terms as twoHolders } from './escrow.fixture.ts';

const terms = contractTerms.parse(twoHolders);
const KEY = '11'.repeat(16);
const devEui = '00000000000000aa';
const devAddr = parseDevAddr('0000000a');
const nwkSKey = fromHex(KEY, 16);
const session = sessionFingerprint(nwkSKey, devAddr);
const cipher = createSessionCipher({ nwkSKey });
const secrets = { keyVersion: 1, sessions: [{ devEui, devAddr, nwkSKey: KEY }] };
const OUTAGE = 1000;
const EPOCH = 4;

const mark: CoverageMark = {
  ...{ contractId, devEui, devAddr, session, keyVersion: 1, at: 0, from: 90, last: 100, shown: 11, seq: 1 },
  settings: { dataRate: 'SF7BW125', txPower: 0 },
  ...{ before: { sent: 0, shown: 0 }, since: { sent: 150, shown: 147 } },
  receipts: { chain: 'c', batch: 1, hash: '0'.repeat(64) },
};

let folder = '';
let store: ContractStore;
const open = (): ContractStore => openContractStore(join(folder, 'a.db'));
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-outage-'));
  store = open();
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

interface InRing {
  readonly fcnt: number;
  readonly via: string;
  readonly at: number;
  readonly fOpts?: Uint8Array;
}

/** We heard 101 last and 200 first; the provider what `hears` says of what is in between. */
function outage(hears: (fcnt: number) => boolean): InRing[] {
  const between = Array.from({ length: 98 }, (_, i) => 102 + i).filter(hears);
  return [
    { fcnt: 101, via: 'radio', at: OUTAGE - 5 },
    ...between.map((fcnt) => ({ fcnt, via: terms.provider, at: OUTAGE + 1 })),
    { fcnt: 200, via: 'radio', at: OUTAGE + 50 },
  ];
}

function judgeOf(
  inRing: readonly InRing[],
  more: { settings?: CoverageSettings; isUp?: () => boolean } = {},
) {
  const { settings = { txPower: 0 }, isUp = () => true } = more;
  const frames = inRing.map(({ fcnt, via, at, fOpts }, i) => ({
    ...{ seq: i + 1, receivedAt: at, via, rx: { snr: 5, spreadingFactor: 7, bandwidth: 125 } },
    phyPayload: toBase64(
      cipher.build({ direction: 'up', confirmed: false, devAddr, fcnt, ...(fOpts && { fOpts }) }),
    ),
  }));
  const time = { now: 0 };
  const judge = createCoverageJudge({
    ...{ terms, identity: customer, store, log: silentLog, ownSecrets: () => secrets },
    clock: { now: () => time.now, monotonic: () => (time.now += 10_000) },
    settings: async () => new Map([[devEui, settings]]),
    ledger: {
      fetch: async (key) => (key.startsWith('activation/') ? { at: OUTAGE } : { openings: 0 }) as never,
    },
    ownBridge: async (path) => {
      if (!isUp()) throw new AntirioError('unavailable', 'away');
      const after = Number(/after=(\d+)/.exec(path)?.[1] ?? 0);
      if (path.includes('/frames')) return { frames: frames.slice(after, after + 500) };
      return { incarnation: 'life', next: frames.length + 1 };
    },
  });
  return judge;
}

const statement = (last = 200): HandbackStatement => ({
  ...{ contractId, epoch: EPOCH, from: 1, through: 300 },
  devices: [{ devEui, devAddr, session, first: 102, last, count: 1, gaps: 0, digest: '0'.repeat(64) }],
});

function keepMark(of: CoverageMark = mark): void {
  const signatures = {
    customer: signDocument(customer, COVERAGE_KIND, of).signature,
    provider: signDocument(provider, COVERAGE_KIND, of).signature,
  };
  store.putDocument(contractId, coverageName(devEui), { body: of, signatures });
}

async function judged(...args: Parameters<typeof judgeOf>) {
  const judge = judgeOf(...args);
  judge.stated(statement());
  await judge.look();
  return keptJudgement(store, contractId);
}

describe('an outage', () => {
  test('in which the provider heard as ever is within its baseline', async () => {
    keepMark();
    expect(await judged(outage((fcnt) => fcnt % 20 !== 0))).toMatchObject({
      ...{ epoch: EPOCH, verdict: 'within', devices: 1, expected: 98, heard: 94, method: 'exact' },
    });
    expect(store.notes(contractId).map(({ milestone }) => milestone)).toEqual(['coverage']);
  });

  test('of which it handed half back is told as a breach', async () => {
    keepMark();
    const found = await judged(outage((fcnt) => fcnt % 2 === 0));
    expect(found).toMatchObject({ verdict: 'breach', expected: 98, heard: 49 });
    expect(found?.log10P).toBeLessThan(-20);
    const [note] = store.notes(contractId);
    expect(note).toMatchObject({ milestone: 'coverage', detail: { verdict: 'breach', devices: 1 } });
  });

  test('is not judged by a mark that the provider has not signed', async () => {
    const signatures = { customer: signDocument(customer, COVERAGE_KIND, mark).signature };
    store.putDocument(contractId, coverageName(devEui), { body: mark, signatures });
    expect(await judged(outage(() => false))).toMatchObject({ verdict: 'notJudged', devices: 0 });
  });

  test('is not judged where the device may have been told to send otherwise', async () => {
    keepMark();
    const answer = { fcnt: 150, via: terms.provider, at: OUTAGE, fOpts: Uint8Array.of(0x03, 0x07) };
    const frames = outage((fcnt) => fcnt > 180);
    expect(await judged([...frames, answer])).toMatchObject({
      verdict: 'notJudged',
      notJudged: { changed: 1 },
    });
  });

  test('is not judged by what another session heard', async () => {
    keepMark({ ...mark, session: '22'.repeat(8) });
    expect(await judged(outage(() => false))).toMatchObject({ notJudged: { otherSession: 1 } });
  });

  test('is judged when the bridge is back, over a restart of ours, and once', async () => {
    keepMark();
    let isUp = false;
    const frames = outage((fcnt) => fcnt % 2 === 0);
    const first = judgeOf(frames, { isUp: () => isUp });
    first.stated(statement());
    await expect(first.look()).rejects.toThrow(/away/);
    store.close();
    store = open();
    isUp = true;
    const second = judgeOf(frames);
    await second.look();
    const found = keptJudgement(store, contractId);
    expect(found?.verdict).toBe('breach');
    // marks of after the outage
    keepMark({ ...mark, from: 190, last: 200 });
    second.stated(statement());
    await second.look();
    expect(keptJudgement(store, contractId)).toEqual(found);
    expect(store.notes(contractId)).toHaveLength(1);
  });
});
