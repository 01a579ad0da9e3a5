import { describe, expect, test } from '@jest/globals';
import { generateIdentity, openIdentity, openSealed, sealTo, xorBytes, type Identity } from '@antirio/kernel';
import { systemRandom } from '@antirio/host';
import { contractTerms, type ContractTerms } from '@antirio/service-contract';
import { divideKeys, openKeys, type Secrets } from './sealed-keys.ts';

const [customer, provider, central] = [1, 2, 3].map(() => openIdentity(generateIdentity())) as [
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

function termsWith(over: Partial<ContractTerms>): ContractTerms {
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

const divide = (terms: ContractTerms): ReturnType<typeof divideKeys> =>
  divideKeys(
    terms,
    { serviceName: 'device-lora' },
    all,
    { provider: provider.sealKey, central: central.sealKey },
    systemRandom,
  );

describe('sealed keys', () => {
  test('witnessed: everything the provider has on its disk, its identity included, opens nothing', () => {
    const { forProvider, forCentral } = divide(termsWith({}));
    expect(() => openKeys(provider, forProvider, undefined)).toThrow(/arbitrators/);
    expect(() => openKeys(provider, { ...forProvider, whole: true }, undefined)).toThrow(/do not open/);
    expect(() => openKeys(provider, forProvider, forCentral?.share)).toThrow(/another edge/);
    expect(JSON.stringify(forProvider)).not.toContain('11'.repeat(16));
  });

  test('witnessed: with the arbitrator’s share, sealed to the provider, the contract’s keys open', () => {
    const { forProvider, forCentral } = divide(termsWith({}));
    if (forCentral === undefined) throw new TypeError('no share for the arbitrator');
    const share = openSealed(central, forCentral.share);
    const own = openSealed(provider, forProvider.part);
    expect(xorBytes(own, share)).toHaveLength(32);
    const resealed = sealTo(provider.sealKey, share);
    const opened = openKeys(provider, forProvider, resealed);
    expect(opened.sessions).toEqual([all.sessions[0]]);
  });

  test('the arbitrator’s share alone is random: two divisions share nothing', () => {
    const one = divide(termsWith({}));
    const two = divide(termsWith({}));
    expect(one.forProvider.sealedSecrets).not.toBe(two.forProvider.sealedSecrets);
    if (two.forCentral === undefined) throw new TypeError('no share for the arbitrator');
    const foreign = sealTo(provider.sealKey, openSealed(central, two.forCentral.share));
    expect(() => openKeys(provider, one.forProvider, foreign)).toThrow(/do not open/);
  });

  test('forward: no AppSKey is in the package, relay: no key at all', () => {
    const forward = divide(termsWith({ confidentiality: 'forward', opening: 'autonomous' }));
    expect(openKeys(provider, forward.forProvider, undefined).sessions).toEqual([
      { devEui: '00000000000000aa', devAddr: '0000000a', nwkSKey: '11'.repeat(16) },
    ]);
    const relay = divide(termsWith({ confidentiality: 'relay', opening: 'autonomous' }));
    expect(openKeys(provider, relay.forProvider, undefined).sessions).toEqual([]);
  });

  test('autonomous: the provider holds the whole and no arbitrator is needed', () => {
    const { forProvider, forCentral } = divide(termsWith({ opening: 'autonomous' }));
    expect(forCentral).toBeUndefined();
    expect(openKeys(provider, forProvider, undefined).sessions).toHaveLength(1);
  });
});
