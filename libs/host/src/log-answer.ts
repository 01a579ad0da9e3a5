import type { Request, Response } from 'express';
import { currentCorrelation } from './correlation.ts';
import type { Log } from './log.ts';

/** One line for each request, when it is answered; without its query, which may hold what is not for a log. */
export function logAnswer(log: Log, { method, path }: Request, response: Response): void {
  const began = performance.now();
  // the answer's end is of the connection, which is in no request's context
  const correlationId = currentCorrelation();
  response.once('finish', () => {
    const ms = Math.round(performance.now() - began);
    log.debug({ method, path, status: response.statusCode, ms, correlationId }, 'answered');
  });
}
