import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog, systemRandom, type HttpCall, type HttpPeer } from '@antirio/host';
import { AntirioError, fromHex, toBase64, toHex } from '@antirio/kernel';
import { createSessionCipher, parseDataFrame, parseDevAddr } from '@antirio/lorawan';
import {
  contractTerms,
  isMarkSigned,
  markRequest,
  type NeighbourHearing,
  type Receipts,
} from '@antirio/service-contract';
import { openContractStore, type ContractStore } from './contract-store.ts';
import { createCoverageCheck, type CoverageCheck } from './coverage-customer.ts';
import { countersign, createReceiptTeller } from './coverage-provider.ts';
import { coverageView, keptMark } from './coverage-store.ts';
import { contractId, customer, provider, terms as twoHolders } from './escrow.fixture.ts';

const terms = contractTerms.parse(twoHolders);
const KEY = '11'.repeat(16);
const devAddr = parseDevAddr('0000000a');
const cipher = createSessionCipher({ nwkSKey: fromHex(KEY, 16) });
const secrets = { keyVersion: 1, sessions: [{ devEui: '00000000000000aa', devAddr, nwkSKey: KEY }] };
const DEVICE = '00000000000000aa';

interface Heard {
  readonly seq: number;
  readonly bytes: Uint8Array;
  readonly at: number;
}

/** A ring with the resources of a bridge that coverage asks for. */
function ring(incarnation = 'life') {
  const frames: Heard[] = [];
  const page = (after: number): Heard[] => frames.filter(({ seq }) => seq > after).slice(0, 500);
  const wire = ({ seq, bytes, at }: Heard) => ({
    ...{ seq, receivedAt: at, via: 'radio', phyPayload: toBase64(bytes) },
    rx: { snr: 5, spreadingFactor: 7, bandwidth: 125 },
  });
  const offer = ({ seq, bytes }: Heard) => {
    const { fcnt16, mic } = parseDataFrame(bytes);
    return { seq, devAddr: '0000000a', fcnt: fcnt16, mic: toHex(mic) };
  };
  return {
    frames,
    hear: (bytes: Uint8Array, at: number) => void frames.push({ seq: frames.length + 1, bytes, at }),
    answer(path: string): unknown {
      const after = Number(/after=(\d+)/.exec(path)?.[1] ?? 0);
      if (path.includes('/offers'))
        return { offers: page(after).map(offer), last: frames.length, incarnation };
      if (path.includes('/frames')) return { frames: page(after).map(wire) };
      if (path.endsWith('/marks')) return { marks: {} };
      return { incarnation, next: frames.length + 1 };
    },
  };
}

const peer = (answer: (call: HttpCall) => unknown): HttpPeer => ({
  async call(call) {
    const json = await answer(call);
    return { status: 200, headers: {}, body: Buffer.from('{}'), json: () => json };
  },
  close: () => undefined,
});

let folder = '';
let stores: ContractStore[] = [];
const openStore = (name: string): ContractStore => {
  const store = openContractStore(join(folder, name));
  stores.push(store);
  return store;
};
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-coverage-'));
  stores = [];
});
afterEach(() => {
  for (const store of stores) store.close();
  rmSync(folder, { recursive: true, force: true });
});

const STEP_MS = 500;
const WALL = 1_700_000_000_000;

/** A customer and a provider, a mote between them, and a clock that is turned. */
function scene() {
  const own = ring();
  const theirs = ring();
  const storeA = openStore('a.db');
  const storeB = openStore('b.db');
  const time = { now: 10_000, wallOffset: WALL };
  const clock = { monotonic: () => time.now, now: () => time.now + time.wallOffset };
  const told: Receipts[] = [];
  const hearing: NeighbourHearing[] = [];
  const bridge = async (path: string): Promise<unknown> => theirs.answer(path);
  let isUp = true;
  const edge2edge = peer(async ({ path, json }) => {
    if (!isUp) throw new AntirioError('unavailable', 'cut');
    if (path.includes('/gateway-bridge/')) return theirs.answer(path);
    const { marks } = markRequest.parse(json);
    return { answers: await countersign({ identity: provider, terms, bridge, store: storeB }, marks) };
  });
  const gatewayBridge = peer(({ path }) => own.answer(path));
  const newTeller = () =>
    createReceiptTeller({
      terms,
      bridge,
      clock,
      random: systemRandom,
      send: async (one) => void told.push(one),
    });
  let teller = newTeller();
  const newCheck = (): CoverageCheck =>
    createCoverageCheck({
      ...{ terms, identity: customer, clock, peers: { edge2edge, gatewayBridge }, store: storeA },
      ...{ log: silentLog, ownSecrets: () => secrets, areKeysSealed: () => true, everyMs: 10_000 },
      tellHearing: async (messages) => void hearing.splice(0, hearing.length, ...messages),
      settings: async () => new Map([[DEVICE, { txPower: 0, nbTrans: 1 }]]),
    });
  let check = newCheck();
  let fcnt = 0;
  return {
    ...{ own, theirs, storeA, storeB, time, hearing },
    cut: () => (isUp = false),
    restartProvider: () => (teller = newTeller()),
    restartCustomer: () => (check = newCheck()),
    /** Some uplinks, one in half a second; `late`: how long the provider keeps what it has to tell. */
    async run(uplinks: number, hears: (n: number) => { a: boolean; b: boolean }, lateMs = 0): Promise<void> {
      for (let i = 0; i < uplinks; i++, fcnt++) {
        time.now += STEP_MS;
        const bytes = cipher.build({ direction: 'up', confirmed: false, devAddr, fcnt });
        const { a, b } = hears(i);
        if (a) own.hear(bytes, clock.now());
        if (b) theirs.hear(bytes, clock.now());
        await teller.look();
        time.now += lateMs;
        for (const one of told.splice(0)) check.heard(one);
        time.now -= lateMs;
        await check.look().catch((error: unknown) => {
          if (isUp) throw error;
        });
      }
    },
  };
}

describe('coverage between two edges', () => {
  test('is counted from commitments that came in time, signed by both and kept at both', async () => {
    const { run, storeA, storeB, own, hearing } = scene();
    await run(400, (n) => ({ a: n % 7 !== 3, b: n % 10 !== 0 }));
    const view = coverageView(storeA, terms);
    expect(view).toMatchObject({ judged: 1, ofDevices: 1 });
    const [device] = view.devices;
    expect(device).toMatchObject({ devEui: DEVICE, settings: { txPower: 0, dataRate: 'SF7BW125' } });
    if (device?.atLeast === undefined) throw new TypeError('not judged');
    const { uplinks, heard, atLeast } = device;
    expect(uplinks).toBeGreaterThanOrEqual(100);
    expect(Math.abs(heard / uplinks - 0.9)).toBeLessThan(0.02);
    expect(atLeast).toBeGreaterThan(0.75);
    expect(atLeast).toBeLessThan(heard / uplinks);
    const mark = keptMark(storeA, contractId, DEVICE);
    expect(mark && isMarkSigned(mark, terms)).toBe(true);
    expect(keptMark(storeB, contractId, DEVICE)).toEqual(mark);
    expect(own.frames.length).toBeGreaterThan(300);
    // what the data rates are chosen by is told, too
    const told = hearing.flatMap(({ devices }) => devices);
    expect(
      told.map(({ devAddr: address, heard: newest }) => [address, newest.length, newest.at(-1)?.[1]]),
    ).toEqual([[devAddr, 20, 5]]);
  });

  test('is not shown by who tells it later than two seconds after the air', async () => {
    const { run, storeA } = scene();
    await run(300, () => ({ a: true, b: true }), 2500);
    expect(coverageView(storeA, terms)).toMatchObject({ heard: 0 });
    expect(coverageView(storeA, terms).uplinks).toBeGreaterThanOrEqual(100);
  });

  test('goes on over a restart of either edge', async () => {
    const { run, storeA, restartCustomer, restartProvider } = scene();
    const all = () => ({ a: true, b: true });
    await run(150, all);
    const before = coverageView(storeA, terms).uplinks;
    restartProvider();
    restartCustomer();
    await run(100, all);
    const view = coverageView(storeA, terms);
    expect(view.uplinks).toBeGreaterThan(before);
    expect(view.heard).toBeGreaterThanOrEqual(view.uplinks - 3);
  });

  test('of a time in which the clock was set is not judged', async () => {
    const { run, storeA, time } = scene();
    await run(60, () => ({ a: true, b: true }));
    time.wallOffset += 3_600_000;
    await run(60, () => ({ a: true, b: true }));
    const view = coverageView(storeA, terms);
    expect(view.heard).toBe(view.uplinks);
  });

  test('is nothing that one party says alone', async () => {
    const { run, storeA, storeB, cut, theirs } = scene();
    await run(100, () => ({ a: true, b: true }));
    const known = keptMark(storeA, contractId, DEVICE);
    if (known === undefined) throw new TypeError('no mark');
    const bridge = async (path: string): Promise<unknown> => theirs.answer(path);
    const deps = { identity: provider, terms, bridge, store: storeB };
    await expect(countersign(deps, [{ ...known, body: { ...known.body, shown: 0 } }])).rejects.toThrow(
      /not signed/,
    );
    cut();
    await run(60, () => ({ a: true, b: true }));
    expect(keptMark(storeA, contractId, DEVICE)).toEqual(known);
  });
});
