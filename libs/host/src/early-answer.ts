import type { IncomingMessage, ServerResponse } from 'node:http';
import { noteAllCame, noteAnsweredEarly } from './client-error.ts';

/** How much of a refused body is read and thrown away, and for how long. */
export interface DrainBounds {
  readonly bytes: number;
  readonly ms: number;
}

const BOUNDS: DrainBounds = { bytes: 64 << 20, ms: 5000 };
const LOOK_EVERY_MS = 100;

const early = new WeakSet<ServerResponse>();

/** Whether it has its answer already, although its request may still be coming. */
export const isAnsweredEarly = (response: ServerResponse): boolean => early.has(response);

/** Whether more of the body is to come. */
export const isComing = ({ complete, headers }: IncomingMessage): boolean =>
  !complete && (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0);

/**
 * Answers with JSON a request whose body has not all come: the whole answer leaves at once, the exchange ends when the client has sent
 * what it had to send. A connection that is closed before that is reset, and a client that is still sending loses its answer. Who sends
 * beyond the bounds is cut off.
 */
export function answerEarly(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: object,
  bounds = BOUNDS,
): void {
  const text = JSON.stringify(body);
  early.add(response);
  noteAnsweredEarly(request.socket);
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
  });
  response.write(text);
  drain(request, bounds, (isClear) => {
    if (isClear) noteAllCame(request.socket);
    response.end(() => {
      if (!isClear) request.socket.destroy();
    });
  });
}

function drain(request: IncomingMessage, { bytes, ms }: DrainBounds, done: (isClear: boolean) => void): void {
  const { socket } = request;
  const enough = socket.bytesRead + bytes;
  // Looks are counted, and not the time: a machine that stood still has not waited for anybody.
  let looks = Math.ceil(ms / LOOK_EVERY_MS);
  const look = setInterval(() => {
    looks -= 1;
    if (socket.bytesRead > enough || looks < 0) finish(false);
  }, LOOK_EVERY_MS).unref();
  const finish = (isClear: boolean): void => {
    clearInterval(look);
    request.off('end', onEnd);
    request.off('close', onEnd);
    done(isClear);
  };
  const onEnd = (): void => finish(request.complete);
  request.once('end', onEnd);
  request.once('close', onEnd);
  // it broke off: there is nobody to tell
  request.on('error', () => undefined);
  request.resume();
}
