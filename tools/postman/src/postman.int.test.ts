import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { folderOf } from './collection.ts';
import { runFolders } from './newman.ts';
import { documentsOf, startEdge, type RunningEdge } from './running-edge.ts';
import { THESIS } from './thesis.ts';

let edge: RunningEdge | undefined;

beforeAll(async () => {
  edge = await startEdge();
});
afterAll(async () => {
  await edge?.stop();
});

test('every documented request, and those of the tables 4.1 to 4.9, are answered as they are documented', async () => {
  const { urls } = edge ?? { urls: {} };
  const documents = await documentsOf({ urls });
  expect([...documents.keys()].sort()).toEqual(Object.keys(urls).sort());
  const folders = [...documents].map(([room, document]) => folderOf(room, document));
  expect(new Set(THESIS.map(({ table }) => table)).size).toBe(9);
  const done = await runFolders(folders, { urls });
  const failures = done.failures.map(({ source, error }) => `${source?.name}: ${error.message}`);
  expect(failures).toEqual([]);
  expect(done.stats.requests.total).toBeGreaterThan(200);
  expect(done.stats.assertions).toMatchObject({ total: done.stats.requests.total * 2, failed: 0 });
});

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
    const urls = { x: `http://127.0.0.1:${port}` };
    const done = await runFolders([folderOf('x', document)], { urls });
    expect(done.failures.map(({ source }) => source?.name)).toEqual(['GET /status', 'GET /form']);
  } finally {
    server.close();
  }
});
