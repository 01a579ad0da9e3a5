// A real ledger with its HTTP, and a stand-in for edge2edge that passes requests on without signing them.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import {
  createHttpRim,
  httpPeer,
  silentLog,
  systemClock,
  systemRandom,
  type HttpPeer,
  type HttpRim,
} from '@antirio/host';
import { addLedgerRoutes, createLedgerClient, resultOf } from '@antirio/ledger-http';
import { openLocalLedger, type LocalLedger } from '@antirio/ledger-local';
import { genesis, type Genesis } from '@antirio/ledger-machine';
import { AntirioError, generateIdentity, openIdentity, type Identity } from '@antirio/kernel';

export const central = openIdentity(generateIdentity());
export const ada = openIdentity(generateIdentity());
export const ben = openIdentity(generateIdentity());

export const started: Genesis = genesis.parse({
  arbitrator: central.edgeId,
  balances: { [ada.edgeId]: 1000, [ben.edgeId]: 1000 },
});

export interface Centre {
  readonly ledger: LocalLedger;
  readonly peer: HttpPeer;
  /** What an edge sees as its edge2edge. */
  readonly edge2edge: HttpPeer;
  /** While false nobody reaches the centre. */
  reachable: boolean;
  /** How many requests came while nobody reached it. */
  refused: number;
  stop(): Promise<void>;
}

function ledgerRim(ledger: LocalLedger): HttpRim {
  const rim = createHttpRim({
    serviceKey: 'ledger',
    version: '0',
    config: () => ({}),
    health: () => ({}),
    log: silentLog,
    clock: systemClock,
  });
  addLedgerRoutes(rim, () => ledger, { followers: 100, stopped: new AbortController().signal });
  return rim;
}

function passOn(centre: { reachable: boolean; refused: number }, to: () => HttpPeer): Server {
  return createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const path = (request.url ?? '').replace('/edge2edge/peer/central/ledger', '');
      const body = chunks.length === 0 ? undefined : Buffer.concat(chunks);
      const headers = { 'content-type': 'application/json' };
      const method = request.method as 'GET';
      const answer = centre.reachable
        ? to().call({ method, path, body, headers, timeoutMs: 35_000 })
        : Promise.reject(new AntirioError('unavailable', 'cut off'));
      answer.then(
        ({ status, body: bytes }) => response.writeHead(status, headers).end(bytes),
        () => {
          centre.refused += 1;
          response.writeHead(503, headers).end('{"message":"cut off"}');
        },
      );
    });
  });
}

export async function startCentre(folder: string): Promise<Centre> {
  const path = join(folder, 'ledger.log');
  const ledger = await openLocalLedger({ path, genesis: started, clock: systemClock, log: silentLog });
  const rim = ledgerRim(ledger);
  const peer = httpPeer({ url: `http://127.0.0.1:${await rim.listen(0, '127.0.0.1')}` });
  const state = { reachable: true, refused: 0 };
  const server = passOn(state, () => peer).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const edge2edge = httpPeer({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  for (const edge of [ada, ben]) await register(peer, edge);
  return Object.assign(state, {
    ledger,
    peer,
    edge2edge,
    async stop() {
      edge2edge.close();
      peer.close();
      server.closeAllConnections();
      server.close();
      await rim.close();
      await ledger.close();
    },
  });
}

async function register(peer: HttpPeer, identity: Identity): Promise<void> {
  const client = createLedgerClient({ peer, prefix: '', identity, random: systemRandom, log: silentLog });
  const addresses = { url: 'http://127.0.0.1:1', udp: { host: '127.0.0.1', port: 1 } };
  const { sealKey } = identity;
  resultOf(
    await client.submit(
      await client.prepare({ type: 'identity/register', name: 'edge', sealKey, addresses }),
    ),
  );
}
