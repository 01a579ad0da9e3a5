import { z } from 'zod';
import { DemoError } from './errors.ts';

const TIMEOUT_MS = 5_000;
const WORDS_OF_ERROR = 300;

interface Call {
  readonly method?: 'GET' | 'POST' | 'PUT';
  readonly json?: unknown;
  readonly timeoutMs?: number;
}

/** What is shown where callers have to say who they are, by the origins of the addresses. */
const shown = new Map<string, string>();

/** From now on this token is shown at an origin. */
export function showToken(origin: string, token: string): void {
  shown.set(origin, token);
}

function headersFor(url: string, json: unknown): Record<string, string> {
  const token = shown.get(new URL(url).origin);
  return {
    ...(json !== undefined && { 'content-type': 'application/json' }),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
  };
}

const fetchFailed = z.object({ cause: z.object({ code: z.string().optional(), message: z.string() }) });

/** Why a fetch failed. Its errors may be of another realm, as in tests: they are known by their shape. */
function causeOf(error: unknown): { readonly code?: string | undefined; readonly message: string } {
  return fetchFailed.safeParse(error).data?.cause ?? { message: String(error) };
}

/** The server closed a kept connection as it was used again, as HTTP lets it. */
const wasClosed = (error: unknown): boolean =>
  ['UND_ERR_SOCKET', 'ECONNRESET'].includes(causeOf(error).code ?? '');

async function call(url: string, { method = 'GET', json, timeoutMs = TIMEOUT_MS }: Call): Promise<Response> {
  const once = (): Promise<Response> =>
    fetch(url, {
      method,
      signal: AbortSignal.timeout(timeoutMs),
      headers: headersFor(url, json),
      ...(json !== undefined && { body: JSON.stringify(json) }),
    });
  try {
    return await once().catch((error: unknown) => {
      if (method === 'GET' && wasClosed(error)) return once();
      throw error;
    });
  } catch (error) {
    throw new DemoError('badAnswer', `${method} ${url}: ${causeOf(error).message}`, { cause: error });
  }
}

/** Calls and reads the JSON answer. Throws `badAnswer` on any status but 2xx, and on an answer of another shape. */
export async function rest<S extends z.ZodType>(
  schema: S,
  url: string,
  options: Call = {},
): Promise<z.output<S>> {
  return read(schema, url, options, await call(url, options));
}

/** The same, but undefined where the answer is that there is no such thing (404). */
export async function restIfThere<S extends z.ZodType>(
  schema: S,
  url: string,
): Promise<z.output<S> | undefined> {
  const response = await call(url, {});
  return response.status === 404 ? undefined : read(schema, url, {}, response);
}

async function read<S extends z.ZodType>(
  schema: S,
  url: string,
  options: Call,
  response: Response,
): Promise<z.output<S>> {
  const text = await response.text();
  const where = `${options.method ?? 'GET'} ${url}`;
  if (!response.ok)
    throw new DemoError('badAnswer', `${where}: HTTP ${response.status} ${text.slice(0, WORDS_OF_ERROR)}`);
  try {
    return schema.parse(text === '' ? undefined : JSON.parse(text));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    throw new DemoError('badAnswer', `${where}: ${why}`, { cause: error });
  }
}

/** Whether something answers there with 2xx. */
export async function answers(url: string): Promise<boolean> {
  try {
    const response = await call(url, { timeoutMs: 1_000 });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
