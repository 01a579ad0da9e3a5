import type { Response } from 'express';
import { API_VERSION, baseResponse } from '@antirio/edgex-contracts';
import type { Result } from './event-reader.ts';

/** Sends JSON text as it is. */
export function sendText(response: Response, text: string): void {
  response.status(200).type('application/json').send(text);
}

export function listAnswer(what: 'events' | 'readings', { total, items }: Result): string {
  return `{"apiVersion":"${API_VERSION}","statusCode":200,"totalCount":${total},"${what}":[${items.join(',')}]}`;
}

export function oneAnswer(what: 'event', text: string): string {
  return `{"apiVersion":"${API_VERSION}","statusCode":200,"${what}":${text}}`;
}

export function countAnswer(count: number): Record<string, unknown> {
  return { ...baseResponse(200), count };
}
