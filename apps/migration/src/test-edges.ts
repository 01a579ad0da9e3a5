import { spawn, type ChildProcess } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { AntirioError } from '@antirio/kernel';
import { httpPeer, systemClock, waitFor, type HttpPeer } from '@antirio/host';

export type Json = Record<string, unknown>;

export interface Told {
  /** The edge whose orchestrator was told. */
  readonly edge: string;
  /** Whether it came from another edge. */
  readonly foreign: boolean;
  readonly path: string;
  readonly body: Json;
}

const APPS = join(import.meta.dirname, '..', '..');

/** A room as a process of its own. */
export class RoomProcess {
  readonly http: HttpPeer;
  readonly #port: number;
  readonly #room: string;
  readonly #settings: Record<string, string>;
  #child: ChildProcess | undefined;

  constructor(room: string, port: number, settings: Record<string, string | number>) {
    const prefix = `ANTIRIO_${room.toUpperCase().replaceAll('-', '_')}_`;
    const all = Object.entries({ ...settings, PORT: port, FIRST_RETRY_MS: 10, MAX_RETRY_MS: 100 });
    this.#room = room;
    this.#port = port;
    this.#settings = Object.fromEntries(all.map(([key, value]) => [prefix + key, String(value)]));
    this.http = httpPeer({ url: this.url });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    this.#child = spawn(process.execPath, [join(APPS, this.#room, 'src', 'main.ts')], {
      env: { ...process.env, NODE_OPTIONS: '', ...this.#settings },
      stdio: 'ignore',
    });
    const up = await waitFor(systemClock, 60_000, async () => {
      const answer = await this.http.call({ path: '/api/v3/ping' }).catch(() => undefined);
      return answer?.status === 200 ? true : undefined;
    });
    if (up === undefined) throw new AntirioError('unavailable', `${this.#room} does not start`);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null) return;
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
  }
}

/** The orchestrators of all edges, and the way from one edge to another, as edge2edge makes it. */
export class Between {
  readonly told: Told[] = [];
  /** Where an edge's blocks are. */
  readonly stores = new Map<string, string>();
  /** Bytes of blocks that other edges were given, by the edge that gave them. */
  readonly given = new Map<string, number>();
  /** What the orchestrators of providers say of the versions of a contract. */
  readonly versions = new Map<string, Json[]>();
  /** What the orchestrators answer. */
  status = 202;
  /** Archives that the container engines hold, by `<edge>/<image>`; how many bytes come before the engine is gone. */
  readonly engine = new Map<string, { readonly path: string; breaksAfter?: number | undefined }>();
  /** Spoils blocks on their way. */
  tamper = false;
  readonly #server: Server;

  constructor() {
    this.#server = createServer((incoming, outgoing) => this.#handle(incoming, outgoing));
  }

  async open(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await new Promise((resolve) => this.#server.once('listening', resolve));
  }

  /** An edge's own orchestrator and edge2edge. */
  urls(edge: string): { orchestrator: string; edge2edge: string } {
    const url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return { orchestrator: `${url}/orchestrator-of/${edge}`, edge2edge: url };
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #handle(incoming: IncomingMessage, outgoing: ServerResponse): void {
    const url = incoming.url ?? '';
    const local = /^\/orchestrator-of\/(\w+)(\/.*)$/.exec(url);
    const foreign = /^\/edge2edge\/peer\/(\w+)\/([\w-]+)(\/.*)$/.exec(url);
    const image = /^\/orchestrator-of\/(\w+)\/orchestrator\/v1\/image\?name=(.*)$/.exec(url);
    if (image !== null) this.#save(`${image[1] ?? ''}/${decodeURIComponent(image[2] ?? '')}`, outgoing);
    else if (local !== null) this.#tell(local[1] as string, false, local[2] as string, incoming, outgoing);
    else if (foreign?.[2] === 'orchestrator')
      this.#tell(foreign[1] as string, true, foreign[3] as string, incoming, outgoing);
    else if (foreign?.[2] === 'filecoin-interface')
      this.#relay(foreign[1] as string, foreign[3] as string, outgoing);
    else outgoing.writeHead(403).end();
  }

  #say(path: string, outgoing: ServerResponse): void {
    const versions = this.versions.get(path.split('/').at(-1) ?? '');
    if (versions === undefined) outgoing.writeHead(404).end();
    else outgoing.writeHead(200).end(JSON.stringify({ versions }));
  }

  #tell(
    edge: string,
    foreign: boolean,
    path: string,
    incoming: IncomingMessage,
    outgoing: ServerResponse,
  ): void {
    if (incoming.method === 'GET') {
      this.#say(path, outgoing);
      return;
    }
    const parts: Buffer[] = [];
    incoming.on('data', (part: Buffer) => parts.push(part));
    incoming.on('end', () => {
      const body = JSON.parse(Buffer.concat(parts).toString()) as Json;
      if (this.status < 300) this.told.push({ edge, foreign, path, body });
      outgoing.writeHead(this.status).end();
    });
  }

  #save(name: string, outgoing: ServerResponse): void {
    const held = this.engine.get(name);
    if (held === undefined) {
      outgoing.writeHead(404).end(JSON.stringify({ message: `no such image: ${name}` }));
      return;
    }
    const { path, breaksAfter } = held;
    held.breaksAfter = undefined;
    outgoing.writeHead(200, { 'content-type': 'application/x-tar' });
    const end = breaksAfter === undefined ? undefined : breaksAfter - 1;
    const file = createReadStream(path, end === undefined ? {} : { end });
    file.on('end', () => (breaksAfter === undefined ? outgoing.end() : outgoing.destroy()));
    file.on('error', () => outgoing.destroy());
    file.pipe(outgoing, { end: false });
  }

  #relay(edge: string, path: string, outgoing: ServerResponse): void {
    const store = this.stores.get(edge);
    if (store === undefined) {
      outgoing.writeHead(503).end();
      return;
    }
    const asked = request(store + path, { headers: { 'x-antirio-peer': 'other' } }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500);
      answer.on('data', (part: Buffer) => this.given.set(edge, (this.given.get(edge) ?? 0) + part.length));
      answer.on('data', (part: Buffer) => outgoing.write(this.tamper ? part.map((byte) => byte ^ 1) : part));
      answer.on('end', () => outgoing.end());
    });
    asked.on('error', () => outgoing.writeHead(503).end());
    asked.end();
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
