import { expect, test } from '@jest/globals';
import { AntirioError, generateIdentity, openIdentity } from '@antirio/kernel';
import { WORD_SLACK_MS, drillTerms, type CallArgs } from '@antirio/service-contract';
import { backAskOf, keepBackAsk, keptBackAsk } from './asked-back.ts';
import { performCall, type CallDependencies } from './party-calls.ts';

const [ada, ben] = [openIdentity(generateIdentity()), openIdentity(generateIdentity())];
const contractId = '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f';
const terms = {
  ...{ contractId, customer: ada.edgeId, provider: ben.edgeId },
  drills: drillTerms.parse({ full: {} }),
};
const NOW = 10_000_000;

function shelf() {
  const documents = new Map<string, unknown>();
  return {
    document: (_id: string, name: string) => documents.get(name),
    putDocument: (_id: string, name: string, value: unknown) => void documents.set(name, value),
  };
}

const askAt = (at: number, epoch = 2, identity = ada) => {
  const ask = backAskOf(terms, epoch, { identity, clock: { now: () => at } });
  if (ask === undefined) throw new Error('these terms know full drills');
  return ask;
};

test('the first wish of the epoch that is served is kept, where it is the customer’s and of about now', () => {
  const store = shelf();
  const keep = (ask: ReturnType<typeof askAt>, now = NOW, servesUnder: number | undefined = 2) =>
    keepBackAsk(store, terms, ask, { now, servesUnder });
  expect(keep(askAt(NOW - WORD_SLACK_MS - 1))).toBe(false);
  expect(keep(askAt(NOW, 2, ben))).toBe(false);
  // ahead of its time, for an epoch that is not served yet
  expect(keep(askAt(NOW, 4))).toBe(false);
  expect(keepBackAsk(store, terms, askAt(NOW), { now: NOW, servesUnder: undefined })).toBe(false);
  expect(keptBackAsk(store, contractId, 2)).toBeUndefined();
  expect(keep(askAt(NOW))).toBe(true);
  expect(keep(askAt(NOW + 500), NOW + 500)).toBe(true);
  expect(keptBackAsk(store, contractId, 2)?.body.at).toBe(NOW);
  expect(keep(askAt(NOW, 4), NOW, 4)).toBe(true);
  expect(keptBackAsk(store, contractId, 2)).toBeUndefined();
  expect(keptBackAsk(store, contractId, 4)?.body.at).toBe(NOW);
});

test('a customer without full drills signs nothing', () => {
  const drills = drillTerms.parse({});
  expect(backAskOf({ contractId, drills }, 2, { identity: ada, clock: { now: () => NOW } })).toBeUndefined();
});

const calls = (ledger: (payload: { type: string }) => Promise<object>, more: object = {}) =>
  ({
    ...{ terms, identity: ada, ledger: { submit: ledger }, askedBack: () => askAt(NOW) },
    ...{ ports: { clock: { now: () => NOW } }, ...more },
  }) as unknown as CallDependencies;
const stating = { method: 'statement', args: { statement: { epoch: 2 }, counters: {} } } as CallArgs;

test('a provider brings it to the ledger before it states, and states also where the ledger does not want such a word', async () => {
  const refusals = [
    undefined,
    new AntirioError('invalidInput', 'unknown'),
    new AntirioError('unauthenticated', 'nobody asked for this', { txId: 'aa' }),
  ];
  for (const refusal of refusals) {
    const sent: string[] = [];
    const submit = async ({ type }: { type: string }): Promise<object> => {
      sent.push(type);
      if (refusal !== undefined && type === 'drill/back-asked') throw refusal;
      return {};
    };
    expect(await performCall(calls(submit), stating)).toMatchObject({ ok: true });
    expect(sent).toEqual(['drill/back-asked', 'contract/statement']);
  }
});

test.each([
  ['unavailable', {}],
  // its queue is full, it is another ledger, the transaction came too late
  ['busy', {}],
  ['conflict', {}],
  ['gone', { txId: 'aa' }],
] as const)('a provider states nothing before the ledger could hear of it: %s', async (code, details) => {
  const sent: string[] = [];
  const submit = async ({ type }: { type: string }): Promise<object> => {
    sent.push(type);
    throw new AntirioError(code, 'not now', details);
  };
  expect(await performCall(calls(submit), stating)).toMatchObject({ ok: false, code });
  expect(sent).toEqual(['drill/back-asked']);
});

test('a customer asks a provider of before, which knows no signed wish, without one', async () => {
  const bodies: object[] = [];
  const edge2edge = {
    call: async ({ json }: { json: object }) => {
      bodies.push(json);
      const refused = 'ask' in json;
      const answer = refused ? { error: { code: 'invalidInput', message: 'ask' } } : {};
      return { status: refused ? 400 : 200, headers: {}, body: Buffer.from('{}'), json: () => answer };
    },
    close: () => undefined,
  };
  const args = { contractId, epoch: 2 };
  const deps = calls(async () => ({}), { peers: { edge2edge } });
  expect(await performCall(deps, { method: 'return', args })).toMatchObject({ ok: true });
  expect(bodies).toMatchObject([{ epoch: 2, ask: { body: { epoch: 2, at: NOW } } }, { epoch: 2 }]);
});
