import { expect, test } from '@jest/globals';
import { contractId, customer, provider } from './escrow.fixture.ts';
import { keepSealed, openedSecrets } from './own-secrets.ts';
import type { Secrets } from './sealed-keys.ts';

const secretsOf = (keyVersion: number, nwkSKey: string): Secrets => ({
  keyVersion,
  sessions: [{ devEui: '00000000000000aa', devAddr: '0000000a', nwkSKey }],
});
const ONE = secretsOf(1, '11'.repeat(16));
const TWO = secretsOf(2, '22'.repeat(16));

test('a customer states with the keys that were opened, whatever is in its files by then', async () => {
  const documents = new Map<string, unknown>();
  const store = {
    document: (id: string, name: string) => documents.get(`${id}/${name}`),
    putDocument: (id: string, name: string, value: unknown) => void documents.set(`${id}/${name}`, value),
  };
  const openings: number[] = [];
  const fetch = async (key: string): Promise<unknown> =>
    key.startsWith('opening/')
      ? { keyVersion: openings[Number(key.split('/').at(-1)) - 1] }
      : { openings: openings.length };
  let files = ONE;
  const ledger = { fetch } as Parameters<typeof openedSecrets>[0]['ledger'];
  const ports = { store, identity: customer, ledger, ownSecrets: () => files };
  const opened = (): Promise<Secrets> => openedSecrets(ports, contractId);

  expect(await opened()).toEqual(ONE);
  // sealed by an older version, which kept nothing
  openings.push(1);
  expect(await opened()).toEqual(ONE);
  keepSealed(store, customer, contractId, { ...ONE, forwarding: { key: 'ab'.repeat(32) } });
  files = TWO;
  expect(await opened()).toEqual(ONE);
  keepSealed(store, customer, contractId, TWO);
  expect(await opened()).toEqual(ONE);
  openings.push(2);
  files = secretsOf(3, '33'.repeat(16));
  expect(await opened()).toEqual(TWO);
  // on the disk it is for nobody else
  expect(JSON.stringify([...documents.values()])).not.toContain('2222');
  await expect(openedSecrets({ ...ports, identity: provider }, contractId)).rejects.toMatchObject({
    code: 'corrupt',
  });
});
