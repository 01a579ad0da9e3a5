import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { z } from 'zod';
import { rest } from './rest.ts';

let server: Server;
let asked: string[];
/** How many of the next requests find their connection closed instead of an answer. */
let closes: number;
let url: string;

beforeEach(async () => {
  [asked, closes] = [[], 0];
  server = createServer((request, response) => {
    asked.push(request.method ?? '');
    if (closes-- > 0) request.socket.destroy();
    else response.end('7');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

test('what is only asked is asked once more where the connection is closed', async () => {
  closes = 1;
  expect(await rest(z.int(), url)).toBe(7);
  expect(asked).toEqual(['GET', 'GET']);
});

test('and not for ever; what changes something is never sent twice', async () => {
  closes = 2;
  await expect(rest(z.int(), url)).rejects.toThrow(/^GET http.*: other side closed$/);
  closes = 1;
  await expect(rest(z.int(), url, { method: 'POST', json: {} })).rejects.toThrow(/^POST/);
  expect(asked).toEqual(['GET', 'GET', 'POST']);
});
