import { drillProblem, relayProblem, rootKeysProblem } from '@antirio/service-contract';
import { expect, test } from '@jest/globals';
import { generateIdentity, openIdentity } from '@antirio/kernel';
import { demandBody } from './demand.ts';
import { dmuOptions } from './options.ts';
import { readProcess } from './measure.ts';
import { levelsFor, propose, setIdOf, slotsFor } from './proposal.ts';

const [ada, ben, cleo, dora, eve] = Array.from(
  { length: 5 },
  () => openIdentity(generateIdentity()).edgeId,
) as [
  ReturnType<typeof openIdentity>['edgeId'],
  ReturnType<typeof openIdentity>['edgeId'],
  ReturnType<typeof openIdentity>['edgeId'],
  ReturnType<typeof openIdentity>['edgeId'],
  ReturnType<typeof openIdentity>['edgeId'],
];

test('a party keeps its slot of the set, a new one gets the lowest that is free, a fifth none', () => {
  expect(slotsFor({}, ada, ben)).toEqual({ customer: 0, provider: 1 });
  expect(slotsFor({ [ada]: 0, [ben]: 1 }, ada, cleo)).toEqual({ customer: 0, provider: 2 });
  expect(slotsFor({ [ada]: 0, [ben]: 1, [cleo]: 2 }, ada, ben)).toEqual({ customer: 0, provider: 1 });
  const full = { [ada]: 0, [ben]: 1, [cleo]: 2, [dora]: 3 };
  expect(() => slotsFor(full, ada, eve)).toThrow(expect.objectContaining({ code: 'conflict' }));
});

test('a set has one name for good, of its edge and service', () => {
  expect(setIdOf(ada, 'device-lora')).toBe(setIdOf(ada, 'device-lora'));
  expect(setIdOf(ada, 'device-lora')).not.toBe(setIdOf(ben, 'device-lora'));
  expect(setIdOf(ada, 'x'.repeat(128)).length).toBeLessThanOrEqual(64);
});

test('a proposal follows the match, the policy and the options', () => {
  const options = dmuOptions.parse({
    dataDir: '/nowhere',
    central: { edgeId: eve },
    terms: { heartbeatIntervalMs: 100, outageS: 60 },
  });
  const devices = [{ devEui: '00'.repeat(8), devAddr: '0000000a' }];
  const request = {
    imageName: 'i',
    imageCid: 'c',
    configCid: 'd',
    duration: 7,
    service: 'device-lora',
    devices,
    iTrustTheProviderWithMyKeys: false,
  };
  const match = {
    matchId: 'm',
    provider: ben,
    standby: 'warm',
    confidentiality: 'forward',
    sharedDomains: [],
  } as const;
  const contractId = '00000000-0000-4000-8000-000000000001';
  const parts = { options, request, match, customer: ada, contractId, set: undefined, now: 1000 };
  expect(propose(parts)).toMatchObject({
    customer: ada,
    provider: ben,
    central: eve,
    standby: 'warm',
    confidentiality: 'forward',
    opening: 'witnessed',
    heartbeatIntervalMs: 100,
    disputeS: 259_200,
    disputeCounts: true,
    outageS: 3600,
    expiresAt: 1000 + 7 * 86_400_000,
    slots: { customer: 0, provider: 1 },
    drills: { perMonth: 1, maxMs: 60_000, penalty: 0 },
  });
  // who stands by cold has an image to load in a drill, and an operator the last word
  const drillsWith = (drills: object, standby: 'warm' | 'cold') =>
    propose({
      ...parts,
      options: dmuOptions.parse({ ...options, terms: { drills } }),
      match: { ...match, standby },
    }).drills;
  expect(drillsWith({}, 'cold')).toEqual({ perMonth: 1, maxMs: 600_000, penalty: 0 });
  expect(drillsWith({ maxMs: 20_000 }, 'cold').maxMs).toBe(20_000);
  expect(drillsWith({ perMonth: 0 }, 'warm').perMonth).toBe(0);
  // root keys go to who may process, where there is something to answer
  const rooted = { ...options, terms: { ...options.terms, rootKeys: true as const } };
  const joining = { ...request, devAddrRange: { first: '02000000', last: '020000ff' } };
  const processing = { ...match, confidentiality: 'process' } as const;
  const proposed = propose({ ...parts, options: rooted, request: joining, match: processing });
  expect([proposed.rootKeys, rootKeysProblem(proposed)]).toEqual([true, undefined]);
  expect(propose({ ...parts, options: rooted, request: joining })).not.toHaveProperty('rootKeys');
  expect(propose({ ...parts, options: rooted, match: processing })).not.toHaveProperty('rootKeys');
  const trusting = { ...options, policy: { ...options.policy, opening: ['autonomous' as const] } };
  expect(() => propose({ ...parts, options: trusting })).toThrow(/iTrustTheProviderWithMyKeys/);
  const inWords = { ...request, iTrustTheProviderWithMyKeys: true };
  expect(propose({ ...parts, options: trusting, request: inWords })).toMatchObject({ opening: 'autonomous' });
  const both = { ...rooted, policy: trusting.policy };
  const inAll = { ...joining, iTrustTheProviderWithMyKeys: true };
  const alone = propose({ ...parts, options: both, request: inAll, match: processing });
  expect([alone.opening, 'rootKeys' in alone]).toEqual(['autonomous', false]);
  const lonely = dmuOptions.parse({ dataDir: '/nowhere' });
  expect(() => propose({ ...parts, options: lonely })).toThrow(
    expect.objectContaining({ code: 'badConfig' }),
  );
});

const keepable = {
  ...{ imageName: 'i', imageCid: 'c', configCid: 'd', duration: 7, service: 'device-lora' },
  devices: [{ devEui: '00'.repeat(8), devAddr: '0000000a' }],
  iTrustTheProviderWithMyKeys: false,
};

test('who only keeps frames is proposed nothing that takes keys, whatever the edge’s own terms and defaults are', () => {
  const cloud = { kind: 'http', url: 'http://cloud.example' };
  const own = {
    forwarding: cloud,
    rootKeys: true,
    coverage: { breach: 'ruled' },
    downlinkDrills: { motes: 3 },
  };
  const escrow = { threshold: 1, holders: [cleo] };
  const terms = {
    ...own,
    escrow,
    exposed: 'refuse',
    leaseMs: 1000,
    devAddrRange: { first: '02000000', last: '020000ff' },
  };
  const policy = { confidentiality: ['relay'], opening: ['autonomous'] };
  const options = dmuOptions.parse({ dataDir: '/nowhere', central: { edgeId: eve }, policy, terms });
  const match = {
    matchId: 'm',
    provider: ben,
    standby: 'cold',
    confidentiality: 'relay',
    sharedDomains: [],
  } as const;
  const contractId = '00000000-0000-4000-8000-000000000001';
  const about = { customer: ada, contractId, set: undefined, now: 1000 };
  const proposed = propose({ options, request: keepable, match, ...about });
  expect([relayProblem(proposed), drillProblem(proposed)]).toEqual([undefined, undefined]);
  const kept = { confidentiality: 'relay', opening: 'witnessed', disputeS: 259_200, leaseMs: 1000 };
  expect(proposed).toMatchObject({ ...kept, devAddrRange: { first: '02000000' } });
});

test('who only keeps frames is no answer to a demand for more', () => {
  const relay = { confidentiality: ['relay' as const] };
  const both = { confidentiality: ['relay' as const, 'process' as const] };
  expect([levelsFor(relay, keepable), levelsFor(both, keepable)]).toEqual([['relay'], ['relay', 'process']]);
  const manual = { events: ['manual' as const], windows: [], takeovers: 1 };
  for (const more of [{ devices: [] }, { volumes: { maxBytes: 4096, everyS: 60 } }, { activation: manual }]) {
    expect(levelsFor(both, { ...keepable, ...more })).toEqual(['process']);
    expect(() => levelsFor(relay, { ...keepable, ...more })).toThrow(/`relay` only/);
  }
});

test('memory and CPU are read from the service’s metrics, CPU not of a process that has just begun', () => {
  const page =
    'x 1\nprocess_resident_memory_bytes 41943040\nprocess_cpu_seconds_total 12.5\nprocess_start_time_seconds 1000\n';
  expect(readProcess(page, 1_250_000, 0)).toEqual({
    residentBytes: 41_943_040,
    cpu: { usedMs: 12_500, overMs: 250_000 },
  });
  expect(readProcess(page, 1_010_000, 0)).toEqual({ residentBytes: 41_943_040 });
  // The whole edge is one process: what that needs is not what the service needs.
  expect(readProcess(page, 1_250_000, 1_000_400)).toEqual({});
  expect(readProcess('nonsense', 1, 0)).toEqual({});
});

test('a demand takes devices that say more of themselves, and their ids in capitals', () => {
  const wish = { imageName: 'i', imageCid: 'c', configCid: 'd' };
  const devices = [{ devEui: '00000000000000AB', devAddr: '0000000A', name: 'mote', codec: 'cayenne' }];
  expect(demandBody.parse({ ...wish, devices }).devices).toEqual([
    { devEui: '00000000000000ab', devAddr: '0000000a' },
  ]);
  expect(demandBody.safeParse({ ...wish, devices: [{ devEui: 'xyz', devAddr: '0000000A' }] }).success).toBe(
    false,
  );
});
