import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { ask, get, type Answer } from './ask.ts';

const document = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), z.looseObject({ requestBody: z.unknown().optional() }))),
});
const edgexError = z.looseObject({
  apiVersion: z.literal('v3'),
  message: z.string().min(1),
  statusCode: z.int(),
});

interface Route {
  readonly method: string;
  readonly path: string;
  /** Whether it says that it wants a body. */
  readonly wantsBody: boolean;
}

/** Values for the parameters of paths by their names; those that are not there get a name that nobody has. */
export type Parameters = Readonly<Record<string, string>>;

/** Every route of a room that changes something, by its own OpenAPI document. */
async function changingRoutes(base: string, parameters: Parameters): Promise<Route[]> {
  const { paths } = document.parse(await get(`${base}/api/v3/openapi.json`));
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([method]) => ['post', 'put', 'patch'].includes(method))
      .map(([method, { requestBody }]) => ({
        wantsBody: requestBody !== undefined,
        method: method.toUpperCase(),
        path: path.replace(/\{(\w+)\}/g, (_, name: string) =>
          encodeURIComponent(parameters[name] ?? 'nobody'),
        ),
      })),
  );
}

const TOO_LARGE = JSON.stringify({ filling: 'x'.repeat(30 << 20) });

/** What is no JSON, or more than anybody takes: never accepted. */
const REFUSED: Readonly<Record<string, string | Uint8Array<ArrayBuffer>>> = {
  'broken off': '{"imageName": "x", ',
  'no JSON': 'imageName=x&fileName=y',
  'no UTF-8': new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x80, 0x22]),
  'no object': '17',
};
/** Wrong for most; whoever needs no field at all may take some of them. */
const ODD: Readonly<Record<string, string>> = {
  'a list': '[]',
  'a list of rubbish': '[null, 1, "two", {"three": []}]',
  'a text': '"text"',
  null: 'null',
  'unknown fields': '{"unknown": true, "__proto__": {"polluted": true}, "constructor": 1}',
  'wrong types':
    '{"imageName": 7, "duration": "seven", "devAddrs": "all", "terms": [], "event": 1, "devices": {}}',
  'deeply nested': `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
};

/** With these a device service says, as EdgeX has it, that its driver cannot search or may not. */
const CANNOT_SEARCH = [501, 503];
const SEARCHES = ['/api/v3/discovery', '/api/v3/profilescan'];

function complaint(path: string, { status, json, text }: Answer, mustRefuse: boolean): string | undefined {
  if (SEARCHES.includes(path) && CANNOT_SEARCH.includes(status)) return undefined;
  if (status >= 500) return `${status} ${text.slice(0, 200)}`;
  if (status < 400) return mustRefuse ? `taken with ${status}` : innerComplaint(json);
  const error = edgexError.safeParse(json);
  if (!error.success) return `${status} without an EdgeX error: ${text.slice(0, 200)}`;
  return error.data.statusCode === status
    ? undefined
    : `${status}, but its body says ${error.data.statusCode}`;
}

/** EdgeX answers 207 with a status for each part. */
function innerComplaint(json: unknown): string | undefined {
  if (!Array.isArray(json)) return undefined;
  const bad = (json as { statusCode?: number }[]).find(({ statusCode = 200 }) => statusCode >= 500);
  return bad === undefined ? undefined : `207 with ${JSON.stringify(bad).slice(0, 200)}`;
}

export interface Findings {
  readonly asked: number;
  /** Whatever was not a clear refusal. */
  readonly complaints: readonly string[];
}

/** Sends a room's every route what is not meant for it. */
export async function sendRubbish(base: string, parameters: Parameters): Promise<Findings> {
  const complaints: string[] = [];
  let asked = 0;
  const send = async (
    { method, path }: Omit<Route, 'wantsBody'>,
    name: string,
    body: string | Uint8Array<ArrayBuffer>,
    mustRefuse: boolean,
  ): Promise<void> => {
    asked += 1;
    const answer = await ask(`${base}${path}`, { method, body }).catch((error: unknown) => String(error));
    const wrong = typeof answer === 'string' ? answer : complaint(path, answer, mustRefuse);
    if (wrong !== undefined) complaints.push(`${method} ${path}, ${name}: ${wrong}`);
    // The edge has other things to do meanwhile: its beats must go on.
    await sleep(1);
  };
  const routes = await changingRoutes(base, parameters);
  for (const route of routes) {
    for (const [name, body] of Object.entries(REFUSED)) await send(route, name, body, route.wantsBody);
    for (const [name, body] of Object.entries(ODD)) await send(route, name, body, false);
  }
  const first = routes.find(({ wantsBody }) => wantsBody);
  if (first !== undefined) await send(first, 'too large', TOO_LARGE, true);
  return { asked, complaints };
}
