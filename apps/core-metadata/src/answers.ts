import type { Request, Response } from 'express';
import type { AntirioError } from '@antirio/kernel';
import { API_VERSION, pageOf, type Page } from '@antirio/edgex-contracts';
import type { Row } from './device-tree.ts';
import type { Listed } from './entities.ts';
import type { Room } from './room.ts';

/** Sends JSON text as it is. */
function sendText(response: Response, text: string): void {
  response.status(200).type('application/json').send(text);
}

/** @throws AntirioError what `otherwise` says, where there is no such text. */
export function sendOne(
  response: Response,
  field: string,
  text: string | undefined,
  otherwise: AntirioError,
): void {
  if (text === undefined) throw otherwise;
  sendText(response, `{"apiVersion":"${API_VERSION}","statusCode":200,"${field}":${text}}`);
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
  readonly find: (page: Page) => Listed;
  readonly toText?: (row: Row) => string;
}

const docOf = ({ doc }: Row): string => doc;

/** Answers with one page of what is found. */
export function answerList(
  { options }: Room,
  { response, query, field, find, toText = docOf }: ListAnswer,
): void {
  const { total, rows } = find(pageOf(query as Query, { maxResultCount: options.maxResultCount }));
  const items = rows.map(toText).join(',');
  sendText(
    response,
    `{"apiVersion":"${API_VERSION}","statusCode":200,"totalCount":${total},"${field}":[${items}]}`,
  );
}

export function correlationOf(request: Request): string | undefined {
  return request.get('x-correlation-id');
}
