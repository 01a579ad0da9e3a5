import type { Request, Response } from 'express';
import { AntirioError } from '@antirio/kernel';
import { API_VERSION, pageOf } from '@antirio/edgex-contracts';
import type { Filter, Listed } from './entities.ts';
import type { Room } from './room.ts';

/** Sends JSON text as it is. */
function sendText(response: Response, text: string): void {
  response.status(200).type('application/json').send(text);
}

/** @throws AntirioError notFound where there is no such text. */
export function sendOne(response: Response, field: string, text: string | undefined, name: string): void {
  if (text === undefined) throw new AntirioError('notFound', `${field} ${name} does not exist`);
  sendText(response, `{"apiVersion":"${API_VERSION}","statusCode":200,"${field}":${text}}`);
}

function sendList(response: Response, field: string, { total, docs }: Listed): void {
  sendText(
    response,
    `{"apiVersion":"${API_VERSION}","statusCode":200,"totalCount":${total},"${field}":[${docs.join(',')}]}`,
  );
}

export type Query = Readonly<Record<string, unknown>>;

export function firstOf(query: Query, key: string): string | undefined {
  const value = query[key];
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === 'string' && first !== '' ? first : undefined;
}

/** Labels, separated by commas, which all must be there. */
export function labelsOf(query: Query): readonly string[] {
  return firstOf(query, 'labels')?.trim().split(',') ?? [];
}

export interface ListAnswer {
  readonly response: Response;
  readonly query: unknown;
  readonly field: string;
  readonly filter: Filter;
  readonly toText?: (doc: string) => string;
}

/** Answers with one page of what the filter finds. */
export function answerList(
  { entities, options }: Room,
  { response, query, field, filter, toText }: ListAnswer,
): void {
  const page = pageOf(query as Query, { maxResultCount: options.maxResultCount });
  const { total, docs } = entities.list(filter, page);
  sendList(response, field, { total, docs: toText === undefined ? docs : docs.map(toText) });
}

export function correlationOf(request: Request): string | undefined {
  return request.get('x-correlation-id');
}
