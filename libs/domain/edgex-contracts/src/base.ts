import { z } from 'zod';
import { optional, uuidOrEmpty } from './fields.ts';

export const API_VERSION = 'v3';

export const apiVersion = z.string().min(1, 'is required');

/** An id that the caller may give to find the answer to its request again. */
export const requestId = optional(uuidOrEmpty);

/** What every EdgeX request has. */
export const baseRequest = z.object({ apiVersion, requestId });

export interface BaseResponse {
  readonly apiVersion: string;
  readonly requestId?: string;
  readonly message?: string;
  readonly statusCode: number;
}

export interface BaseWithIdResponse extends BaseResponse {
  readonly id: string;
}

/** One item of a 207: what became of one request of several. */
export type MultiResponseItem = BaseResponse | BaseWithIdResponse;

/** EdgeX leaves empty fields out. */
export function baseResponse(
  statusCode: number,
  fields: { requestId?: string | undefined; message?: string } = {},
): BaseResponse {
  return {
    apiVersion: API_VERSION,
    ...(fields.requestId !== undefined && fields.requestId !== '' ? { requestId: fields.requestId } : {}),
    ...(fields.message !== undefined && fields.message !== '' ? { message: fields.message } : {}),
    statusCode,
  };
}

export const baseResponseSchema = z.object({
  apiVersion: z.string(),
  requestId: z.string().optional(),
  message: z.string().optional(),
  statusCode: z.int(),
});

export const baseWithIdResponseSchema = baseResponseSchema.extend({ id: z.string() });

/** The items of a 207; EdgeX answers `null` where there were none. */
export const multiResponseSchema = z
  .array(baseResponseSchema.extend({ id: z.string().optional() }))
  .nullable();

export const countResponseSchema = baseResponseSchema.extend({ count: z.int() });
