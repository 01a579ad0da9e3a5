/** An answer as it came. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Undefined where the body is no JSON. */
  readonly json: unknown;
}

export interface Asked {
  readonly method?: string;
  readonly json?: unknown;
  /** Sent as it is. */
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly headers?: Readonly<Record<string, string>>;
}

const TIMEOUT_MS = 20_000;
const STALE_CONNECTIONS = 3;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A kept connection may have been closed by the other side while this process was busy: the request was never read. */
async function afresh(request: () => Promise<Response>): Promise<Response> {
  for (let tries = 0; ; tries++)
    try {
      return await request();
    } catch (error) {
      const { cause } = error as { cause?: { code?: string } };
      if (tries === STALE_CONNECTIONS || cause?.code !== 'UND_ERR_SOCKET') throw error;
    }
}

/** One HTTP request; every status is an answer. */
export async function ask(
  url: string,
  { method = 'GET', json, body, headers = {} }: Asked = {},
): Promise<Answer> {
  const sent = json === undefined ? body : JSON.stringify(json);
  const response = await afresh(() =>
    fetch(url, {
      method,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: { ...(sent === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(sent === undefined ? {} : { body: sent }),
    }),
  );
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: parsed(text) };
}

/** GET of what must be there. */
export async function get(url: string): Promise<unknown> {
  const answer = await ask(url);
  if (answer.status !== 200) throw new Error(`GET ${url}: ${answer.status} ${answer.text.slice(0, 300)}`);
  return answer.json;
}

/** The entry of a list with these values; undefined where there is none. */
export function entryWith(
  list: unknown,
  values: Readonly<Record<string, unknown>>,
): Record<string, unknown> | undefined {
  if (!Array.isArray(list)) throw new Error(`no list: ${JSON.stringify(list).slice(0, 300)}`);
  return (list as Record<string, unknown>[]).find((entry) =>
    Object.entries(values).every(([key, value]) => entry[key] === value),
  );
}
