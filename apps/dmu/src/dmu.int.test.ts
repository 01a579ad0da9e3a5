import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { callJson, sleep, systemClock, waitFor } from '@antirio/host';
import { keys, type ContractRecord, type OrderRecord } from '@antirio/ledger-machine';
import { termsHash } from '@antirio/service-contract';
import { DEVICES } from './bridge.fixture.ts';
import { Neighbourhood, type Edge } from './neighbourhood.fixture.ts';

let here: Neighbourhood;

beforeEach(async () => {
  here = await Neighbourhood.open(['a', 'b']);
});

afterEach(async () => {
  await here.close();
});

const wish = {
  demandId: 'wish-1',
  imageName: 'device-lora:1',
  imageCid: 'bafy-image',
  configCid: 'bafy-config',
  devices: DEVICES,
};
const insurer = { provider: { enabled: true } };

interface Shown {
  readonly state: string;
  readonly contractId?: string;
  readonly error?: string;
  readonly attempt: number;
  readonly rounds: number;
  readonly coverage?: { ratioPermille: number; heard: number };
  readonly stakes?: { customer: number; provider: number };
  readonly rent?: { readonly perHour: number };
}

const demand = (edge: Edge, json: object = wish) =>
  callJson(edge.dmu, { method: 'POST', path: '/dmu/v1/demand', json });
const look = async (edge: Edge, id = 'wish-1') =>
  (await callJson(edge.dmu, { path: `/dmu/v1/demand/${id}` })) as Shown;

async function until<T>(find: () => Promise<T | undefined | false>): Promise<T> {
  const found = await waitFor(
    systemClock,
    120_000,
    async () => (await find().catch(() => undefined)) || undefined,
    25,
  );
  if (found === undefined) throw new TypeError('it never came');
  return found;
}

async function reached(edge: Edge, state: string): Promise<Shown> {
  let last: Shown | undefined;
  const found = until(async () => {
    last = await look(edge);
    return last.state === state && last;
  });
  return found.catch((cause: unknown) => {
    throw new TypeError(`it never was ${state}: ${JSON.stringify(last)}`, { cause });
  });
}

async function contractOf(edge: Edge, id = ''): Promise<ContractRecord | undefined> {
  return edge.client.read(keys.contract(id));
}

describe('two decision makers', () => {
  test('go from a demand over market, trial and negotiation to a contract with both stakes held', async () => {
    const [a, b] = [here.edge('a'), here.edge('b')];
    await here.startDmu('b', insurer);
    await here.startDmu('a', {});
    await demand(a);
    const shown = await reached(a, 'CONTRACTED');
    expect(shown).toMatchObject({ stakes: { customer: 100, provider: 100 }, rounds: 2, attempt: 0 });
    expect(shown.coverage?.ratioPermille).toBeGreaterThan(700);
    const contract = await contractOf(a, shown.contractId);
    expect(contract).toMatchObject({
      customer: a.identity.edgeId,
      provider: b.identity.edgeId,
      life: { state: 'VALIDATED' },
      escrow: { customer: 100, provider: 100 },
    });
    // The trial's ring goes once the contract has its own.
    await until(async () =>
      [...b.bridge.rings.keys()].every((id) => id === 'own' || id === shown.contractId),
    );
    expect(await callJson(b.dmu, { path: '/dmu/v1/offer' })).toMatchObject({ enabled: true, contracts: 1 });
  });

  test('concede to each other where their first words differ', async () => {
    const a = here.edge('a');
    const asks = { payment: { first: 120, limit: 60 }, rent: { hot: { first: 4, limit: 2 } } };
    await here.startDmu('b', { provider: { enabled: true, policy: asks } });
    const pays = { payment: { first: 50, limit: 100 }, rent: { first: 0, limit: 3 } };
    await here.startDmu('a', { policy: { minReceipts: 8, ...pays } });
    await demand(a);
    const { rounds, stakes, rent, contractId } = await reached(a, 'CONTRACTED');
    const perHour = rent?.perHour ?? 0;
    expect([2, 3]).toContain(perHour);
    // a day, and another for an activation that outlives it
    expect((await contractOf(a, contractId))?.escrow.rent).toBe(48 * perHour);
    expect(rounds).toBeGreaterThan(2);
    expect(stakes?.customer).toBeGreaterThanOrEqual(60);
    expect(stakes?.customer).toBeLessThanOrEqual(100);
  });

  test('agree on no less than what storing the image costs the provider on top', async () => {
    const [a, b] = [here.edge('a'), here.edge('b')];
    const asked = await here.sellStorage(b, '15', 'ledger');
    await here.startDmu('b', { provider: { enabled: true, policy: { payment: { first: 90, limit: 80 } } } });
    await here.startDmu('a', { policy: { minReceipts: 8, payment: { first: 80, limit: 120 } } });
    await demand(a);
    const { stakes } = await reached(a, 'CONTRACTED');
    expect(stakes?.customer).toBeGreaterThanOrEqual(95);
    expect(asked[0]?.['bytes']).toBeGreaterThan(1 << 20);
    expect(asked[0]?.['days']).toBe(1);
  });

  test('do not agree without coverage, and do as soon as it is shown', async () => {
    const [a, b] = [here.edge('a'), here.edge('b')];
    b.hears = false;
    await here.startDmu('b', insurer);
    await here.startDmu('a', {});
    await demand(a);
    await until(async () => (await look(a)).error?.startsWith('coverage:'));
    expect(a.contracts.size).toBe(0);
    b.hears = true;
    await reached(a, 'CONTRACTED');
    expect(a.contracts.size).toBe(1);
  });

  test('go on where they were killed, whenever that was, to one contract', async () => {
    const a = here.edge('a');
    const customer = await here.spawnDmu('a', {});
    const provider = await here.spawnDmu('b', insurer);
    await Promise.all([customer.start(), provider.start()]);
    await demand(a);
    await reached(a, 'TRIAL');
    for (const [victim, afterMs] of [
      [customer, 0],
      [provider, 900],
      [customer, 2600],
      [provider, 300],
    ] as const) {
      await sleep(afterMs);
      await victim.kill();
      await victim.start();
    }
    const { contractId } = await reached(a, 'CONTRACTED');
    expect((await contractOf(a, contractId))?.life.state).toBe('VALIDATED');
    expect(await a.client.range('contract/')).toHaveLength(1);
    await customer.kill();
    await customer.start();
    expect(await demand(a)).toMatchObject({ state: 'CONTRACTED', contractId });
  });
});

describe('a demand', () => {
  test('is one however often it is made, and none without sensors', async () => {
    const a = here.edge('a');
    await here.startDmu('a', {});
    await demand(a);
    await demand(a);
    const { demands } = (await callJson(a.dmu, { path: '/dmu/v1/demand' })) as { demands: unknown[] };
    expect(demands).toHaveLength(1);
    await expect(demand(a, { ...wish, demandId: 'w2', devices: undefined })).rejects.toMatchObject({
      code: 'invalidInput',
    });
    await expect(demand(a, { ...wish, demandId: 'w3', colour: 'red' })).rejects.toMatchObject({
      code: 'invalidInput',
    });
  });

  test('can be cancelled: its bid leaves the market', async () => {
    const a = here.edge('a');
    await here.startDmu('a', {});
    await demand(a);
    await reached(a, 'ORDERED');
    await until(async () => (await a.client.range('book/bid/')).length === 1);
    await callJson(a.dmu, { method: 'DELETE', path: '/dmu/v1/demand/wish-1' });
    await reached(a, 'CANCELLED');
    await until(async () => (await a.client.range('book/bid/')).length === 0);
  });

  test('ends when no provider was found in time', async () => {
    const a = here.edge('a');
    await here.startDmu('a', { demandLifetimeS: 10, tickIntervalMs: 50 });
    await demand(a);
    await reached(a, 'EXPIRED');
  });
});

describe('an insurer', () => {
  test('keeps one offer in the market and renews it', async () => {
    const b = here.edge('b');
    await here.startDmu('b', { provider: { enabled: true, askPeriodMs: 2000 } });
    const asks = async () =>
      (await b.client.range('book/ask/')).map(([key]) => key.slice('book/ask/'.length));
    const [first = ''] = await until(async () => {
      const found = await asks();
      return found.length > 0 && found;
    });
    const order = await b.client.read(keys.order(first));
    expect((order as OrderRecord).terms.price).toEqual({ p: 80, q: 120 });
    const [second] = await until(async () => {
      const found = await asks();
      return found.length === 1 && found[0] !== first && found;
    });
    expect(second).not.toBe(first);
  });

  test('talks to the matched customer only, and knows no terms that it did not agree to', async () => {
    const [a, b] = [here.edge('a'), here.edge('b')];
    await here.startDmu('b', insurer);
    const matchId = 'ab'.repeat(32);
    const asPeer = { 'x-antirio-peer': a.identity.edgeId };
    const start = { say: 'start', devAddrs: ['00000001'] };
    const trial = (headers: Record<string, string>, json: unknown) =>
      b.dmu.call({ method: 'POST', path: `/dmu/v1/trial/${matchId}`, json, headers });
    expect((await trial({}, start)).status).toBe(401);
    expect((await trial(asPeer, start)).status).toBe(404);
    expect((await trial(asPeer, { say: 'commitments', after: 0 })).status).toBe(404);
    expect((await trial(asPeer, { say: 'nonsense' })).status).toBe(400);
    const foreign = (path: string) => b.dmu.call({ path, headers: asPeer });
    expect((await foreign('/dmu/v1/demand')).status).toBe(403);
    expect((await foreign(`/dmu/v1/agreed/${matchId}`)).status).toBe(403);
    expect((await b.dmu.call({ path: `/dmu/v1/agreed/${matchId}` })).status).toBe(404);
  });

  test('tells its own arbitrator which terms it agreed to', async () => {
    const [a, b] = [here.edge('a'), here.edge('b')];
    await here.startDmu('b', insurer);
    await here.startDmu('a', {});
    await demand(a);
    await reached(a, 'CONTRACTED');
    const [terms] = [...a.contracts.values()];
    if (terms === undefined) throw new TypeError('no terms');
    expect(await callJson(b.dmu, { path: `/dmu/v1/agreed/${termsHash(terms)}` })).toMatchObject({ terms });
    const changed = { ...terms, stakes: { customer: 1, provider: 1 } };
    await expect(callJson(b.dmu, { path: `/dmu/v1/agreed/${termsHash(changed)}` })).rejects.toMatchObject({
      code: 'notFound',
    });
  });
});
