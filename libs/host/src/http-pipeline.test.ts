import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { takeAnswer } from './http-answer-parser.ts';
import { httpPeer, type HttpCall, type HttpPeer } from './http-peer.ts';

const opened: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function listening(server: Server): Promise<HttpPeer> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const peer = httpPeer({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/base/` });
  opened.push(() => {
    peer.close();
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return peer;
}

const served = (listener: RequestListener): Promise<HttpPeer> => listening(createHttpServer(listener));
/** A server that says what it is told. */
const saying = (onData: (socket: Socket, connection: number) => void): Promise<HttpPeer> => {
  let connections = 0;
  return listening(
    createServer((socket) => {
      const number = ++connections;
      socket.on('data', () => onData(socket, number));
    }),
  );
};
const call = (n: number, more: Partial<HttpCall> = {}): HttpCall => ({
  method: 'POST',
  path: `/n/${n}`,
  json: { n },
  repeatable: true,
  ...more,
});
const codeOf = async (work: Promise<unknown>): Promise<unknown> => {
  const result = await work.catch((error: unknown) => error);
  return (result as { readonly code?: unknown }).code ?? 'answered';
};

describe('repeatable calls', () => {
  test('share two connections, and each gets its own answer, whatever order the server works in', async () => {
    const ports = new Set<number | undefined>();
    const peer = await served((request, response) => {
      ports.add(request.socket.remotePort);
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { n } = JSON.parse(Buffer.concat(chunks).toString()) as { n: number };
        const answer = (): void => {
          response.writeHead(n % 2 === 0 ? 201 : 409, { 'x-path': request.url });
          // without a length: chunked
          if (n % 3 === 0) response.write('{"same":');
          response.end(n % 3 === 0 ? `${n}}` : JSON.stringify({ same: n }));
        };
        if (n % 5 === 0) setTimeout(answer, 5);
        else answer();
      });
    });
    const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => peer.call(call(n))));
    for (const [n, answer] of answers.entries()) {
      expect([answer.status, answer.headers['x-path']]).toEqual([n % 2 === 0 ? 201 : 409, `/base/n/${n}`]);
      expect(answer.json()).toEqual({ same: n });
    }
    expect(ports.size).toBe(2);
  });

  test('go out once more where the server had closed the connection, and fail the second time', async () => {
    const answer = 'HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}';
    const closing = await saying((socket, connection) => {
      if (connection === 1 && socket.bytesWritten > 0) socket.destroy();
      else socket.write(answer);
    });
    expect((await closing.call(call(1))).status).toBe(201);
    expect((await closing.call(call(2))).status).toBe(201);
    const dead = await saying((socket) => socket.destroy());
    expect(await codeOf(dead.call(call(1)))).toBe('unavailable');
  });

  test('end with a server that says nothing, too much, or no HTTP', async () => {
    const silent = await saying(() => undefined);
    expect(await codeOf(silent.call(call(1, { timeoutMs: 30 })))).toBe('timeout');
    const long = await saying((socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n'));
    expect(await codeOf(long.call(call(1, { maxAnswerBytes: 10 })))).toBe('tooLarge');
    for (const text of ['SSH-2.0\r\n\r\n', 'HTTP/1.1 200 OK\r\n\r\n', `HTTP/1.1 200 ${'x'.repeat(20_000)}`]) {
      const strange = await saying((socket) => socket.write(text));
      expect(await codeOf(strange.call(call(1)))).toBe('unavailable');
    }
  });

  test('with a path or field that would be read as more than that are refused', async () => {
    const peer = await served((_request, response) => response.end('{}'));
    for (const odd of [{ path: '/a b' }, { headers: { a: 'b\r\nc: d' } }])
      await expect(peer.call(call(1, odd))).rejects.toThrow();
  });

  test('fail once the peer is closed', async () => {
    const peer = await saying(() => undefined);
    const waiting = codeOf(peer.call(call(1)));
    peer.close();
    expect([await waiting, await codeOf(peer.call(call(2)))]).toEqual(['unavailable', 'unavailable']);
  });
});

describe('an answer', () => {
  const chunked =
    'HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n';
  const known = [
    ['HTTP/1.1 100 Continue\r\n\r\n', undefined, false],
    ['HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\nabc', { status: 201, body: 'abc' }, false],
    ['HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n', { status: 204, body: '' }, true],
    ['HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n', { status: 200, body: '' }, true],
    [chunked, { status: 200, body: 'abcde' }, false],
  ] as const;

  test.each(known)('%j', (text, expected, isLast) => {
    const taken = takeAnswer(Buffer.from(`${text}HTTP/1.1 2`), 100);
    expect([taken?.length, taken?.isLast]).toEqual([text.length, isLast]);
    const { answer } = taken ?? {};
    expect(answer && { status: answer.status, body: Buffer.from(answer.body).toString() }).toEqual(expected);
  });
  test('is waited for until it is whole', () => {
    for (const [text] of known)
      for (let end = 0; end < text.length; end++)
        expect(takeAnswer(Buffer.from(text.slice(0, end)), 100)).toBeUndefined();
    expect(takeAnswer(Buffer.from(chunked), 100)?.answer?.headers['a']).toEqual(['1', '2']);
  });
  test('of any bytes is one, refused, or waited for', () => {
    const piece = fc.constantFrom(
      'HTTP/1.1 ',
      '200',
      ' OK',
      '\r\n',
      '\r\n\r\n',
      'content-length: ',
      '5',
      ':',
      '\0',
      'transfer-encoding: chunked',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.array(piece).map((all) => Buffer.from(all.join(''))),
        ),
        (bytes) => {
          try {
            const taken = takeAnswer(Buffer.from(bytes), 4);
            if (taken !== undefined) expect(taken.length).toBeLessThanOrEqual(bytes.length);
          } catch (error) {
            expect(['unavailable', 'tooLarge']).toContain((error as { code?: string }).code);
          }
        },
      ),
      { numRuns: 2000, seed: 7 },
    );
  });
});
