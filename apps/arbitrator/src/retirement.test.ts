import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { AntirioError, generateIdentity, parseEdgeId } from '@antirio/kernel';
import type { HttpPeer } from '@antirio/host';
import { contractTerms, type Observed } from '@antirio/service-contract';
import { openContractStore, type ContractStore } from './contract-store.ts';
import type { PartyRooms } from './party-rooms.ts';
import { endingOf, retireCustomer, retireProvider, type RetirementPorts } from './retirement.ts';
import { createSourceTurns } from './source-turns.ts';

const edge = () => parseEdgeId(generateIdentity().edgeId);
const terms = contractTerms.parse({
  version: 1,
  contractId: '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f',
  customer: edge(),
  provider: edge(),
  central: edge(),
  set: { setId: 'bridge', service: 'lora', devices: [{ devEui: '00000000000000aa', devAddr: '0000000a' }] },
  image: { imageName: 'lora', imageCid: 'a', configCid: 'b' },
  confidentiality: 'process',
  opening: 'witnessed',
  standby: 'hot',
  stakes: { customer: 1, provider: 1 },
  slots: { customer: 0, provider: 1 },
  expiresAt: 1,
});
const { contractId } = terms;
const UNCLAIMED_S = 3600;
const LISTEN_ON_S = 60;
const KEPT_S = 7200;

let folder = '';
let store: ContractStore;
let now = 0;
let leading = true;
/** What the other rooms of this edge hold for the contract. */
let ring: { from: number; next: number } | undefined;
/** For how long the ring is kept. */
let keptForS: number | undefined;
/** Whether our own ring has all of the provider's, and whether that is there. */
let caughtUp = true;
let isThere = true;
/** The provider's ring is on the disk and cannot be opened. */
let isShut = false;
/** How often the service was ended. */
let endings = 0;
let service: Observed['service'];
let held: Set<'fetch' | 'fence' | 'source' | 'sent'>;
/** What the provider's arbitrator says. */
let provider: () => unknown;

const unused = (): never => {
  throw new AntirioError('internal', 'not asked for at the end of a contract');
};
const rooms: PartyRooms = {
  ...{ fence: unused, grantBlock: unused, counters: unused, ring: unused, cover: unused, ringRoot: unused },
  ...{
    service: unused,
    sendImages: unused,
    senses: unused,
    hold: unused,
    takeVolumesHome: unused,
    volumesAtHome: unused,
  },
  fillFrom: async () => {
    held.add('source');
    return { pulledThrough: 0, caughtUp };
  },
  endFilling: async () => void held.delete('source'),
  ringIfThere: async () => {
    if (isShut) throw new AntirioError('unavailable', 'the ring cannot be opened');
    return ring;
  },
  removeRing: async () => void (ring = undefined),
  keepRing: async (_, forS) => void (keptForS = forS),
  keptBytes: unused,
  removeFence: async () => void held.delete('fence'),
  endService: async () => {
    endings += 1;
    return service;
  },
  endSending: async () => void held.delete('sent'),
  endFetch: async () => void held.delete('fetch'),
};
const edge2edge: HttpPeer = {
  call: async ({ path }) => {
    if (path.includes('/gateway-bridge/') && !isThere) throw new AntirioError('notFound', 'no ring');
    const body = new Uint8Array(Buffer.from(JSON.stringify(provider())));
    return { status: 200, headers: {}, body, json: provider };
  },
  close: () => undefined,
};

function ports(sources = createSourceTurns(() => now)): RetirementPorts {
  return {
    terms,
    store,
    rooms,
    sources,
    clock: { now: () => 0, monotonic: () => now },
    peers: { edge2edge },
    leads: () => leading,
    inTurn: (work) => work(),
    options: { listenOnS: LISTEN_ON_S, unclaimedRetainS: UNCLAIMED_S, handedBackRetainS: KEPT_S },
  };
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'retirement-'));
  store = openContractStore(join(folder, 'contracts.db'));
  now = 0;
  leading = true;
  ring = { from: 5, next: 11 };
  [keptForS, caughtUp, isThere, isShut] = [undefined, true, true, false];
  service = 'active';
  held = new Set(['fetch', 'fence', 'source', 'sent']);
  provider = () => ({ state: 'ended' });
});
afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true });
});

describe('the provider of an ended contract', () => {
  test('listens on until the customer has what the ring held and the service is gone, and keeps it for some days from the end on', async () => {
    const retirement = retireProvider(ports());
    // Made when the contract began, long before it ended.
    now = 10 * LISTEN_ON_S * 1000;
    ring = { from: 11, next: 11 };
    expect(await retirement.advance()).toBe(false);
    expect(store.notes(contractId)).toEqual([]);
    now += LISTEN_ON_S * 1000;
    ring = { from: 11, next: 13 };
    expect(await retirement.advance()).toBe(false);
    ring = { from: 12, next: 20 };
    service = 'absent';
    expect(await retirement.advance()).toBe(false);
    expect(store.notes(contractId)).toMatchObject([{ milestone: 'letGo', detail: { through: 12 } }]);
    // Restarted meanwhile: what came later is owed to nobody.
    const restarted = retireProvider(ports());
    expect(await restarted.advance()).toBe(false);
    ring = { from: 13, next: 30 };
    now += 600_000;
    expect(await restarted.advance()).toBe(true);
    expect([keptForS, [...held]]).toEqual([KEPT_S - 600 - LISTEN_ON_S, ['source', 'sent']]);
    expect(endingOf(store, contractId)).toMatchObject({ through: 12, letGo: true, retired: true });
  });

  test('ends its service, and removes nothing, while its ring cannot be opened: it may open again', async () => {
    [isShut, endings, service] = [true, 0, 'absent'];
    const retirement = retireProvider(ports());
    now = LISTEN_ON_S * 1000;
    expect([await retirement.advance(), endings, ring]).toEqual([false, 1, { from: 5, next: 11 }]);
    [isShut, ring] = [false, { from: 11, next: 11 }];
    now += LISTEN_ON_S * 1000;
    expect([await retirement.advance(), keptForS]).toEqual([true, KEPT_S - LISTEN_ON_S]);
  });

  test('that only kept frames has no service or image to be ended, and listens on like any other', async () => {
    [endings, ring] = [0, { from: 11, next: 11 }];
    const kept = { ...terms, confidentiality: 'relay', disputeS: 60 } as const;
    const retirement = retireProvider({ ...ports(), terms: kept });
    expect(await retirement.advance()).toBe(false);
    now += LISTEN_ON_S * 1000;
    expect([await retirement.advance(), endings, keptForS]).toEqual([true, 0, KEPT_S - LISTEN_ON_S]);
    expect(held).toContain('fetch');
  });

  test('leaves the fence to a newer contract of the set', async () => {
    [service, leading, ring] = ['absent', false, undefined];
    expect(await retireProvider(ports()).advance()).toBe(true);
    expect(held.has('fence')).toBe(true);
  });

  test('does not wait for ever: what it waited before a restart counts, being down does not', async () => {
    service = 'absent';
    const asLong = (): RetirementPorts => {
      const usual = ports();
      return { ...usual, options: { ...usual.options, handedBackRetainS: UNCLAIMED_S } };
    };
    const before = retireProvider(asLong());
    expect(await before.advance()).toBe(false);
    now = (UNCLAIMED_S - 60) * 1000;
    expect(await before.advance()).toBe(false);
    now += 10 * UNCLAIMED_S * 1000;
    const restarted = retireProvider(asLong());
    await restarted.advance();
    now += 59_000;
    expect(await restarted.advance()).toBe(false);
    now += 1000;
    expect([await restarted.advance(), ring, keptForS]).toEqual([true, undefined, undefined]);
  });
});

describe('the customer of an ended contract', () => {
  test('fetches until the provider has let the ring go, and keeps its lease until it is followed by another', async () => {
    const retirement = retireCustomer(ports());
    expect(await retirement.advance()).toBe(false);
    provider = () => {
      throw new AntirioError('unavailable', 'it is down');
    };
    now += 1000;
    expect(await retirement.advance()).toBe(false);
    expect(held).toContain('source');
    provider = () => ({ state: 'ended', letGo: true });
    now += 1000;
    expect(await retirement.advance()).toBe(false);
    expect(held).toEqual(new Set(['fetch', 'fence']));
    expect(endingOf(store, contractId)).toMatchObject({ letGo: true, retired: false });

    leading = false;
    expect(await retireCustomer(ports()).advance()).toBe(true);
    expect(endingOf(store, contractId).retired).toBe(true);
  });

  test('on an older disk fetches what stays with a provider that has let go long since, if there is any of it', async () => {
    provider = () => ({ state: 'ended', letGo: true });
    for (const ends of ['here', 'gone']) {
      store.forgetDocument(contractId, 'ending');
      [caughtUp, isThere] = [false, true];
      const retirement = retireCustomer(ports());
      await retirement.advance();
      now += 1000;
      await retirement.advance();
      expect([held.has('source'), endingOf(store, contractId).letGo]).toEqual([true, false]);
      if (ends === 'here') caughtUp = true;
      else isThere = false;
      now += 1000;
      await retirement.advance();
      expect([held.has('source'), endingOf(store, contractId).letGo]).toEqual([false, true]);
    }
  });

  test('leaves the source to a contract that wants it', async () => {
    const sources = createSourceTurns(() => now);
    provider = () => ({ state: 'ended', letGo: true });
    expect(sources.isUp('another', 'now')).toBe(true);
    expect(await retireCustomer(ports(sources)).advance()).toBe(false);
    expect(endingOf(store, contractId).letGo).toBe(false);
    sources.isUp('another', 'guard');
    now = 10_000;
    await retireCustomer(ports(sources)).advance();
    expect(endingOf(store, contractId).letGo).toBe(true);
    expect(held).toContain('source');
  });

  test('gives up on a provider that does not come back', async () => {
    provider = () => {
      throw new AntirioError('timeout', 'it is away');
    };
    leading = false;
    const retirement = retireCustomer(ports());
    expect(await retirement.advance()).toBe(false);
    now += UNCLAIMED_S * 1000;
    expect(await retirement.advance()).toBe(true);
  });
});
