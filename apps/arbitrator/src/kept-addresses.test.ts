import { expect, jest, test } from '@jest/globals';
import { silentLog, type HttpCall, type HttpPeer, type HttpRim } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { contractTerms, type ContractTerms, type ProtectedDevice } from '@antirio/service-contract';
import { customer, provider, terms as plain } from './escrow.fixture.ts';
import { addAddressesRoute, createAddressTelling, keepAddresses, toldAddresses } from './kept-addresses.ts';

const range = { devAddrRange: { first: '02000000', last: '0200ffff' } };
const terms = contractTerms.parse({
  ...plain,
  ...{ ...range, confidentiality: 'relay', disputeS: 60, escrow: {} },
});
const devEui = '00000000000000aa';
const joined = (devAddr: string): ProtectedDevice[] => [{ devEui, devAddr }];
const until = async (isSo: () => boolean): Promise<void> => {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
};

const phase = () => ({ at: 'guarded', epoch: 1 }) as const;
/** A customer of which one device has joined, and what it tells its provider. */
function teller(clock: { monotonic(): number }) {
  const told: unknown[] = [];
  const edge2edge: HttpPeer = {
    call: async ({ path, json }: HttpCall) => {
      told.push([path, json]);
      return { status: 200, headers: {}, body: new Uint8Array(1), json: () => ({}) };
    },
    close: () => undefined,
  };
  const ports = { peers: { edge2edge }, log: silentLog, clock, joined: () => joined('02000001') };
  return { told, telling: createAddressTelling(ports) };
}

test('a customer tells who keeps its frames of the addresses that joins gave', async () => {
  const { told, telling } = teller({ monotonic: () => 0 });
  // only of contracts that say what joins may give, to providers that get no keys
  for (const other of [
    { ...terms, confidentiality: 'forward' },
    { ...terms, devAddrRange: undefined },
  ])
    telling.drive({ terms: other as ContractTerms, role: 'customer', phase });
  telling.drive({ terms, role: 'provider', phase });
  telling.drive({ terms, role: 'customer', phase });
  await until(() => told.length > 0);
  await telling.stop();
  const path = `/edge2edge/peer/${terms.provider}/arbitrator/arbitrator/v1/contract/${terms.contractId}/addresses`;
  expect(told).toEqual([[expect.stringContaining(path), { addresses: joined('02000001') }]]);
});

test('it tells them again now and then: the provider’s disk may be an older one', async () => {
  jest.useFakeTimers();
  try {
    let now = 0;
    const { told, telling } = teller({ monotonic: () => now });
    telling.drive({ terms, role: 'customer', phase });
    await jest.advanceTimersByTimeAsync(10_000);
    expect(told).toHaveLength(1);
    now = 600_000;
    await jest.advanceTimersByTimeAsync(10_000);
    expect(told).toHaveLength(2);
    await telling.stop();
  } finally {
    jest.useRealTimers();
  }
});

type Handler = (given: { params: { id: string }; body: unknown; request: unknown }) => Promise<unknown>;

test('who keeps frames listens for the addresses that its customer names, within the range of the contract', async () => {
  let handler: Handler | undefined;
  let agreed = terms;
  const taken: unknown[] = [];
  const rim = { route: (...all: unknown[]) => void (handler = all[3] as Handler) } as unknown as HttpRim;
  addAddressesRoute(rim, {
    fromCustomer: (_id, request) => {
      if (request.get('x') !== customer.edgeId) throw new AntirioError('forbidden', 'another edge');
      return { terms: agreed, role: 'provider', signatures: {} };
    },
    take: async (_terms, addresses) => void taken.push(addresses),
  });
  const ask = (by: string, devAddr: string): Promise<unknown> =>
    Promise.resolve().then(() =>
      handler?.({
        params: { id: terms.contractId },
        body: { addresses: joined(devAddr) },
        request: { get: () => by },
      }),
    );
  expect(await ask(customer.edgeId, '02000001')).toEqual({ addresses: 1 });
  expect(taken).toEqual([joined('02000001')]);
  await expect(ask(provider.edgeId, '02000001')).rejects.toThrow('another edge');
  await expect(ask(customer.edgeId, '03000001')).rejects.toThrow('not in the range');
  agreed = { ...terms, confidentiality: 'process' };
  await expect(ask(customer.edgeId, '02000001')).rejects.toThrow('come with the keys');
  expect(taken).toHaveLength(1);
});

test('what it was told outlasts a restart', () => {
  const documents = new Map<string, unknown>();
  const store = {
    document: (id: string, name: string) => documents.get(`${id}/${name}`),
    putDocument: (id: string, name: string, value: unknown) => void documents.set(`${id}/${name}`, value),
  };
  expect(toldAddresses(store, 'c')).toBeUndefined();
  keepAddresses(store, 'c', joined('02000001'));
  expect(toldAddresses(store, 'c')).toEqual(joined('02000001'));
});
