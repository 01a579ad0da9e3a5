import type { RequestHandler } from 'express';
import { baseResponse } from '@antirio/edgex-contracts';

/** Answers 503 where a request has no answer in time, as EdgeX's Service.RequestTimeout says. */
export function requestTimeout(ms: number): RequestHandler {
  return (_request, response, next) => {
    const timer = setTimeout(() => {
      if (!response.headersSent)
        response.status(503).json(baseResponse(503, { message: 'HTTP request timeout' }));
    }, ms);
    timer.unref();
    response.once('close', () => clearTimeout(timer));
    next();
  };
}
