import { AsyncLocalStorage } from 'node:async_hooks';

/** EdgeX's header: one name for all that is done for one request, in every service that takes part. */
export const CORRELATION_HEADER = 'x-correlation-id';

const LONGEST = 128;
// as it stands in headers and log lines
const TAKEN = /^[\x21-\x7e]+$/;

const current = new AsyncLocalStorage<string>();

/** Whether an id from outside is taken as it is. */
export function isCorrelation(id: unknown): id is string {
  return typeof id === 'string' && id.length <= LONGEST && TAKEN.test(id);
}

/** What is done now, and what follows from it, belongs to this id: calls of other services and log lines carry it. */
export function withCorrelation<T>(id: string | undefined, work: () => T): T {
  return isCorrelation(id) ? current.run(id, work) : work();
}

/** Of what is done now; undefined for what nobody asked for. */
export function currentCorrelation(): string | undefined {
  return current.getStore();
}
