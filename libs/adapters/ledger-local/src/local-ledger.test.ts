import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { silentLog, systemRandom } from '@antirio/host';
import { generateIdentity, openIdentity, type Identity } from '@antirio/kernel';
import {
  EPOCH_REQUEST_KIND,
  TX_KIND,
  genesis,
  keys,
  signTx,
  type LedgerEvent,
  type SignedTx,
} from '@antirio/ledger-machine';
import { openLocalLedger, type LocalLedger } from './local-ledger.ts';

const central = openIdentity(generateIdentity());
const ada = openIdentity(generateIdentity());
const ben = openIdentity(generateIdentity());
const started = genesis.parse({
  arbitrator: central.edgeId,
  balances: { [ada.edgeId]: 1000, [ben.edgeId]: 1000 },
});

let dir: string;
let path: string;
let now: number;
let open: LocalLedger[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ledger-local-'));
  path = join(dir, 'ledger.log');
  now = 1_800_000_000_000;
  open = [];
});

afterEach(async () => {
  for (const ledger of open) await ledger.close().catch(() => undefined);
  rmSync(dir, { recursive: true });
});

async function openLedger(eventsKept?: number): Promise<LocalLedger> {
  const ledger = await openLocalLedger({
    path,
    genesis: started,
    clock: { now: () => now },
    log: silentLog,
    eventsKept,
  });
  open.push(ledger);
  return ledger;
}

function registration(edge: Identity, name = 'edge'): SignedTx {
  const addresses = { url: 'http://127.0.0.1:1', udp: { host: '127.0.0.1', port: 1 } };
  return signTx(edge, systemRandom, 1000, {
    type: 'identity/register',
    name,
    sealKey: edge.sealKey,
    addresses,
  });
}

const transfer = (amount: number): SignedTx =>
  signTx(ada, systemRandom, 1000, { type: 'account/transfer', to: ben.edgeId, amount });

async function balance(ledger: LocalLedger, edge: Identity): Promise<number | undefined> {
  return (await ledger.query<{ balance: number }>(keys.account(edge.edgeId)))?.balance;
}

describe('the local ledger', () => {
  test('keeps what it acknowledged: opened again it has the same head, state and receipts', async () => {
    const first = await openLedger();
    await first.submit(registration(ada));
    const tx = transfer(10);
    const receipt = await first.submit(tx);
    const head = await first.head();
    const everything = await first.range('');
    await first.close();

    const second = await openLedger();
    expect(await second.head()).toEqual(head);
    expect(await second.range('')).toEqual(everything);
    expect(await second.submit(tx)).toEqual(receipt);
    expect(await balance(second, ben)).toBe(1010);
  });

  test('puts what comes while a block is written into the next one', async () => {
    const ledger = await openLedger();
    await ledger.submit(registration(ada));
    const before = (await ledger.head()).height;
    const receipts = await Promise.all(Array.from({ length: 50 }, () => ledger.submit(transfer(1))));
    expect(receipts.every(({ ok }) => ok)).toBe(true);
    expect((await ledger.head()).height - before).toBe(2n);
    expect(await balance(ledger, ben)).toBe(1050);
  });

  test('a transaction that stands twice in one block is applied once', async () => {
    const ledger = await openLedger();
    await ledger.submit(registration(ada));
    const tx = transfer(10);
    const [, a, b] = await Promise.all([ledger.submit(transfer(1)), ledger.submit(tx), ledger.submit(tx)]);
    expect(a).toEqual(b);
    expect(await balance(ledger, ben)).toBe(1011);
  });

  test('its time never goes back', async () => {
    const ledger = await openLedger();
    await ledger.submit(registration(ada));
    const { time } = await ledger.head();
    now -= 1_000_000;
    const receipt = await ledger.submit(transfer(1));
    expect(receipt.time).toBe(time);
  });

  test('refuses what is no transaction, and remembers nothing of strangers', async () => {
    const ledger = await openLedger();
    await expect(ledger.submit({ nonsense: true } as never)).rejects.toMatchObject({ code: 'invalidInput' });
    const { height } = await ledger.head();
    expect(await ledger.submit(transfer(1))).toMatchObject({ ok: false, code: 'unauthenticated' });
    expect((await ledger.head()).height).toBe(height);
  });

  const nested = (depth: number): unknown => JSON.parse(`${'['.repeat(depth)}1${']'.repeat(depth)}`);
  test.each([
    ['nested deeper than the stack', nested(2300)],
    ['nested a little too deeply', nested(40)],
    ['no Unicode', '\ud800'],
    ['no number', Number('1e999')],
  ])('what a stranger puts into a request that is %s is refused, and nothing halts', async (_, odd) => {
    const ledger = await openLedger();
    await ledger.submit(registration(ada));
    const signature = `${'A'.repeat(86)}==`;
    const contractId = '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f';
    const request = {
      ...{ kind: EPOCH_REQUEST_KIND, by: ben.edgeId, signature },
      body: { setId: 'bridge', epoch: 1, contractId, odd },
    };
    const take = { type: 'epoch/take', request, holderLeaseEndedAt: null, customerLeaseEndedAt: null };
    const { body } = transfer(1);
    const tx = {
      kind: TX_KIND,
      by: ben.edgeId,
      signature,
      body: { ...body, payload: { ...take, evidence: {} } },
    };
    await expect(ledger.submit(tx as never)).rejects.toMatchObject({ code: 'invalidInput' });
    expect(ledger.health()).toEqual({ ok: true });
    expect(await ledger.submit(transfer(1))).toMatchObject({ ok: true });
  });
});

describe('the log', () => {
  async function filled(): Promise<void> {
    const ledger = await openLedger();
    await ledger.submit(registration(ada));
    for (let i = 0; i < 5; i++) await ledger.submit(transfer(1));
    await ledger.close();
  }

  test('loses nothing but a torn last block', async () => {
    await filled();
    truncateSync(path, statSync(path).size - 3);
    const ledger = await openLedger();
    expect(await balance(ledger, ben)).toBe(1004);
    await ledger.submit(transfer(7));
    await ledger.close();
    expect(await balance(await openLedger(), ben)).toBe(1011);
  });

  test('that ends in zeros, as a crash may leave it, is read', async () => {
    await filled();
    appendFileSync(path, Buffer.alloc(24));
    const ledger = await openLedger();
    await ledger.submit(transfer(1));
    await ledger.close();
    expect(await balance(await openLedger(), ben)).toBe(1006);
  });

  test('that is damaged before its end is refused and left as it is', async () => {
    await filled();
    const bytes = readFileSync(path);
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(path, bytes);
    await expect(openLedger()).rejects.toMatchObject({ code: 'corrupt' });
    expect(statSync(path).size).toBe(bytes.length);
  });

  test('with another block in its place is refused, even if its checksums are right', async () => {
    await filled();
    const other = await openLocalLedger({
      path: join(dir, 'other.log'),
      genesis: started,
      clock: { now: () => now + 1 },
      log: silentLog,
    });
    await other.submit(registration(ada));
    await other.close();
    const mixed = Buffer.concat([readFileSync(join(dir, 'other.log')), readFileSync(path)]);
    writeFileSync(path, mixed);
    await expect(openLedger()).rejects.toMatchObject({ code: 'corrupt' });
  });

  test('of another genesis is refused', async () => {
    await filled();
    const changed = { ...started, openingBalance: 5 };
    const opening = openLocalLedger({ path, genesis: changed, clock: { now: () => now }, log: silentLog });
    await expect(opening).rejects.toMatchObject({ code: 'badConfig' });
  });
});

describe('events', () => {
  test('come in order, resume behind a cursor, and one that could not be handled comes again', async () => {
    const ledger = await openLedger();
    await ledger.submit(registration(ada));
    await ledger.submit(registration(ben));
    const seen: LedgerEvent[] = [];
    let fail = true;
    await new Promise<void>((resolve) => {
      ledger.onEvent(undefined, (event) => {
        if (seen.length === 1 && fail) {
          fail = false;
          throw new TypeError('not now');
        }
        seen.push(event);
        if (seen.length === 3) resolve();
      });
      void ledger.submit(transfer(1));
    });
    expect(seen.map(({ type }) => type)).toEqual([
      'identity/registered',
      'identity/registered',
      'account/transferred',
    ]);
    await ledger.close();
    const again = await openLedger();
    expect(again.events(seen[1]?.cursor, 10)).toEqual(seen.slice(2));
    expect(again.events(undefined, 2)).toEqual(seen.slice(0, 2));
  });

  test('behind a cursor that is forgotten are said to be gone, and a cursor ahead of the ledger is refused', async () => {
    const ledger = await openLedger(2);
    await ledger.submit(registration(ada));
    const [first] = ledger.events(undefined, 1);
    for (let i = 0; i < 9; i++) await ledger.submit(transfer(1));
    expect(() => ledger.events(first?.cursor, 1)).toThrow(expect.objectContaining({ code: 'gone' }));
    expect(() => ledger.events('999999999999-000000', 1)).toThrow(
      expect.objectContaining({ code: 'conflict' }),
    );
  });
});
