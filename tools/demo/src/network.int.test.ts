import { createServer, request } from 'node:http';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { linksOf, openNetwork, proxySpec } from './network.ts';
import { claimOffsets, portOf, type ClaimedOffsets } from '@antirio/testing/port-offsets';
import { createProcesses, type Processes } from './processes.ts';

let folder = '';
let processes: Processes;
let claimed: ClaimedOffsets;

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'demo-network-'));
  processes = createProcesses(folder);
  claimed = await claimOffsets(3);
});
afterEach(async () => {
  await processes.stopAll();
  claimed.release();
  rmSync(folder, { recursive: true });
});

const statusOf = (url: string): Promise<number | string> =>
  new Promise((resolve) => {
    const outgoing = request(url, { timeout: 500, agent: false }, (answer) =>
      resolve(answer.statusCode ?? 0),
    );
    outgoing.on('timeout', () => outgoing.destroy());
    outgoing.on('error', () => resolve('cut'));
    outgoing.end();
  });

test('every party has its own way to every other, and is cut off from all by one switch', async () => {
  const [central = 0, a = 0, b = 0] = claimed.offsets;
  const links = linksOf({ central, a, b });
  expect(links).toHaveLength(12);
  const config = path.join(folder, 'links.json');
  writeFileSync(config, JSON.stringify({ links }));
  const server = createServer((_request, response) => response.end()).listen(
    portOf('edge2edgePublic', b),
    '127.0.0.1',
  );
  await once(server, 'listening');
  const network = await openNetwork(await processes.start(proxySpec(config)));
  const [fromA, fromCentral] = [network.way('a', 'b').url, network.way('central', 'b').url];
  expect(fromA).not.toBe(fromCentral);
  expect([await statusOf(fromA), await statusOf(fromCentral)]).toEqual([200, 200]);
  await network.cutOff('a');
  expect([await statusOf(fromA), await statusOf(fromCentral)]).toEqual(['cut', 200]);
  await network.heal('a');
  expect(await statusOf(fromA)).toBe(200);
  server.closeAllConnections();
  server.close();
});
