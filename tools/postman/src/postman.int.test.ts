import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { collectionOf, environmentOf, folderOf, type Folder } from './collection.ts';
import { documentsOf, startEdge, type RunningEdge } from './running-edge.ts';
import { THESIS } from './thesis.ts';

const NEWMAN = fileURLToPath(import.meta.resolve('newman/bin/newman.js'));
const REQUEST_MS = 10_000;

interface Report {
  readonly run: {
    readonly stats: Readonly<Record<'requests' | 'assertions', { total: number; failed: number }>>;
    readonly failures: readonly { readonly error: { message: string }; readonly source?: { name: string } }[];
  };
}

let folder: string;
let edge: RunningEdge | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-newman-'));
  edge = await startEdge();
}, 40_000);
afterAll(async () => {
  await edge?.stop();
  rmSync(folder, { recursive: true });
});

async function run(folders: readonly Folder[], urls: Readonly<Record<string, string>>): Promise<Report> {
  const [collection, environment, report] = ['collection', 'environment', 'report'].map((name) =>
    join(folder, `${name}.json`),
  ) as [string, string, string];
  writeFileSync(collection, JSON.stringify(collectionOf('all', folders)));
  writeFileSync(environment, JSON.stringify(environmentOf('all', urls)));
  const to = ['-e', environment, '--reporters', 'json', '--reporter-json-export', report];
  const child = spawn(
    process.execPath,
    [NEWMAN, 'run', collection, ...to, '--timeout-request', `${REQUEST_MS}`],
    {
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
  const [said] = await Promise.all([text(child.stderr), once(child, 'close')]);
  try {
    return JSON.parse(readFileSync(report, 'utf8')) as Report;
  } catch (cause) {
    throw new TypeError(`newman made no report: ${said}`, { cause });
  }
}

test('every documented request, and those of the tables 4.1 to 4.9, are answered as they are documented', async () => {
  const { urls } = edge ?? { urls: {} };
  const documents = await documentsOf({ urls });
  expect([...documents.keys()].sort()).toEqual(Object.keys(urls).sort());
  const folders = [...documents].map(([room, document]) => folderOf(room, document));
  expect(new Set(THESIS.map(({ table }) => table)).size).toBe(9);
  const { run: done } = await run(folders, urls);
  const failures = done.failures.map(({ source, error }) => `${source?.name}: ${error.message}`);
  expect(failures).toEqual([]);
  expect(done.stats.requests.total).toBeGreaterThan(200);
  expect(done.stats.assertions).toMatchObject({ total: done.stats.requests.total * 2, failed: 0 });
}, 55_000);

test('an answer with another status, or another form, is a failure', async () => {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/status' ? 418 : 200, { 'content-type': 'application/json' });
    response.end('{"version":5}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const schema = { type: 'object', properties: { version: { type: 'string' } } };
    const content = { 'application/json': { schema } };
    const get = { summary: 'x', responses: { 200: { content } } };
    const document = { info: { title: 'x' }, paths: { '/status': { get }, '/form': { get } } };
    const { port } = server.address() as AddressInfo;
    const { run: done } = await run([folderOf('x', document)], { x: `http://127.0.0.1:${port}` });
    expect(done.failures.map(({ source }) => source?.name)).toEqual(['GET /status', 'GET /form']);
  } finally {
    server.close();
  }
}, 30_000);
