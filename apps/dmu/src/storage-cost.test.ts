import { expect, test } from '@jest/globals';
import { silentLog, type HttpCall, type HttpPeer } from '@antirio/host';
import { providerPolicy, withCost } from '@antirio/market';
import { storageCost } from './storage-cost.ts';

const DAY_MS = 86_400_000;

function storeThat(status: number, body: unknown): { store: HttpPeer; paths: string[] } {
  const paths: string[] = [];
  const call = ({ path }: HttpCall) => {
    paths.push(path);
    return Promise.resolve({ status, headers: {}, body: new Uint8Array(1), json: () => body });
  };
  return { store: { call, close: () => undefined }, paths };
}
const costOf = (amount: string, currency: string): Promise<number> =>
  storageCost(storeThat(200, { quote: { amount, currency } }).store, { bytes: 1, ms: DAY_MS }, silentLog);

test('what is asked in the ledger’s unit counts, whatever its size; in another currency nothing', async () => {
  expect(await costOf('15', 'ledger')).toBe(15);
  expect(await costOf('0', 'FIL')).toBe(0);
  expect(await costOf('15', 'FIL')).toBe(0);
  expect(await costOf('9'.repeat(40), 'ledger')).toBe(1_000_000_000_000);
});

test('days are begun ones, within what can be asked for', async () => {
  const { store, paths } = storeThat(200, { quote: { amount: '1', currency: 'ledger' } });
  for (const ms of [-5, 1, DAY_MS, DAY_MS + 1, 1e15]) await storageCost(store, { bytes: 7, ms }, silentLog);
  expect(paths.map((path) => path.split('days=')[1])).toEqual(['1', '1', '1', '2', '36500']);
  expect(paths[0]).toBe('/api/v3/storage/price?bytes=7&days=1');
});

test('without an answer nothing is promised', async () => {
  for (const [status, body] of [
    [503, { message: 'away' }],
    [200, { quote: { amount: '-1', currency: 'ledger' } }],
    [200, { quote: { amount: '1' } }],
  ] as const)
    await expect(
      storageCost(storeThat(status, body).store, { bytes: 1, ms: 1 }, silentLog),
    ).rejects.toThrow();
});

test('a policy asks for the cost on top, and for no more than there can be', () => {
  const policy = providerPolicy.parse({ payment: { first: 100, limit: 80 } });
  expect(withCost(policy, 15)).toEqual({ ...policy, payment: { first: 115, limit: 95 } });
  expect(withCost(policy, 0)).toEqual(policy);
  expect(withCost(policy, 1e12).payment).toEqual({ first: 1e12, limit: 1e12 });
});
