import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { systemClock, systemRandom, waitFor } from '@antirio/host';
import { generateIdentity, openIdentity, type Identity } from '@antirio/kernel';
import {
  cursorBehind,
  genesis,
  keys,
  signTx,
  txIdOf,
  type LedgerEvent,
  type LedgerPort,
  type Receipt,
  type SignedTx,
} from '@antirio/ledger-machine';

const arbitrator = openIdentity(generateIdentity());

/** What a ledger begins with that the cases are run on: whoever registers has 1000. */
export const complianceGenesis = genesis.parse({
  arbitrator: arbitrator.edgeId,
  balances: { [arbitrator.edgeId]: 1_000_000 },
  openingBalance: 1000,
});

export interface OpenedLedger {
  readonly ledger: LedgerPort;
  close(): Promise<void>;
}

const LONG_MS = 120_000;

/** What every engine of the ledger must do behind its port. The ledger is opened once, with `complianceGenesis`. */
export function ledgerCompliance(name: string, open: () => Promise<OpenedLedger>): void {
  let opened: OpenedLedger;
  let ledger: LedgerPort;

  const sign = async (by: Identity, request: Parameters<typeof signTx>[3]): Promise<SignedTx> =>
    signTx(by, systemRandom, Number((await ledger.head()).height) + 1000, request);

  const registration = (edge: Identity): Promise<SignedTx> =>
    sign(edge, {
      type: 'identity/register',
      name: 'an edge',
      sealKey: edge.sealKey,
      addresses: { url: 'http://127.0.0.1:1', udp: { host: '127.0.0.1', port: 1 } },
    });

  const registered = async (): Promise<Identity> => {
    const edge = openIdentity(generateIdentity());
    expect(await ledger.submit(await registration(edge))).toMatchObject({
      ok: true,
      result: { balance: 1000 },
    });
    return edge;
  };

  const transfer = (from: Identity, to: Identity, amount: number): Promise<SignedTx> =>
    sign(from, { type: 'account/transfer', to: to.edgeId, amount });

  const balance = async (edge: Identity): Promise<number | undefined> =>
    (await ledger.query<{ balance: number }>(keys.account(edge.edgeId)))?.balance;

  describe(`${name} as a ledger`, () => {
    beforeAll(async () => {
      opened = await open();
      ({ ledger } = opened);
    }, LONG_MS * 2);

    afterAll(() => opened.close());

    test(
      'shows what a receipt says as soon as there is one',
      async () => {
        const before = await ledger.head();
        const [ada, ben] = [await registered(), await registered()];
        const tx = await transfer(ada, ben, 5);
        const receipt = await ledger.submit(tx);
        expect(receipt).toMatchObject({ ok: true, txId: txIdOf(tx) });
        expect([await balance(ada), await balance(ben)]).toEqual([995, 1005]);
        const after = await ledger.head();
        expect(after.height).toBeGreaterThanOrEqual(BigInt(receipt.height));
        expect(after.time).toBeGreaterThanOrEqual(receipt.time);
        expect(after.stateHash).not.toBe(before.stateHash);
        expect(await ledger.query('account/nobody')).toBeUndefined();
        const accounts = (await ledger.range('account/')).map(([key]) => key);
        expect(accounts).toEqual([...accounts].sort());
        expect(accounts).toContain(keys.account(ben.edgeId));
      },
      LONG_MS,
    );

    test(
      'applies once what is submitted often, at once or later, and says the same each time',
      async () => {
        const [ada, ben] = [await registered(), await registered()];
        const tx = await transfer(ada, ben, 7);
        const [first, ...others] = await Promise.all([1, 2, 3].map(() => ledger.submit(tx)));
        for (const other of others) expect(other).toEqual(first);
        expect(await ledger.submit(tx)).toEqual(first);
        expect(await balance(ben)).toBe(1007);
      },
      LONG_MS,
    );

    test(
      'answers with a receipt what its rules refuse, and throws at what is no transaction',
      async () => {
        const [ada, ben] = [await registered(), await registered()];
        const stranger = openIdentity(generateIdentity());
        const tooMuch = await transfer(ada, ben, 5000);
        const refused = await ledger.submit(tooMuch);
        expect(refused).toMatchObject({ ok: false, txId: txIdOf(tooMuch) });
        expect(await ledger.submit(tooMuch)).toEqual(refused);
        const refusals: [SignedTx, string][] = [
          [await transfer(stranger, ben, 1), 'unauthenticated'],
          [{ ...(await transfer(ada, ben, 1)), by: ben.edgeId }, 'unauthenticated'],
          [signTx(ada, systemRandom, 0, { type: 'account/transfer', to: ben.edgeId, amount: 1 }), 'gone'],
        ];
        for (const [tx, code] of refusals) expect(await ledger.submit(tx)).toMatchObject({ ok: false, code });
        await expect(ledger.submit({ kind: 'nonsense' } as never)).rejects.toMatchObject({
          code: 'invalidInput',
        });
        expect([await balance(ada), await balance(ben)]).toEqual([1000, 1000]);
      },
      LONG_MS,
    );

    test(
      'takes many at once and loses none',
      async () => {
        const [ada, ben] = [await registered(), await registered()];
        const txs = await Promise.all(Array.from({ length: 20 }, (_, i) => transfer(ada, ben, i + 1)));
        const receipts = await Promise.all(txs.map((tx) => ledger.submit(tx)));
        expect(receipts.map(({ ok, txId }) => [ok, txId])).toEqual(txs.map((tx) => [true, txIdOf(tx)]));
        expect([await balance(ada), await balance(ben)]).toEqual([790, 1210]);
      },
      LONG_MS,
    );

    test(
      'tells what happened in order, again what could not be handled, and resumes behind a cursor',
      async () => {
        const [ada, ben] = [await registered(), await registered()];
        const from = cursorBehind((await ledger.head()).height);
        const seen: LedgerEvent[] = [];
        let failing = true;
        const following = ledger.onEvent(from, (event) => {
          if (event.data['amount'] === 2 && failing) {
            failing = false;
            throw new TypeError('not now');
          }
          seen.push(event);
        });
        const receipts: Receipt[] = [];
        for (const amount of [1, 2, 3]) receipts.push(await ledger.submit(await transfer(ada, ben, amount)));
        const own = (): LedgerEvent[] => seen.filter(({ data }) => data['from'] === ada.edgeId);
        await waitFor(systemClock, LONG_MS / 2, () => own().length === 3 || undefined);
        following.close();
        expect(own().map(({ txId, height }) => [txId, height])).toEqual(
          receipts.map(({ txId, height }) => [txId, height]),
        );
        expect(seen.map(({ cursor }) => cursor)).toEqual(seen.map(({ cursor }) => cursor).sort());
        const again: LedgerEvent[] = [];
        const resumed = ledger.onEvent(own()[0]?.cursor, (event) => void again.push(event));
        await waitFor(systemClock, LONG_MS / 2, () => again.length >= 2 || undefined);
        resumed.close();
        expect(again.slice(0, 2)).toEqual(seen.slice(seen.indexOf(own()[0] as LedgerEvent) + 1).slice(0, 2));
      },
      LONG_MS,
    );
  });
}
