import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog, systemRandom, type HttpRim } from '@antirio/host';
import { fromHex, openSealed, parseEdgeId, sealTo, toHex } from '@antirio/kernel';
import { createSessionCipher, parseDataFrame, parseDevAddr } from '@antirio/lorawan';
import { contractTerms, drillAnswerHash, drillIdOf, type Drill } from '@antirio/service-contract';
import { addDrillRoutes } from './contract-drills.ts';
import { judgeDrillClaim } from './drill-claim.ts';
import { createDrillEscrow, type DrillEscrow } from './drill-escrow.ts';
import {
  drillKeysFor,
  drillTermsOf,
  makeDrillFrames,
  readDrillFrames,
  type DrillKeys,
} from './drill-keys.ts';
import {
  central,
  contractId,
  customer,
  provider,
  sealKeyOf,
  terms as plain,
  witness,
} from './escrow.fixture.ts';
import { openEscrowStore, type EscrowStore } from './escrow-store.ts';
import type { LedgerClient } from './ledger-client.ts';
import { checkPackage, divideKeys, openKeys, type DividedKeys } from './sealed-keys.ts';
import { claimOf } from './wrong-keys.ts';

const terms = contractTerms.parse({
  ...plain,
  confidentiality: 'process',
  drills: { perMonth: 1, maxMs: 10_000 },
});
const REAL = {
  keyVersion: 1,
  sessions: [
    { devEui: '00000000000000aa', devAddr: '0000000a', nwkSKey: '11'.repeat(16), appSKey: '22'.repeat(16) },
  ],
};

let folder = '';
let documents: Map<string, unknown>;
let state: Map<string, unknown>;
let submitted: unknown[];
let keys: DrillKeys;
let real: DividedKeys;
let store: EscrowStore;
let escrow: DrillEscrow;

const ledger = {
  read: async (key: string) => state.get(key),
  fetch: async (key: string) => state.get(key),
  time: async () => 1000,
  sealKeyOf: async (edge: string) => sealKeyOf(parseEdgeId(edge)),
  submit: async (payload: unknown) => submitted.push(payload),
} as unknown as LedgerClient;

const makeKeys = (): Promise<DrillKeys> =>
  drillKeysFor(
    {
      store: {
        forgetVersions: () => undefined,
        document: (_id, name) => documents.get(name),
        putDocument: (_id, name, value) => void documents.set(name, structuredClone(value)),
      },
      identity: customer,
      random: systemRandom,
      service: () => ({ serviceName: 'lora', devices: [{ devEui: '00000000000000aa' }] }),
      sealKeysOf: async () => sealKeyOf,
    },
    terms,
    1,
  );
const mine = ({ forHolders }: DividedKeys) => {
  const found = forHolders.find(({ holder }) => holder === witness.edgeId)?.delivery;
  if (found === undefined) throw new TypeError('no share');
  return found;
};
function putDrill(change: Partial<Drill> = {}): void {
  const drill = {
    number: 1,
    state: 'opened',
    keyVersion: 1,
    askedAt: 500,
    openedAt: 600,
    epoch: 1,
    openings: 0,
  };
  state.set(`drill/${contractId}/000000000001`, { ...drill, releases: {}, ...change });
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'drill-escrow-'));
  documents = new Map();
  submitted = [];
  state = new Map<string, unknown>([
    [`terms/${contractId}`, { terms, signatures: {} }],
    [`set/${terms.set.setId}`, { epoch: 1 }],
    [
      `contract/${contractId}`,
      {
        ...{ life: { state: 'READY' }, openings: 0, validatedAt: 0 },
        drills: { started: 1, passed: 0, failed: 0, void: 0, month: 0, thisMonth: 1, judged: 0 },
      },
    ],
  ]);
  store = openEscrowStore(join(folder, 'escrow.db'));
  escrow = createDrillEscrow({ identity: witness, ledger, store, log: silentLog });
  keys = await makeKeys();
  real = await divideKeys(customer, terms, {}, REAL, sealKeyOf, systemRandom);
  store.put(contractId, 1, mine(real));
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true });
});

describe('a holder of drill keys', () => {
  test('keeps what the customer signed for drills, and none of the contract’s own', async () => {
    const share = mine(keys.divided);
    await expect(escrow.keep(provider.edgeId, contractId, share)).rejects.toMatchObject({
      code: 'forbidden',
    });
    await expect(escrow.keep(customer.edgeId, contractId, mine(real))).rejects.toMatchObject({
      code: 'invalidInput',
    });
    expect(await escrow.keep(customer.edgeId, contractId, share)).toEqual({ keyVersion: 1 });
  });

  test('is to be asked again where the share of the contract’s own keys is not there yet', async () => {
    const without = openEscrowStore(join(folder, 'without.db'));
    const early = createDrillEscrow({ identity: witness, ledger, store: without, log: silentLog });
    const giving = early.keep(customer.edgeId, contractId, mine(keys.divided));
    await expect(giving).rejects.toMatchObject({ code: 'busy' });
    without.close();
  });

  test('gives its share for a drill that the ledger has open, and says so there first; what it gives opens the drill alone', async () => {
    await escrow.keep(customer.edgeId, contractId, mine(keys.divided));
    expect(await escrow.release(provider.edgeId, contractId, 1)).toEqual({ refused: 'noDrill' });
    putDrill({ state: 'asked' });
    expect(await escrow.release(provider.edgeId, contractId, 1)).toEqual({ refused: 'drillOver' });
    putDrill();
    expect(await escrow.release(customer.edgeId, contractId, 1)).toEqual({ refused: 'notProvider' });
    expect(await escrow.release(provider.edgeId, contractId, 2)).toEqual({ refused: 'olderDrill' });
    expect(submitted).toEqual([]);
    const answer = await escrow.release(provider.edgeId, contractId, 1);
    expect(submitted).toEqual([{ type: 'drill/release', contractId, drill: 1 }]);
    if (!('share' in answer)) throw new TypeError('no share');
    const theirs = createDrillEscrow({ identity: central, ledger, store, log: silentLog });
    const other = keys.divided.forHolders.find(({ holder }) => holder === central.edgeId)?.delivery;
    if (other === undefined) throw new TypeError('no share');
    store.put(contractId, 1, other);
    await theirs.keep(customer.edgeId, contractId, other);
    const second = await theirs.release(provider.edgeId, contractId, 1);
    if (!('share' in second)) throw new TypeError('no share');
    const shares = [
      { holder: parseEdgeId(witness.edgeId), box: answer.share.box },
      { holder: parseEdgeId(central.edgeId), box: second.share.box },
    ];
    const opened = await openKeys(provider, keys.divided.forProvider, shares);
    expect(opened.sessions).toEqual([keys.session]);
    await expect(openKeys(provider, real.forProvider, shares)).rejects.toMatchObject({ code: 'corrupt' });
    expect(JSON.stringify(opened)).not.toContain('11'.repeat(16));
  });
});

describe('a claim that a drill cannot be read', () => {
  const claimed = async (drill: Pick<Drill, 'frames' | 'answer'>, of = keys.divided) => {
    putDrill(drill);
    const shares = of.forHolders.map(({ holder, delivery }) => {
      const identity = holder === central.edgeId ? central : witness;
      return { holder, keyVersion: 1, box: sealTo(provider.sealKey, openSealed(identity, delivery.share)) };
    });
    const claim = claimOf(provider, central.sealKey, of.forProvider, shares, undefined);
    return judgeDrillClaim(central, ledger, provider.edgeId, { contractId, drill: 1, claim });
  };

  test('counts where the customer’s keys read something else than it committed to, and only there', async () => {
    const { frames, answer } = makeDrillFrames(keys.session, terms, 1, systemRandom);
    await expect(claimed({ frames, answer: drillAnswerHash(answer) })).rejects.toMatchObject({
      code: 'forbidden',
    });
    expect(submitted).toEqual([]);
    const other = { ...answer, payloads: [...answer.payloads].reverse() };
    expect(await claimed({ frames, answer: drillAnswerHash(other) })).toEqual({ excused: 'otherAnswer' });
    expect(submitted).toEqual([{ type: 'drill/excuse', contractId, drill: 1, found: 'otherAnswer' }]);
    await expect(claimed({ frames, answer: drillAnswerHash(other) }, real)).rejects.toMatchObject({
      code: 'invalidInput',
    });
  });
});

describe('frames that no service could read as the customer committed to them', () => {
  const build = (fcnt: number, change: { fPort?: number; devAddr?: string; bytes?: number } = {}): string => {
    const { devAddr, nwkSKey, appSKey } = keys.session;
    const cipher = createSessionCipher({ nwkSKey: fromHex(nwkSKey, 16), appSKey: fromHex(appSKey, 16) });
    const address = parseDevAddr(change.devAddr ?? devAddr);
    const common = { direction: 'up', confirmed: false, devAddr: address, fPort: 2 } as const;
    const { bytes = 4, fPort = 2 } = change;
    return toHex(cipher.build({ ...common, fcnt, fPort }, new Uint8Array(bytes)));
  };
  const forge = (frame: string): string => `${frame.slice(0, -2)}${frame.endsWith('00') ? '01' : '00'}`;
  const good = (): string[] => [build(1), forge(build(2)), build(3)];

  test.each([
    ['two are forged', () => [build(1), forge(build(2)), forge(build(3))]],
    ['none is forged', () => [build(1), build(2)]],
    ['one is there twice', () => [build(1), build(1), forge(build(2))]],
    ['they do not rise', () => [build(3), forge(build(4)), build(2)]],
    ['one is of another sensor', () => [build(1), forge(build(2)), build(3, { devAddr: '03ffffff' })]],
    ['one is for the network', () => [build(1), forge(build(2)), build(3, { fPort: 0 })]],
    ['one says nothing', () => [build(1), forge(build(2)), build(3, { bytes: 0 })]],
    ['an answer has no room', () => [build(1), forge(build(2)), build(3, { bytes: 65 })]],
    ['all are forged', () => [forge(build(1))]],
  ])('are the customer’s fault: %s', (_why, frames) => {
    const all = { sessions: [keys.session] };
    expect(readDrillFrames(all, terms, good())?.payloads).toHaveLength(2);
    expect(readDrillFrames(all, terms, frames())).toBeUndefined();
    expect(readDrillFrames({ sessions: [keys.session, keys.session] }, terms, good())).toBeUndefined();
  });
});

describe('drill keys', () => {
  test('are made once for each version, under the drill’s own name, for a silent service of one sensor', async () => {
    expect(await makeKeys()).toEqual(keys);
    const { forProvider } = keys.divided;
    expect(forProvider.contractId).toBe(drillIdOf(contractId));
    expect(() => checkPackage(provider, drillTermsOf(terms), forProvider)).not.toThrow();
    expect(() => checkPackage(provider, terms, forProvider)).toThrow();
    expect(forProvider.service).toMatchObject({
      ...{ sendDownlinks: false, answerUplinks: false },
      devices: [{ devEui: keys.session.devEui, devAddr: keys.session.devAddr, codec: 'raw' }],
    });
    const { devAddr } = keys.session;
    expect(Number.parseInt(devAddr.slice(0, 2), 16)).toBeLessThan(4);
    expect(
      [...documents.values()].every((kept) => !JSON.stringify(kept).includes(keys.session.nwkSKey)),
    ).toBe(true);
  });

  test.each(['process', 'forward'] as const)('make frames of which one is forged (%s)', (confidentiality) => {
    const { frames, answer } = makeDrillFrames(keys.session, { confidentiality }, 3, systemRandom);
    const { nwkSKey, appSKey } = keys.session;
    const cipher = createSessionCipher({
      nwkSKey: Buffer.from(nwkSKey, 'hex'),
      appSKey: Buffer.from(appSKey, 'hex'),
    });
    const parsed = frames.map((hex) => parseDataFrame(Buffer.from(hex, 'hex')));
    const genuine = parsed.filter((frame) => cipher.verifies(frame, frame.fcnt16));
    expect([frames.length, genuine.length]).toEqual([5, 4]);
    const clear = genuine.map((frame) => Buffer.from(cipher.decrypt(frame, frame.fcnt16)).toString('hex'));
    const sealed = genuine.map((frame) => Buffer.from(frame.frmPayload).toString('hex'));
    expect(answer.payloads).toEqual(confidentiality === 'process' ? clear : sealed);
  });
});

test('a provider takes the keys of drills once its service stands by: until then no drill begins, and none of its time is counted', () => {
  const handlers: ((given: object) => unknown)[] = [];
  const rim = {
    route: (_method: string, _path: string, _about: object, handler: (given: object) => unknown) =>
      void handlers.push(handler),
  } as unknown as HttpRim;
  const kept: unknown[] = [];
  let isPreparing = true;
  addDrillRoutes(rim, {
    identity: provider,
    drills: { keep: (given: unknown) => void kept.push(given) } as never,
    fromCustomer: () => ({ terms }) as never,
    isPreparing: () => isPreparing,
  });
  const give = (): unknown =>
    handlers[0]?.({ params: { id: contractId }, body: keys.divided.forProvider, request: {} });
  expect(give).toThrow(expect.objectContaining({ code: 'busy' }));
  isPreparing = false;
  expect(give()).toMatchObject({ keyVersion: 1, receipt: { by: provider.edgeId } });
  expect(kept).toHaveLength(1);
});
