// The customer's cloud: `node cloud-process.ts CONFIG`. Takes what providers forward, each event once, and only from who may forward now.
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import { callJson, httpPeer, loadConfig } from '@antirio/host';
import { contractForwardingKey, edgeId, mayForward } from '@antirio/service-contract';

const configSchema = z.strictObject({
  port: z.int().default(0),
  /** The customer's own: every contract's key is made from it. */
  forwardingKey: z.string().regex(/^[0-9a-f]{64}$/),
  ledgerUrl: z.url(),
  /** One line for each event. */
  file: z.string(),
});

const eventSchema = z.looseObject({ event: z.looseObject({ id: z.uuid() }) });
const contractSchema = z.looseObject({ value: z.looseObject({ provider: edgeId, setId: z.string() }) });
const setSchema = z.looseObject({ value: z.looseObject({ epoch: z.int(), holder: edgeId }) });

const MAX_BODY = 1 << 20;

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY) return Buffer.alloc(0);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

interface Login {
  readonly username: string;
  readonly password: string;
}

function loginOf(request: IncomingMessage): Login | undefined {
  const [, encoded] = /^Basic ([A-Za-z0-9+/=]+)$/.exec(request.headers.authorization ?? '') ?? [];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { username: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** What an earlier process of this cloud took; a line that was cut off was not acknowledged. */
function keptIn(file: string): string[] {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [];
  return lines.map((line) => eventSchema.parse(JSON.parse(line)).event.id);
}

const config = loadConfig(configSchema, { file: process.argv[2] ?? '' });
const ledger = httpPeer({ url: config.ledgerUrl });
const kept = openSync(config.file, 'a', 0o600);
const known = new Set(keptIn(config.file));
const counts = { taken: 0, again: 0, refused: 0, malformed: 0 };

/** By the ledger as it is now: a login of an epoch that is over is worth nothing. */
async function isWelcome(login: Login): Promise<boolean> {
  const [, contractId] = /^contract\/([0-9a-f-]{36})\/\d+$/.exec(login.username) ?? [];
  if (contractId === undefined) return false;
  const state = (key: string): Promise<unknown> => callJson(ledger, { path: `/ledger/v1/state/${key}` });
  const { provider, setId } = contractSchema.parse(await state(`contract/${contractId}`)).value;
  const named = setSchema.parse(await state(`set/${setId}`)).value;
  const key = contractForwardingKey(config.forwardingKey, contractId);
  return mayForward(key, login, { contractId, provider }, named);
}

async function take(request: IncomingMessage): Promise<number> {
  const body = await bodyOf(request);
  const login = loginOf(request);
  if (login === undefined || !(await isWelcome(login))) {
    counts.refused += 1;
    return 403;
  }
  const parsed = eventSchema.safeParse(JSON.parse(body.toString('utf8')));
  if (!parsed.success) {
    counts.malformed += 1;
    return 400;
  }
  const { id } = parsed.data.event;
  if (known.has(id)) {
    counts.again += 1;
    return 409;
  }
  writeSync(kept, `${body.toString('utf8')}\n`);
  fsyncSync(kept);
  known.add(id);
  counts.taken += 1;
  return 201;
}

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    response.setHeader('content-type', 'application/json').end(JSON.stringify(counts));
    return;
  }
  take(request).then(
    (status) => response.writeHead(status).end(),
    // the ledger did not answer, or the body was cut off: it comes again
    () => response.writeHead(503).end(),
  );
});
server.listen(config.port, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`${JSON.stringify({ event: 'ready', url: `http://127.0.0.1:${port}` })}\n`);
});
process.on('SIGTERM', () => {
  closeSync(kept);
  process.exit(0);
});
