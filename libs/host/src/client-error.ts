import type { Socket } from 'node:net';
import { API_VERSION } from './error-answer.ts';

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  408: 'Request Timeout',
  413: 'Payload Too Large',
  431: 'Request Header Fields Too Large',
};

const STATUS: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
};

/** Connections whose request has its answer although its body has not come. */
const answered = new WeakSet<Socket>();

/** The body of the request on this connection is not waited for any more: no second answer follows when it stays away. */
export function noteAnsweredEarly(socket: Socket): void {
  answered.add(socket);
}

/** All of that request has come after all: the connection is as any other. */
export function noteAllCame(socket: Socket): void {
  answered.delete(socket);
}

/** Answers what is no HTTP, or comes too slowly, with EdgeX's error body; Node alone would answer without one. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  const isLate = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  // what follows an earlier answer of a kept connection may be the rest of what that was about
  const isClear = isLate || socket.bytesWritten === 0;
  if (error.code === 'ECONNRESET' || !socket.writable || answered.has(socket) || !isClear) {
    socket.destroy();
    return;
  }
  if (isLate) answerLate(socket);
  else refuse(socket, STATUS[error.code ?? ''] ?? 400, 'the request is no HTTP');
}

/** Answers 408 and closes the connection: the request did not come within its time. */
export function answerLate(socket: Socket): void {
  refuse(socket, 408, 'the request came too slowly');
}

function refuse(socket: Socket, statusCode: number, message: string): void {
  const body = JSON.stringify({ apiVersion: API_VERSION, message, statusCode });
  const head = [
    `HTTP/1.1 ${statusCode} ${REASONS[statusCode] ?? ''}`,
    'Connection: close',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroySoon());
}
