import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { httpPeer, type HttpPeer } from '@antirio/host';
import { onEnd, type Edge } from './test-edge.ts';

export interface Link {
  readonly peer: HttpPeer;
  cut(is: boolean): void;
  /** More frames than these in one request do not come in time. */
  mostFrames: number;
  /** Edges of before do not let marks in. */
  knowsMarks: boolean;
  /** Before an acknowledgement is passed on. */
  onAcknowledge: () => Promise<void>;
  /** Bytes of a stream after which its connection breaks, as often as there are numbers. */
  readonly breaks: number[];
  /** Streams that were asked for. */
  streams: number;
  /** What acknowledgements were answered with. */
  readonly acknowledged: number[];
}

async function passStream(
  target: Edge,
  path: string,
  from: string,
  response: ServerResponse,
  breakAt = Infinity,
): Promise<void> {
  const stream = await target.http.open?.(path, { idleMs: 5000, headers: { 'x-antirio-peer': from } });
  if (stream === undefined) return;
  response.writeHead(stream.status, { 'content-type': stream.headers['content-type'] ?? '' });
  let sent = 0;
  for await (const piece of stream.body) {
    const left = breakAt - sent;
    await new Promise((resolve) => response.write(piece.subarray(0, left), resolve));
    sent += piece.length;
    if (sent < breakAt) continue;
    response.destroy();
    return;
  }
  response.end();
}

const seqsIn = (body: Buffer): number =>
  (JSON.parse(body.toString()) as { readonly seqs: readonly number[] }).seqs.length;

function refusalOf({ mostFrames, knowsMarks }: Link, last: string, body: Buffer): number | undefined {
  if (last === 'frames' && seqsIn(body) > mostFrames) return 504;
  return last === 'marks' && !knowsMarks ? 404 : undefined;
}

/** Passes requests on as edge2edge does, unsigned; can be cut. */
export async function startEdge2Edge(edges: Record<string, () => Edge>, from: string): Promise<Link> {
  let isCut = false;
  const server: Server = createServer((request, response) => {
    void (async () => {
      const [, , , edgeId, service, ...path] = String(request.url).split('/');
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const target = edges[String(edgeId)];
      const last = String(path.at(-1));
      if (isCut || target === undefined || service !== 'gateway-bridge') {
        response.writeHead(503).end('{}');
        return;
      }
      if (last.startsWith('stream?')) {
        link.streams += 1;
        await passStream(target(), `/${path.join('/')}`, from, response, link.breaks.shift());
        return;
      }
      const refused = refusalOf(link, last, Buffer.concat(chunks));
      if (refused !== undefined) {
        response.writeHead(refused).end('{}');
        return;
      }
      if (last === 'acknowledge') await link.onAcknowledge();
      const answer = await target().http.call({
        method: request.method as 'GET' | 'POST',
        path: `/${path.join('/')}`,
        headers: { 'x-antirio-peer': from, 'content-type': 'application/json' },
        body: Buffer.concat(chunks),
      });
      if (last === 'acknowledge') link.acknowledged.push(answer.status);
      response.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
    })().catch(() => response.writeHead(502).end('{}')); // one of the edges is gone
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const peer = httpPeer({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
  onEnd(() => {
    peer.close();
    server.closeAllConnections();
    server.close();
  });
  const link: Link = {
    peer,
    cut: (is) => void (isCut = is),
    mostFrames: Infinity,
    knowsMarks: true,
    onAcknowledge: () => Promise.resolve(),
    acknowledged: [],
    breaks: [],
    streams: 0,
  };
  return link;
}
