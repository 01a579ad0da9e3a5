import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { httpPeer, type HttpPeer, type PortService } from '@antirio/host';

export type Json = Record<string, unknown>;

export interface Edge {
  readonly id: string;
  readonly dataDir: string;
  room: PortService;
  http: HttpPeer;
}

/** Stands for what is around the rooms: takes their reports, and leads from one edge to the other as edge2edge does. */
export class Neighbourhood {
  readonly reports: { path: string; body: Json }[] = [];
  readonly edges = new Map<string, Edge>();
  orchestratorStatus = 202;
  /** Spoils what goes over to another edge. */
  tamper: (body: Buffer) => Buffer = (body) => body;
  relayed = 0;
  /** What other edges are asked waits for it. */
  gate: Promise<void> = Promise.resolve();
  /** Answers for an image of the container engine. */
  engine: (response: ServerResponse) => void = (response) => void response.writeHead(404).end();
  url = '';
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const [, , edge, path] =
          /^\/edge2edge\/(peer)\/(\w+)\/filecoin-interface(\/.*)$/.exec(request.url ?? '') ?? [];
        if (edge !== undefined) {
          this.#relay(edge, path as string, request.method as 'GET').then(
            ({ status, body }) => response.writeHead(status).end(this.tamper(Buffer.from(body))),
            () => response.writeHead(502).end(),
          );
          return;
        }
        if (request.url?.startsWith('/orchestrator/v1/image?') === true) {
          this.engine(response);
          return;
        }
        response.statusCode = this.orchestratorStatus;
        const body = JSON.parse(Buffer.concat(parts).toString()) as Json;
        if (response.statusCode < 300) this.reports.push({ path: request.url ?? '', body });
        response.end();
      });
    });
  }

  async open(): Promise<HttpPeer> {
    this.#server.listen(0, '127.0.0.1');
    await new Promise((resolve) => this.#server.once('listening', resolve));
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    return httpPeer({ url: this.url });
  }

  async #relay(edge: string, path: string, method: 'GET'): Promise<{ status: number; body: Uint8Array }> {
    this.relayed++;
    await this.gate;
    const target = this.edges.get(edge);
    if (target === undefined) return { status: 503, body: new Uint8Array() };
    return target.http.call({ method, path, headers: { 'x-antirio-peer': 'someone' } });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
