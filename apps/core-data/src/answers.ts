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

export function aggregatesAnswer(func: string, items: readonly string[]): string {
  return `{"apiVersion":"${API_VERSION}","statusCode":200,"aggregateFunc":${JSON.stringify(func)},"readings":[${items.join(',')}]}`;
}

export function oneAnswer(what: 'event', text: string): string {
  return `{"apiVersion":"${API_VERSION}","statusCode":200,"${what}":${text}}`;
}

export function countAnswer(count: number): Record<string, unknown> {
  return { ...baseResponse(200), count };
}

/** Go's `cast.ToBool` of the query's `numeric`. */
export function isNumeric(query: Readonly<Record<string, unknown>>): boolean {
  const given = query['numeric'];
  return ['1', 't', 'T', 'TRUE', 'true', 'True'].includes(String(Array.isArray(given) ? given[0] : given));
}
