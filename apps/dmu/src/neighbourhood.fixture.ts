// Two edges and a centre: a real ledger, real marketplaces (processes), the DMUs under test; stand-ins for edge2edge (passes on without
// signing), gateway-bridge (rings in memory) and arbitrator (signs and validates at once).
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import {
  callJson,
  httpPeer,
  makeIdentityFile,
  silentLog,
  sleep,
  systemClock,
  systemRandom,
  type HttpPeer,
  type HttpRim,
} from '@antirio/host';
import {
  AntirioError,
  generateIdentity,
  openIdentity,
  signDocument,
  toHex,
  type Identity,
} from '@antirio/kernel';
import { addLedgerRoutes, createLedgerClient, resultOf, type LedgerClient } from '@antirio/ledger-http';
import { openLocalLedger, type LocalLedger } from '@antirio/ledger-local';
import { genesis } from '@antirio/ledger-machine';
import { TERMS_KIND, contractTerms, termsHash, type ContractTerms } from '@antirio/service-contract';
import { Bridge, DEVICES, rim } from './bridge.fixture.ts';
import { createDmu, dmuOptions, type Dmu, type DmuOptions } from './index.ts';

export const centralIdentity = openIdentity(generateIdentity());
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export interface Edge {
  readonly name: string;
  readonly identity: Identity;
  readonly identityFile: string;
  readonly folder: string;
  readonly bridge: Bridge;
  /** Contracts that its DMU proposed. */
  readonly contracts: Map<string, ContractTerms>;
  /** Whether the radio reaches its gateway. */
  hears: boolean;
  /** Where its rooms are. */
  readonly urls: Record<string, string>;
  /** Of its DMU; set when that is started. */
  dmu: HttpPeer;
  readonly client: LedgerClient;
}

export class Neighbourhood {
  readonly folder = mkdtempSync(join(tmpdir(), 'dmu-'));
  readonly #cleanUp: (() => unknown)[] = [];
  readonly edges = new Map<string, Edge>();
  ledger!: LocalLedger; // opened first thing in `open`
  #ledgerPeer!: HttpPeer; // opened first thing in `open`
  #fcnt = 0;

  static async open(names: readonly string[]): Promise<Neighbourhood> {
    const here = new Neighbourhood();
    const identities = names.map((name) => makeIdentityFile(join(here.folder, `${name}.json`)));
    const balances = Object.fromEntries(identities.map(({ edgeId }) => [edgeId, 1000]));
    const start = genesis.parse({ arbitrator: centralIdentity.edgeId, balances });
    const path = join(here.folder, 'ledger.log');
    here.ledger = await openLocalLedger({ path, genesis: start, clock: systemClock, log: silentLog });
    const served = rim('ledger');
    addLedgerRoutes(served, () => here.ledger, { followers: 100, stopped: new AbortController().signal });
    here.#ledgerPeer = here.#peer(await served.listen(0, '127.0.0.1'));
    here.#cleanUp.push(
      () => here.ledger.close(),
      () => served.close(),
    );
    await Promise.all(identities.map((identity, i) => here.#addEdge(names[i] ?? '', identity)));
    const radio = setInterval(() => here.#transmit(), 50);
    here.#cleanUp.push(() => clearInterval(radio));
    return here;
  }

  #peer(port: number): HttpPeer {
    const peer = httpPeer({ url: `http://127.0.0.1:${port}` });
    this.#cleanUp.push(() => peer.close());
    return peer;
  }

  async #serve(served: HttpRim): Promise<string> {
    const port = await served.listen(0, '127.0.0.1');
    this.#cleanUp.push(() => served.close());
    return `http://127.0.0.1:${port}`;
  }

  #client(identity: Identity): LedgerClient {
    return createLedgerClient({
      peer: this.#ledgerPeer,
      prefix: '',
      identity,
      random: systemRandom,
      log: silentLog,
    });
  }

  async #addEdge(name: string, identity: Identity): Promise<void> {
    const folder = join(this.folder, name);
    const client = this.#client(identity);
    const bridge = new Bridge();
    const identityFile = join(this.folder, `${name}.json`);
    const dmu = httpPeer({ url: 'http://127.0.0.1:9' });
    const edge: Edge = {
      name,
      identity,
      identityFile,
      folder,
      bridge,
      contracts: new Map(),
      hears: true,
      urls: {},
      dmu,
      client,
    };
    this.edges.set(name, edge);
    edge.urls['edge2edge'] = await this.#serve(this.#edge2edge(edge));
    edge.urls['gatewayBridge'] = await this.#serve(bridge.rim);
    edge.urls['arbitrator'] = await this.#serve(this.#arbitrator(edge));
    const addresses = { url: 'http://127.0.0.1:1', udp: { host: '127.0.0.1', port: 1 } };
    const { sealKey } = identity;
    resultOf(
      await client.submit(await client.prepare({ type: 'identity/register', name, sealKey, addresses })),
    );
    await this.#startMarketplace(edge);
  }

  /** Passes requests to the ledger or to another edge's DMU, with the header that the real one sets. */
  #edge2edge(edge: Edge): HttpRim {
    const served = rim('edge2edge');
    const book = new Set<string>();
    const params = z.object({ id: z.string() });
    served.route('get', '/api/v3/peer/:id', { summary: '', params }, ({ params: { id } }) => {
      if (!book.has(id)) throw new AntirioError('notFound', 'unknown');
      return {};
    });
    served.route('put', '/api/v3/peer/:id', { summary: '', params }, ({ params: { id } }) => {
      book.add(id);
      return {};
    });
    served.app.all('/edge2edge/peer/:to/:service/*path', async (request, response) => {
      const { to, service } = request.params;
      const path = request.originalUrl.slice(`/edge2edge/peer/${to}/${service}`.length);
      const other = [...this.edges.values()].find(({ identity }) => identity.edgeId === to);
      const target = to === 'central' ? this.#ledgerPeer : book.has(to) ? other?.dmu : undefined;
      if (target === undefined) throw new AntirioError('notFound', `no address of ${to}`);
      const headers = { 'x-antirio-peer': edge.identity.edgeId };
      const body: unknown = request.method === 'GET' ? undefined : request.body;
      const answer = await target.call({
        method: request.method as 'GET',
        path,
        headers,
        json: body,
        timeoutMs: 31_000,
      });
      response.status(answer.status).type('json').send(Buffer.from(answer.body));
    });
    return served;
  }

  /** Signs as both sides would, if the provider's DMU knows the terms, and has them validated. */
  async #sign(terms: ContractTerms): Promise<void> {
    const sides = [...this.edges.values()];
    const customer = sides.find(({ identity }) => identity.edgeId === terms.customer);
    const provider = sides.find(({ identity }) => identity.edgeId === terms.provider);
    if (customer === undefined || provider === undefined)
      throw new AntirioError('internal', 'unknown parties');
    await callJson(provider.dmu, { path: `/dmu/v1/agreed/${termsHash(terms)}` });
    const signatures = {
      customer: signDocument(customer.identity, TERMS_KIND, terms).signature,
      provider: signDocument(provider.identity, TERMS_KIND, terms).signature,
    };
    const client = this.#client(centralIdentity);
    resultOf(await client.submit(await client.prepare({ type: 'contract/validate', terms, signatures })));
    provider.bridge.rings.set(terms.contractId, { devAddrs: new Set(), frames: [] });
  }

  #arbitrator(edge: Edge): HttpRim {
    const served = rim('arbitrator');
    const states = new Map<string, { state: string; refused?: string }>();
    const body = z.looseObject({ terms: contractTerms });
    served.route('post', '/arbitrator/v1/contract', { summary: '', body }, async ({ body: { terms } }) => {
      if (states.has(terms.contractId)) return {};
      edge.contracts.set(terms.contractId, terms);
      states.set(terms.contractId, { state: 'signing' });
      this.#sign(terms).then(
        () => states.set(terms.contractId, { state: 'arming' }),
        (error: unknown) => states.set(terms.contractId, { state: 'refused', refused: String(error) }),
      );
      return {};
    });
    const params = z.object({ id: z.string() });
    served.route('get', '/arbitrator/v1/contract/:id', { summary: '', params }, ({ params: { id } }) => {
      const state = states.get(id);
      if (state === undefined) throw new AntirioError('notFound', 'no contract');
      return state;
    });
    return served;
  }

  #transmit(): void {
    const device = DEVICES[this.#fcnt % DEVICES.length];
    if (device === undefined) return;
    this.#fcnt += 1;
    const mic = toHex(systemRandom.bytes(4));
    const frame = { devAddr: device.devAddr, fcnt: this.#fcnt, mic, receivedAt: Date.now() };
    for (const edge of this.edges.values()) if (edge.hears) edge.bridge.hear(frame);
  }

  async #spawn(
    room: 'marketplace' | 'dmu',
    port: number,
    env: Record<string, string>,
  ): Promise<ChildProcess> {
    const main = join(import.meta.dirname, '..', '..', room, 'src', 'main.ts');
    const { PATH, NODE_COMPILE_CACHE } = process.env;
    const child = spawn('node', [main], {
      stdio: ['ignore', 'ignore', 'ignore'],
      env: { PATH, NODE_COMPILE_CACHE, ...env },
    });
    this.#cleanUp.push(() => child.kill('SIGKILL'));
    const peer = this.#peer(port);
    for (;;) {
      if ((await peer.call({ path: '/api/v3/ping' }).catch(() => undefined))?.status === 200) return child;
      if (child.exitCode !== null) throw new AntirioError('internal', `${room} ended with ${child.exitCode}`);
      await sleep(20);
    }
  }

  async #startMarketplace(edge: Edge): Promise<void> {
    const port = await freePort();
    edge.urls['marketplace'] = `http://127.0.0.1:${port}`;
    await this.#spawn('marketplace', port, {
      ANTIRIO_MARKETPLACE_PORT: String(port),
      ANTIRIO_MARKETPLACE_DATA_DIR: edge.folder,
      ANTIRIO_MARKETPLACE_IDENTITY_FILE: edge.identityFile,
      ANTIRIO_MARKETPLACE_EDGE2EDGE: edge.urls['edge2edge'] ?? '',
      ANTIRIO_MARKETPLACE_RETRY_INTERVAL_MS: '50',
    });
  }

  /** A content store of an edge that asks for so much, whatever is to be stored. Gives what it was asked. */
  async sellStorage(edge: Edge, amount: string, currency: string): Promise<Record<string, unknown>[]> {
    const asked: Record<string, unknown>[] = [];
    const served = rim('filecoin-interface');
    const query = z.looseObject({ bytes: z.coerce.number(), days: z.coerce.number() });
    served.route('get', '/api/v3/storage/price', { summary: '', query }, (input) => {
      asked.push(input.query);
      return { quote: { amount, currency } };
    });
    const port = await served.listen(0, '127.0.0.1');
    edge.urls['filecoinInterface'] = `http://127.0.0.1:${port}`;
    this.#cleanUp.push(() => served.close());
    return asked;
  }

  options(edge: Edge, port: number, changes: object): DmuOptions {
    return dmuOptions.parse({
      port,
      dataDir: edge.folder,
      central: { edgeId: centralIdentity.edgeId },
      tickIntervalMs: 50,
      excludeMs: 300,
      policy: { minReceipts: 8, minReceiptsPerDevice: 6 },
      ...changes,
    });
  }

  edge(name: string): Edge {
    const edge = this.edges.get(name);
    if (edge === undefined) throw new AntirioError('internal', `no edge ${name}`);
    return edge;
  }

  /** Starts an edge's DMU in this process. */
  async startDmu(name: string, changes: object): Promise<Dmu> {
    const edge = this.edge(name);
    const peers = Object.fromEntries(
      Object.entries(edge.urls).map(([room, url]) => [room, httpPeer({ url })]),
    );
    const ports = {
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
      identity: edge.identity,
      peers,
    };
    const dmu = createDmu(this.options(edge, 0, changes), ports);
    await dmu.start();
    edge.dmu = this.#peer(dmu.port);
    this.#cleanUp.push(async () => {
      await dmu.stop();
      for (const peer of Object.values(peers)) peer.close();
    });
    return dmu;
  }

  /** Starts an edge's DMU as a process that can be killed and started again. */
  async spawnDmu(name: string, changes: object): Promise<{ kill(): Promise<void>; start(): Promise<void> }> {
    const edge = this.edge(name);
    const port = await freePort();
    edge.dmu = this.#peer(port);
    await this.sellStorage(edge, '0', 'ledger');
    const options = this.options(edge, port, changes);
    // has no network server to tell of
    const rooms = { ...edge.urls, deviceLora: edge.urls['gatewayBridge'] };
    const env = Object.fromEntries(
      Object.entries({ ...options, identityFile: edge.identityFile, rooms }).map(([key, value]) => [
        `ANTIRIO_DMU_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`,
        typeof value === 'string' ? value : JSON.stringify(value),
      ]),
    );
    let child: ChildProcess | undefined;
    return {
      start: async () => {
        child = await this.#spawn('dmu', port, env);
      },
      async kill() {
        const gone = new Promise((resolve) => child?.once('exit', resolve));
        child?.kill('SIGKILL');
        await gone;
      },
    };
  }

  async close(): Promise<void> {
    for (const clean of this.#cleanUp.reverse()) await clean();
    rmSync(this.folder, { recursive: true });
  }
}
