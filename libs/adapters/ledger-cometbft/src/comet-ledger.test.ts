import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { httpPeer, silentLog, systemClock, systemRandom } from '@antirio/host';
import { toBase64, toHex, utf8 } from '@antirio/kernel';
import { txIdOf, type Receipt } from '@antirio/ledger-machine';
import { transfer } from './application.fixture.ts';
import { CometRpc, createCometLedger, type CometLedger } from './index.ts';

type Answer = { readonly result?: unknown; readonly error?: object } | string;

let nodes: Server[];
let ledgers: CometLedger[];

beforeEach(() => {
  nodes = [];
  ledgers = [];
});

afterEach(async () => {
  for (const ledger of ledgers) ledger.close();
  for (const node of nodes) {
    node.closeAllConnections();
    await new Promise((resolve) => node.close(resolve));
  }
});

/** Answers as CometBFT 0.38 does, by its RPC's methods. */
async function node(answer: (method: string, params: Record<string, string>) => Answer): Promise<string> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method, params } = JSON.parse(Buffer.concat(chunks).toString()) as {
        method: string;
        params: Record<string, string>;
      };
      const said = answer(method, params);
      response.end(typeof said === 'string' ? said : JSON.stringify({ jsonrpc: '2.0', id: 1, ...said }));
    });
  });
  nodes.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function connect(urls: readonly string[], submitMs = 5000): CometLedger {
  const rpc = new CometRpc(urls.map((url) => httpPeer({ url })));
  const ledger = createCometLedger({
    rpc,
    submitMs,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
  });
  ledgers.push(ledger);
  return ledger;
}

const value = (content: unknown): Answer => ({
  result: { response: { code: 0, value: toBase64(utf8(JSON.stringify(content))) } },
});
const taken: Answer = { result: { code: 0, data: '', log: '', codespace: '', hash: '' } };
const fault = (data: string): Answer => ({ error: { code: -32_603, message: 'Internal error', data } });

const tx = transfer(1);
const receipt: Receipt = { ok: true, txId: txIdOf(tx), height: 3, time: 5, result: { balance: 1 } };

describe('the client of a federation', () => {
  test('sends a transaction once, however many ask, and waits for its block', async () => {
    const sent: string[] = [];
    let looks = 0;
    const url = await node((method, { tx: bytes = '' }) => {
      if (method === 'broadcast_tx_sync') {
        sent.push(bytes);
        return taken;
      }
      looks += 1;
      return value({ receipts: [looks < 4 ? null : receipt] });
    });
    const ledger = connect([url]);
    expect(await Promise.all([ledger.submit(tx), ledger.submit(tx)])).toEqual([receipt, receipt]);
    expect(sent).toHaveLength(1);
    expect(looks).toBe(4);
  });

  test('asks on where the mempool has it already, and takes the application’s word where it needs no block', async () => {
    const known = connect([
      await node((method) =>
        method === 'broadcast_tx_sync' ? fault('tx already exists in cache') : value({ receipts: [receipt] }),
      ),
    ]);
    expect(await known.submit(tx)).toEqual(receipt);
    const refusal = { ok: false, txId: txIdOf(tx), height: 3, time: 5, code: 'gone', message: 'too late' };
    const data = toHex(utf8(JSON.stringify(refusal))).toUpperCase();
    const refusing = connect([
      await node((method) =>
        method === 'broadcast_tx_sync'
          ? { result: { code: 1, data, log: 'too late', codespace: 'gone' } }
          : value({ receipts: [null] }),
      ),
    ]);
    expect(await refusing.submit(tx)).toEqual(refusal);
  });

  test.each([
    ['mempool is full: number of txs 5000', 'busy'],
    ['Tx too large. Max size is 1048576, but got 2000000', 'tooLarge'],
  ])('says what a mempool that does not take it means: %s', async (data, code) => {
    const url = await node((method) =>
      method === 'broadcast_tx_sync' ? fault(data) : value({ receipts: [null] }),
    );
    await expect(connect([url]).submit(tx)).rejects.toMatchObject({ code });
  });

  test('gives no receipt where the federation decides nothing, or a node answers nonsense', async () => {
    const silent = await node((method) =>
      method === 'broadcast_tx_sync' ? taken : value({ receipts: [null] }),
    );
    await expect(connect([silent], 300).submit(tx)).rejects.toMatchObject({ code: 'timeout' });
    for (const nonsense of ['<html>', '{}', '{"result":{"response":{"code":0,"value":"AAAA"}}}']) {
      const url = await node(() => nonsense);
      await expect(connect([url], 300).submit(tx)).rejects.toMatchObject({ code: 'timeout' });
      await expect(connect([url]).head()).rejects.toMatchObject({ code: 'unavailable' });
    }
  });

  test('goes to the next of its nodes where one does not answer', async () => {
    const gone = await node(() => taken);
    const port = new URL(gone).port;
    await new Promise((resolve) => nodes.pop()?.close(resolve));
    const there = await node(() => value({ height: 7, stateHash: 'ab', time: 9 }));
    const ledger = connect([`http://127.0.0.1:${port}`, there]);
    expect(await ledger.head()).toEqual({ height: 7n, stateHash: 'ab', time: 9 });
  });

  test('has the application’s own code for what it refuses, and lets go of what waits when it is closed', async () => {
    const url = await node((method, { path = '' }) => {
      if (method === 'broadcast_tx_sync') return taken;
      if (path === '/receipts') return value({ receipts: [null] });
      return { result: { response: { code: 1, codespace: 'gone', log: 'no longer kept' } } };
    });
    const ledger = connect([url]);
    await expect(ledger.events('000000000001-000000', 5)).rejects.toMatchObject({ code: 'gone' });
    const waiting = expect(ledger.submit(tx)).rejects.toMatchObject({ code: 'unavailable' });
    const next = ledger.nextEvent(new AbortController().signal);
    ledger.close();
    await Promise.all([waiting, next]);
  });
});
