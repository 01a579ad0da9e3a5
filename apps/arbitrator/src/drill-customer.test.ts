import { afterEach, expect, jest, test } from '@jest/globals';
import { systemRandom, type HttpCall, type HttpPeer, type HttpRim, type Log } from '@antirio/host';
import { AntirioError, utf8 } from '@antirio/kernel';
import { contractTerms } from '@antirio/service-contract';
import { addDrillRoutes } from './contract-drills.ts';
import type { ContractStore } from './contract-store.ts';
import { drillCustomer } from './drill-customer.ts';
import { driveDrills } from './drill-driver.ts';
import { drillKeysFor } from './drill-keys.ts';
import { contractId, customer, provider, sealKeyOf, terms as plain } from './escrow.fixture.ts';
import type { LedgerClient } from './ledger-client.ts';

const terms = contractTerms.parse({ ...plain, drills: { perMonth: 1, maxMs: 10_000 } });

afterEach(() => void jest.useRealTimers());

const answerOf = (status: number, json: unknown) => ({
  status,
  headers: {},
  body: utf8(JSON.stringify(json)),
  json: () => json,
});

/** The provider's own route for drill keys; holders take every share. */
function neighbours(isPreparing: () => boolean) {
  const handlers = new Map<string, (given: object) => unknown>();
  const rim = {
    route: (_method: string, path: string, _about: object, handler: (given: object) => unknown) =>
      void handlers.set(path.split('/').at(-1) ?? '', handler),
  } as unknown as HttpRim;
  const drills = { keep: () => undefined, heard: () => undefined, held: () => true } as never;
  addDrillRoutes(rim, { identity: provider, drills, fromCustomer: () => ({ terms }) as never, isPreparing });
  const asked: string[] = [];
  const edge2edge: Pick<HttpPeer, 'call'> = {
    async call({ path, json }: HttpCall) {
      const name = path.split('/').at(-1) ?? '';
      asked.push(name);
      try {
        const handler = handlers.get(name) ?? (() => ({ keyVersion: 1 }));
        return answerOf(200, handler({ params: { id: contractId }, body: json, request: {} }));
      } catch (error) {
        if (!(error instanceof AntirioError)) throw error;
        return answerOf(error.statusCode, { message: error.message });
      }
    },
  };
  return { edge2edge: edge2edge as HttpPeer, asked };
}

async function drilled(isPreparing: () => boolean) {
  const documents = new Map<string, unknown>();
  const store = {
    forgetVersions: () => undefined,
    document: (_id: string, name: string) => documents.get(name),
    putDocument: (_id: string, name: string, value: unknown) => void documents.set(name, value),
    note: () => undefined,
  } as unknown as ContractStore;
  const sealKeysOf = async () => sealKeyOf;
  const keyPorts = { store, identity: customer, random: systemRandom, service: () => ({}), sealKeysOf };
  const keys = await drillKeysFor(keyPorts, terms, 1);
  const said: { level: string; text: string }[] = [];
  const to = (level: string) => (_about: object, text: string) => void said.push({ level, text });
  const log = { info: to('info'), warn: to('warn'), debug: () => undefined } as unknown as Log;
  jest.useFakeTimers();
  const clock = { now: () => Date.now(), monotonic: () => Date.now() };
  const submitted: { type: string }[] = [];
  const drills = { started: 0, passed: 0, failed: 0, void: 0, month: 0, thisMonth: 0, judged: 0 };
  const record = { life: { state: 'VALIDATED' }, openings: 0, validatedAt: 0, drills };
  const ledger = {
    fetch: async (key: string) => (key.startsWith('contract/') ? record : undefined),
    time: async () => Date.now(),
    submit: async (payload: { type: string }) => submitted.push(payload),
  } as unknown as LedgerClient;
  const { edge2edge, asked } = neighbours(isPreparing);
  const common = { terms, clock, log, ledger, store, random: systemRandom };
  const side = drillCustomer({ ...common, peers: { edge2edge }, keys: async () => keys });
  const driver = driveDrills({ ...common, role: 'customer', phase: () => 'arming', side });
  return { driver, said, asked, submitted };
}

test('that the provider’s service does not stand by yet is no failure: said once, asked again, and a warning where it takes long', async () => {
  let isPreparing = true;
  const { driver, said, asked, submitted } = await drilled(() => isPreparing);
  await jest.advanceTimersByTimeAsync(60_000);
  const tries = asked.filter((name) => name === 'drill-keys').length;
  // every two seconds, give or take
  expect(tries).toBeGreaterThan(20);
  expect(tries).toBeLessThan(41);
  expect(asked.filter((name) => name === 'drill-share')).toHaveLength(2);
  const waits = { level: 'info', text: 'a package of drill keys is not taken yet' };
  expect(said).toEqual([waits]);
  await jest.advanceTimersByTimeAsync(600_000);
  expect(said).toEqual([waits, { ...waits, level: 'warn' }]);
  isPreparing = false;
  await jest.advanceTimersByTimeAsync(3000);
  expect(said.slice(2)).toEqual([{ level: 'info', text: 'a package of drill keys is taken now' }]);
  expect(submitted[0]).toMatchObject({ type: 'drill/start', receipt: { by: provider.edgeId } });
  await driver.stop();
});
