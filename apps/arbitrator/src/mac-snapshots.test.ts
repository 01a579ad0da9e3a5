import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateRawSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog, systemClock, type HttpPeer, type HttpRim } from '@antirio/host';
import {
  AntirioError,
  fromBase64,
  fromUtf8,
  generateIdentity,
  openIdentity,
  sealTo,
  utf8,
} from '@antirio/kernel';
import { eu868, newMacState, type MacState } from '@antirio/lorawan';
import type { ContractTerms, CustomerPhase } from '@antirio/service-contract';
import { openContractStore, type ContractStore } from './contract-store.ts';
import {
  addMacRoute,
  createMacSender,
  createMacSnapshots,
  forgetSnapshots,
  keepSnapshots,
  keptQueues,
  keptSnapshots,
  snapshotsKept,
} from './mac-snapshots.ts';

const contractId = '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f';
const eui = (n: number): string => n.toString(16).padStart(16, '0');
const devices = [1, 2].map((n) => ({ devEui: eui(n), devAddr: n.toString(16).padStart(8, '0') }));
const terms = { contractId, set: { setId: 'bridge', service: 's', devices } } as unknown as ContractTerms;
const provider = openIdentity(generateIdentity());
const stateOf = (rx1DelayS: number): MacState => ({ ...newMacState(eu868), rx1DelayS });
const snapshot = (n: number, rx1DelayS = 1) => ({
  ...{ session: eui(n + 16), devEui: eui(n) },
  state: stateOf(rx1DelayS),
});

let folder = '';
let store: ContractStore;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mac-'));
  store = openContractStore(join(folder, 'contracts.db'));
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true });
});

test('what has changed is sent once, and again where it was not taken or the service was started anew', async () => {
  const asked: string[] = [];
  let now = { incarnation: 'one', serial: 4, sessions: [snapshot(1), snapshot(9)] };
  const deviceLora: HttpPeer = {
    call: ({ path }) => {
      asked.push(path);
      const isFull = !path.includes(`incarnation=${now.incarnation}&since=${now.serial}`);
      const answer = { ...now, totalCount: 3, sessions: isFull ? now.sessions : [] };
      return Promise.resolve({ status: 200, headers: {}, body: new Uint8Array(1), json: () => answer });
    },
    close: () => undefined,
  };
  const sent: string[][] = [];
  let isUp = false;
  const alls: boolean[] = [];
  const send: Parameters<typeof createMacSender>[0]['send'] = (_terms, { snapshots, all = false }) => {
    if (!isUp) return Promise.reject(new TypeError('no way to it'));
    sent.push(snapshots.map(({ devEui }) => devEui));
    alls.push(all);
    return Promise.resolve();
  };
  const sendChanges = createMacSender({ deviceLora, send }, terms);
  await expect(sendChanges()).rejects.toThrow('no way');
  isUp = true;
  await sendChanges();
  await sendChanges();
  // of the set only, and nothing while nothing changes
  expect(sent).toEqual([[eui(1)]]);
  now = { incarnation: 'one', serial: 5, sessions: [snapshot(2)] };
  await sendChanges();
  now = { incarnation: 'two', serial: 0, sessions: [snapshot(1), snapshot(2)] };
  await sendChanges();
  expect(sent).toEqual([[eui(1)], [eui(2)], [eui(1), eui(2)]]);
  expect(asked.at(-1)).toContain('incarnation=one&since=5');
  // the provider is told once that it has all
  expect(alls).toEqual([true, false, false]);
});

test('a word that gives devices away waits for what is known of them, but not for long', async () => {
  const answer = { incarnation: 'one', serial: 1, totalCount: 2, sessions: [snapshot(1)] };
  const peerOf = (status: () => Promise<void>, calls: string[]): HttpPeer => ({
    async call({ path }) {
      calls.push(path);
      await status();
      return { status: 200, headers: {}, body: new Uint8Array(1), json: () => answer };
    },
    close: () => undefined,
  });
  const sent: string[] = [];
  let hangs = false;
  const edge2edge = peerOf(() => (hangs ? new Promise(() => undefined) : Promise.resolve()), sent);
  const macs = createMacSnapshots({
    peers: { deviceLora: peerOf(() => Promise.resolve(), []), edge2edge },
    ...{ clock: systemClock, log: silentLog },
    sealKeyOf: () => Promise.resolve(provider.sealKey),
  });
  const phase = { at: 'yielding' } as CustomerPhase;
  const contract = { role: 'customer', phase: () => phase, record: () => undefined } as const;
  macs.drive({ ...contract, terms: { ...terms, confidentiality: 'process', provider: provider.edgeId } });
  await macs.sendNow(contractId);
  expect(sent).toEqual([expect.stringContaining(`${provider.edgeId}/arbitrator/arbitrator/v1/contract/`)]);
  hangs = true;
  await macs.sendNow(contractId);
  expect(sent).toHaveLength(2);
  await macs.sendNow('another contract');
  expect(sent).toHaveLength(2);
  await macs.stop();
});

describe('what waits to be sent to the devices', () => {
  const process = { ...terms, confidentiality: 'process' } as const;
  const open = (older: boolean) => {
    const page = { sessions: [{ ...snapshot(1), queue: 'sealed' }] as object[] };
    const asked: string[] = [];
    const told: Parameters<Parameters<typeof createMacSender>[0]['send']>[1][] = [];
    const deviceLora: HttpPeer = {
      call: ({ path }) => {
        asked.push(path);
        const answer = { incarnation: 'one', serial: 1, totalCount: 2, ...page };
        return Promise.resolve({
          status: 200,
          headers: {},
          body: new Uint8Array(1),
          json: () => answer,
        });
      },
      close: () => undefined,
    };
    const sendChanges = createMacSender(
      {
        deviceLora,
        send: (_terms, some) => {
          const isNew = some.queues === true || some.snapshots.some(({ queue }) => queue !== undefined);
          if (older && isNew) return Promise.reject(new AntirioError('invalidInput', 'unknown field'));
          told.push(some);
          return Promise.resolve();
        },
      },
      process,
    );
    return { page, asked, told, sendChanges };
  };

  test('is told with them, and dated anew as long as anything waits', async () => {
    const { page, asked, told, sendChanges } = open(false);
    await sendChanges();
    page.sessions = [];
    await sendChanges();
    page.sessions = [snapshot(1)];
    await sendChanges();
    page.sessions = [];
    await sendChanges();
    expect(asked[0]).toContain('&queues=true');
    expect(told).toMatchObject([
      { snapshots: [{ queue: 'sealed' }], all: true, queues: true },
      { snapshots: [], queues: true },
      { snapshots: [{ devEui: eui(1) }] },
    ]);
    expect(told[2]).not.toHaveProperty('queues');
  });

  test('is kept from a provider of an older version, which is told the rest', async () => {
    const { asked, told, sendChanges } = open(true);
    await sendChanges();
    expect(told).toEqual([{ snapshots: [snapshot(1)], all: true }]);
    await sendChanges();
    expect(asked.at(-1)).not.toContain('queues');
  });

  test('is kept with its age, apart from what the service gets with its keys', () => {
    const first = { ...snapshot(1), queue: 'sealed' };
    expect(keptQueues(store, contractId, 0)).toBeUndefined();
    keepSnapshots(store, provider, terms, sealed({ snapshots: [first, snapshot(2)], queues: true }), 5000);
    expect(keptQueues(store, contractId, 8000)).toEqual({
      queues: [{ session: eui(17), queue: 'sealed' }],
      ageMs: 3000,
    });
    expect(kept()).toEqual([1, 2].map((n) => ({ session: eui(n + 16), state: stateOf(1) })));
    keepSnapshots(store, provider, terms, sealed({ snapshots: [snapshot(1)] }), 9000);
    expect(keptQueues(store, contractId, 9000)).toBeUndefined();
  });
});

const sealed = (value: unknown) => sealTo(provider.sealKey, utf8(JSON.stringify(value)));
const kept = (): unknown => {
  const text = keptSnapshots(store, contractId);
  return text === undefined ? undefined : JSON.parse(fromUtf8(inflateRawSync(fromBase64(text))));
};

test('the provider keeps the newest of each device, and lets go of them with the contract', () => {
  expect(kept()).toBeUndefined();
  keepSnapshots(store, provider, terms, sealed({ snapshots: [snapshot(1), snapshot(2)] }), 0);
  keepSnapshots(store, provider, terms, sealed({ snapshots: [{ ...snapshot(1, 3), session: eui(77) }] }), 0);
  expect(kept()).toEqual([
    { session: eui(77), state: stateOf(3) },
    { session: eui(18), state: stateOf(1) },
  ]);
  forgetSnapshots(store, contractId);
  expect(kept()).toBeUndefined();
});

test('a provider is told until it has the epoch: what a customer that hands over says last comes when it reads already', () => {
  let phase = 'ready';
  const tell = (told: object): unknown => {
    const box = sealTo(provider.sealKey, utf8(JSON.stringify(told)));
    let answer: unknown;
    const route = (
      _method: string,
      _path: string,
      _about: object,
      handler: (given: object) => unknown,
    ): void => {
      answer = handler({ params: { id: contractId }, body: { box }, request: {} });
    };
    addMacRoute({ route } as unknown as HttpRim, {
      ...{ identity: provider, store, clock: { now: () => 1000 }, phaseOf: () => phase },
      fromCustomer: () => ({ terms, role: 'provider', signatures: {} }),
    });
    return answer;
  };
  tell({ snapshots: [{ ...snapshot(1), queue: 'sealed' }], queues: true });
  expect(keptQueues(store, contractId, 1000)?.queues).toHaveLength(1);
  phase = 'reading';
  // it is at its own gateway since
  expect(tell({ snapshots: [snapshot(1)] })).toEqual({ kept: 1 });
  expect(keptQueues(store, contractId, 1000)).toBeUndefined();
  phase = 'active';
  expect(() => tell({ snapshots: [snapshot(1)] })).toThrow(/we serve these devices now/);
});

test('the provider knows which devices it lacks, and when its customer has told of all that have a session', () => {
  expect(snapshotsKept(store, terms)).toEqual({ known: 0, lacking: [eui(1), eui(2)], isAll: false });
  keepSnapshots(store, provider, terms, sealed({ snapshots: [snapshot(1)] }), 0);
  expect(snapshotsKept(store, terms)).toEqual({ known: 1, lacking: [eui(2)], isAll: false });
  keepSnapshots(store, provider, terms, sealed({ snapshots: [], all: true }), 0);
  expect(snapshotsKept(store, terms)).toEqual({ known: 1, lacking: [eui(2)], isAll: true });
});

test('it takes none of foreign devices, none that is no MAC state, and none that was sealed to another edge', () => {
  const other = openIdentity(generateIdentity());
  const take = (value: unknown, to = provider): number =>
    keepSnapshots(store, provider, terms, sealTo(to.sealKey, utf8(JSON.stringify(value))), 0);
  expect(() => take({ snapshots: [snapshot(9)] })).toThrow('not of the contract');
  expect(() => take({ snapshots: [{ ...snapshot(1), state: { rx1DelayS: 99 } }] })).toThrow(
    'not a MAC state',
  );
  expect(() => take({ snapshots: [snapshot(1)] }, other)).toThrow('another edge');
  expect(kept()).toBeUndefined();
});
