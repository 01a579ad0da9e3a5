import { z } from 'zod';
import { describeError, isAntirioError } from '@antirio/kernel';
import { baseResponse, multiResponseSchema, refusalText, type BaseResponse } from '@antirio/edgex-contracts';

/** Items of one request that share commits and waits. */
const AT_ONCE = 64;

interface Item {
  readonly requestId?: string | undefined;
}

/** How a body is refused, named as the request is in EdgeX. */
export function refusedAs(goName: string): { refusal: (error: z.ZodError, body: unknown) => string } {
  return { refusal: (error, body) => refusalText(goName, error, body) };
}

/** What the routes that take many requests at once have in common. One that is wrong refuses them all, as in EdgeX. */
export function manyOf<S extends z.ZodType>(request: S, goName: string) {
  return {
    body: z.array(request).nullable(),
    answer: multiResponseSchema,
    status: 207,
    ...refusedAs(goName),
  };
}

export interface Handling<T extends Item> {
  /** Of an item that was done. */
  readonly status: number;
  /** What may take its time and changes nothing; of many items at once. */
  readonly before?: (item: T) => Promise<void>;
  /** Called for one item after the other, in the order of the request; begins with its commit. */
  readonly handle: (item: T) => Promise<{ readonly id: string } | undefined>;
}

function refusal({ requestId }: Item, error: unknown): BaseResponse {
  const statusCode = isAntirioError(error) ? error.statusCode : 500;
  return baseResponse(statusCode, { requestId, message: describeError(error) });
}

/** Answers a request of many items: each has its own status in the 207; without items the answer is `null`, as EdgeX's is. */
export async function each<T extends Item>(
  items: readonly T[] | null,
  { status, before, handle }: Handling<T>,
): Promise<BaseResponse[] | null> {
  if (items === null || items.length === 0) return null;
  const done = async (item: T): Promise<BaseResponse> => {
    try {
      return { ...baseResponse(status, item), ...(await handle(item)) };
    } catch (error) {
      return refusal(item, error);
    }
  };
  const answers: BaseResponse[] = [];
  for (let from = 0; from < items.length; from += AT_ONCE) {
    const some = items.slice(from, from + AT_ONCE);
    const prepared = await Promise.allSettled(some.map(async (item) => before?.(item)));
    const under = some.map(async (item, index) => {
      const ready = prepared[index];
      return ready?.status === 'rejected' ? refusal(item, ready.reason) : done(item);
    });
    answers.push(...(await Promise.all(under)));
  }
  return answers;
}
