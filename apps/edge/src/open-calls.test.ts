import { expect, test } from '@jest/globals';
import { performCall, type CallDependencies } from '@antirio/arbitrator';
import { findOpenRoute } from '@antirio/edge2edge';
import { systemRandom, type HttpCall } from '@antirio/host';
import { generateIdentity, openIdentity } from '@antirio/kernel';
import { callSchemas, type CallArgs, type CallMethod } from '@antirio/service-contract';

const identity = openIdentity(generateIdentity());
const contractId = '6a6e5df8-14ab-4f2c-b6f2-2b1d0c4e9a01';
const [customer, provider, central, holder] = Array.from(
  { length: 4 },
  () => openIdentity(generateIdentity()).edgeId,
);

/** What a call asks of other edges: `<peer>/<room>/<path>` behind its method. */
async function asks(method: CallMethod, args: object): Promise<string[]> {
  const asked: string[] = [];
  const onLedger = (): Promise<object> => Promise.resolve({});
  const edge2edge = {
    call({ method: verb = 'GET', path }: HttpCall) {
      asked.push(`${verb} ${path}`);
      const answer = { status: 200, headers: {}, body: Buffer.from('{}') };
      return Promise.resolve({ ...answer, json: () => ({}), text: () => '{}' });
    },
  };
  const deps = {
    terms: { contractId, customer, provider, central, set: { setId: 'S' }, drills: {} },
    identity,
    peers: { edge2edge },
    ledger: { submit: onLedger },
    submitPatiently: onLedger,
    rooms: {
      ring: () => Promise.resolve({ next: 2 }),
      ringRoot: () => Promise.resolve({ root: 'ff'.repeat(32), count: 1 }),
    },
    divided: () => Promise.resolve({ forProvider: {}, forHolders: [{ holder, delivery: {} }] }),
    given: () => ({ keyVersion: 1, header: {} }),
    askedBack: () => undefined,
    ports: { random: systemRandom, clock: { now: () => 0 } },
  } as unknown as CallDependencies;
  const outcome = await performCall(deps, { method, args: { contractId, ...args } } as unknown as CallArgs);
  expect([method, outcome]).toMatchObject([method, { ok: true }]);
  return asked;
}

const args: { readonly [M in CallMethod]: object } = {
  ready: {},
  degrade: { reason: 'silent' },
  witness: {},
  open: { from: 0, evidence: {} },
  take: { expected: 1 },
  release: { epoch: 1, counters: {} },
  statement: { statement: { epoch: 1 }, counters: {} },
  record: {},
  keys: {},
  keyShare: { holder },
  share: { holder, opening: 1 },
  rekey: { keyVersion: 1 },
  rekeyed: { rekeyed: 1, waiting: 0, disclosed: 0 },
  return: { epoch: 1 },
  close: {},
  yield: { word: {} },
  acts: { word: {} },
};
const TO_LEDGER: ReadonlySet<string> = new Set([
  'ready',
  'degrade',
  'rekeyed',
  'release',
  'statement',
  'close',
  'rekey',
]);

test.each(Object.keys(callSchemas) as CallMethod[])(
  'what the call %s asks of another edge is open there',
  async (method) => {
    const asked = await asks(method, args[method]);
    expect(asked).toHaveLength(TO_LEDGER.has(method) ? 0 : 1);
    for (const one of asked) {
      const [, verb = '', peer = '', room = '', path = ''] =
        /^(\w+) \/edge2edge\/peer\/([^/]+)\/([^/]+)\/(.+)$/.exec(one) ?? [];
      expect(peer).not.toBe('');
      const role = peer === 'central' ? 'central' : 'edge';
      expect([one, findOpenRoute(role, verb, room, path)?.route.audience]).toEqual([
        one,
        expect.stringMatching(/^(party|known)$/),
      ]);
    }
  },
);

test('what a customer tells its provider of how its devices listen comes in at the provider', () => {
  const path = `arbitrator/v1/contract/${contractId}/mac`;
  expect(findOpenRoute('edge', 'POST', 'arbitrator', path)?.route.audience).toBe('party');
  expect(findOpenRoute('central', 'POST', 'arbitrator', path)).toBeUndefined();
});
