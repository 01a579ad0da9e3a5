import { describe, expect, test } from '@jest/globals';
import {
  generateIdentity,
  openIdentity,
  openSealed,
  parseEdgeId,
  sealTo,
  type EdgeId,
  type Identity,
  type SealKey,
  type SealedBox,
} from '@antirio/kernel';
import { systemRandom } from '@antirio/host';
import { contractTerms, type ContractTerms } from '@antirio/service-contract';
import {
  checkHeader,
  checkPackage,
  divideKeys,
  plainKeys,
  openKeys,
  openShare,
  type DividedKeys,
  type Secrets,
} from './sealed-keys.ts';

const edges = [1, 2, 3, 4, 5].map(() => openIdentity(generateIdentity()));
const [customer, provider, central, cloud, witness] = edges as [
  Identity,
  Identity,
  Identity,
  Identity,
  Identity,
];

const all: Secrets = {
  keyVersion: 1,
  sessions: [
    { devEui: '00000000000000aa', devAddr: '0000000a', nwkSKey: '11'.repeat(16), appSKey: '22'.repeat(16) },
    { devEui: '00000000000000bb', devAddr: '0000000b', nwkSKey: '33'.repeat(16), appSKey: '44'.repeat(16) },
  ],
};

function termsWith(over: object): ContractTerms {
  return contractTerms.parse({
    version: 1,
    contractId: '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f',
    customer: customer.edgeId,
    provider: provider.edgeId,
    central: central.edgeId,
    set: {
      setId: 'bridge',
      service: 'device-lora',
      devices: [{ devEui: '00000000000000aa', devAddr: '0000000a' }],
    },
    image: { imageName: 'lora', imageCid: 'i', configCid: 'c' },
    confidentiality: 'process',
    opening: 'witnessed',
    standby: 'hot',
    stakes: { customer: 100, provider: 100 },
    slots: { customer: 0, provider: 1 },
    expiresAt: 10,
    ...over,
  });
}

const sealKeyOf = (edge: EdgeId): SealKey => {
  const found = edges.find(({ edgeId }) => edgeId === edge)?.sealKey;
  if (found === undefined) throw new TypeError(`no edge ${edge}`);
  return found;
};

const divide = (terms: ContractTerms, secrets = all): Promise<DividedKeys> =>
  divideKeys(customer, terms, { serviceName: 'device-lora' }, secrets, sealKeyOf, systemRandom);

/** What a holder releases: its share, sealed anew to the provider. */
function released(divided: DividedKeys, by: Identity): { readonly holder: EdgeId; readonly box: SealedBox } {
  const mine = divided.forHolders.find(({ holder }) => holder === by.edgeId);
  if (mine === undefined) throw new TypeError('that edge holds no share');
  return { holder: mine.holder, box: sealTo(provider.sealKey, openSealed(by, mine.delivery.share)) };
}

const shared = termsWith({
  escrow: { threshold: 2, holders: [central.edgeId, cloud.edgeId, witness.edgeId] },
});

describe('sealed keys', () => {
  test('witnessed: everything the provider has on its disk, its identity included, opens nothing', async () => {
    const { forProvider, forHolders } = await divide(termsWith({}));
    const [central] = forHolders;
    if (central === undefined) throw new TypeError('no share for the arbitrator');
    await expect(openKeys(provider, forProvider, null)).rejects.toThrow(/arbitrators/);
    await expect(openKeys(provider, { ...forProvider, whole: true }, null)).rejects.toThrow(/do not open/);
    const foreign = [{ holder: central.holder, box: central.delivery.share }];
    await expect(openKeys(provider, forProvider, foreign)).rejects.toThrow(/another edge/);
    expect(JSON.stringify(forProvider)).not.toContain('11'.repeat(16));
  });

  test('without named holders the central arbitrator alone opens, and only with its own share', async () => {
    const [one, two] = [await divide(termsWith({})), await divide(termsWith({}))];
    expect(one.forHolders.map(({ holder }) => holder)).toEqual([central.edgeId]);
    const opened = await openKeys(provider, one.forProvider, [released(one, central)]);
    expect(opened.sessions).toEqual([all.sessions[0]]);
    expect(one.forProvider.sealedSecrets).not.toBe(two.forProvider.sealedSecrets);
    await expect(openKeys(provider, one.forProvider, [released(two, central)])).rejects.toThrow(
      /not the one that the customer gave/,
    );
  });

  test('forward: no AppSKey is in the package, relay: no key at all', async () => {
    const forward = await divide(termsWith({ confidentiality: 'forward', opening: 'autonomous' }));
    expect((await openKeys(provider, forward.forProvider, null)).sessions).toEqual([
      { devEui: '00000000000000aa', devAddr: '0000000a', nwkSKey: '11'.repeat(16) },
    ]);
    const relay = await divide(termsWith({ confidentiality: 'relay', opening: 'autonomous' }));
    expect((await openKeys(provider, relay.forProvider, null)).sessions).toEqual([]);
  });

  test('keys of the service’s own go only to who may read', async () => {
    const own = { ...all, values: { droneKey: '55'.repeat(32) } };
    const opened = async (confidentiality: string): Promise<unknown> => {
      const terms = termsWith({ confidentiality, opening: 'autonomous' });
      const { forProvider } = await divide(terms, own);
      expect(JSON.stringify(forProvider)).not.toContain('55'.repeat(32));
      return (await openKeys(provider, forProvider, null)).values;
    };
    expect(await opened('process')).toEqual(own.values);
    expect(await opened('forward')).toBeUndefined();
    expect(await opened('relay')).toBeUndefined();
  });

  test('root keys are in the package where the terms say so alone, and those of the set’s devices only', async () => {
    const devAddrRange = { first: '02000000', last: '020000ff' };
    const joins = [{ devEui: '00000000000000aa', joinNonce: 7 }];
    const appKey = '66'.repeat(16);
    const rootKeys = ['aa', 'cc'].map((end) => ({ devEui: `00000000000000${end}`, appKey }));
    const opened = async (over: object) => {
      const terms = termsWith({ opening: 'autonomous', devAddrRange, ...over });
      const { forProvider } = await divide(terms, { ...all, rootKeys, joins });
      return openKeys(provider, forProvider, null);
    };
    expect(await opened({ rootKeys: true })).toMatchObject({ rootKeys: [rootKeys[0]], joins });
    for (const over of [{}, { rootKeys: true, confidentiality: 'forward' }])
      expect(await opened(over)).not.toHaveProperty('rootKeys');
  });

  test('autonomous: the provider holds the whole and no arbitrator is needed', async () => {
    const { forProvider, forHolders } = await divide(termsWith({ opening: 'autonomous' }));
    expect(forHolders).toEqual([]);
    expect((await openKeys(provider, forProvider, null)).sessions).toHaveLength(1);
  });
});

describe('shares of two of three', () => {
  test('every two open, one opens nothing, and nor does a holder’s own with the provider’s disk', async () => {
    const divided = await divide(shared);
    for (const two of [
      [central, cloud],
      [witness, central],
      [cloud, witness],
    ] as const) {
      const shares = two.map((by) => released(divided, by));
      expect((await openKeys(provider, divided.forProvider, shares)).sessions).toHaveLength(1);
    }
    for (const by of [central, cloud, witness]) {
      const one = released(divided, by);
      await expect(openKeys(provider, divided.forProvider, [one])).rejects.toThrow(/take 2 of/);
      await expect(openKeys(provider, divided.forProvider, [one, one])).rejects.toThrow(/do not open/);
    }
  });

  test('a share that a holder has changed is found out by its commitment, and the others open without it', async () => {
    const divided = await divide(shared);
    const { header } = divided.forProvider;
    const lie = { holder: parseEdgeId(cloud.edgeId), box: sealTo(provider.sealKey, new Uint8Array(33)) };
    expect(() => openShare(provider, header.body, lie.holder, lie.box)).toThrow(
      expect.objectContaining({ code: 'corrupt', details: { holder: cloud.edgeId } }),
    );
    const others = [released(divided, central), released(divided, witness)];
    expect((await openKeys(provider, divided.forProvider, others)).sessions).toHaveLength(1);
  });

  test('where the customer itself gave one holder a wrong share, two others still open', async () => {
    const [one, other] = [await divide(shared), await divide(shared)];
    const { header } = one.forProvider;
    const shares = header.body.shares.map((share, i) =>
      i === 0 ? (other.forProvider.header.body.shares[0] ?? share) : share,
    );
    const wrong = { ...header, body: { ...header.body, shares } };
    const given = { ...one.forProvider, header: wrong };
    const all = [released(other, central), released(one, cloud), released(one, witness)];
    expect((await openKeys(provider, given, all)).sessions).toHaveLength(1);
    await expect(openKeys(provider, given, all.slice(0, 2))).rejects.toThrow(/do not open/);
  });

  test('divided separately for each provider: shares of one contract open no other', async () => {
    const another = termsWith({ contractId: '7f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f', escrow: shared.escrow });
    const [one, two] = [await divide(shared), await divide(another)];
    const mixed = [released(one, central), released(two, cloud)];
    await expect(openKeys(provider, one.forProvider, mixed)).rejects.toThrow(
      /not the one that the customer gave/,
    );
  });
});

describe('a package of keys is taken', () => {
  const tampered =
    (change: (given: DividedKeys['forProvider']) => DividedKeys['forProvider']) => async () => {
      const { forProvider } = await divide(shared);
      checkPackage(provider, shared, forProvider);
      checkPackage(provider, shared, change(forProvider));
    };

  test.each<[string, Parameters<typeof tampered>[0], RegExp]>([
    ['with other sealed keys', (one) => ({ ...one, nonce: 'AAAA' }), /signed for/],
    [
      'with another part',
      (one) => ({ ...one, part: sealTo(provider.sealKey, new Uint8Array(32)) }),
      /signed for/,
    ],
    [
      'signed by another',
      (one) => ({ ...one, header: { ...one.header, by: parseEdgeId(cloud.edgeId) } }),
      /not signed/,
    ],
    ['as another version', (one) => ({ ...one, keyVersion: 2 }), /signed for/],
    ['as a whole key', (one) => ({ ...one, whole: true }), /autonomous/],
  ])('not %s', async (_what, change, why) => {
    await expect(tampered(change)()).rejects.toThrow(why);
  });

  test('only with the threshold and the holders that were agreed', async () => {
    const { header } = (await divide(termsWith({ escrow: { ...shared.escrow, threshold: 1 } }))).forProvider;
    expect(() => {
      checkHeader(shared, header);
    }).toThrow(/other holders/);
  });
});

test('keys that no package holds are refused with a sentence before they are sealed', () => {
  const keysOf = (devices: number, ranges: number): Secrets => {
    const euis = Array.from({ length: devices }, (_, i) => i.toString(16).padStart(16, '0'));
    const used = Array.from({ length: ranges }, (_, i) => [60_000 + i, 60_000 + i]);
    const session = { devAddr: '02000000', nwkSKey: 'a'.repeat(32), appSKey: 'b'.repeat(32) };
    return {
      keyVersion: 1,
      sessions: euis.flatMap((devEui) => Array.from({ length: 3 }, () => ({ devEui, ...session }))),
      rootKeys: euis.map((devEui) => ({ devEui, appKey: 'c'.repeat(32) })),
      joins: euis.map((devEui) => ({ devEui, joinNonce: 12_345, devNonces: { rule: 'random', used } })),
    };
  };
  expect(() => plainKeys(keysOf(600, 64))).toThrow(/sealed keys of 1800 sessions.*insure fewer devices/);
  expect(plainKeys(keysOf(600, 20)).length).toBeLessThan(3 << 18);
  expect(plainKeys(keysOf(900, 13)).length).toBeLessThan(3 << 18);
});
