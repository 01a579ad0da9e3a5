import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { buildImage } from '@antirio/content-store';
import { httpPeer, sleep, systemClock, waitFor, type HttpPeer } from '@antirio/host';
import { Neighbourhood, type Json } from './test-neighbourhood.ts';

let folder: string;
let around: Neighbourhood;
let way: HttpPeer;
let running: ChildProcess | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-filecoin-kill-'));
  around = new Neighbourhood();
  way = await around.open();
});
afterEach(async () => {
  await kill();
  way.close();
  await around.close();
  rmSync(folder, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function kill(): Promise<void> {
  const child = running;
  running = undefined;
  if (child === undefined || child.exitCode !== null) return;
  child.kill('SIGKILL');
  await new Promise((resolve) => child.once('close', resolve));
}

async function start(port: number): Promise<HttpPeer> {
  const settings = {
    PORT: port,
    DATA_DIR: folder,
    EDGE_ID: 'A',
    ORCHESTRATOR_URL: around.url,
    EDGE2EDGE_URL: around.url,
  };
  const env = Object.entries(settings).map(([name, value]) => [
    `ANTIRIO_FILECOIN_INTERFACE_${name}`,
    String(value),
  ]);
  running = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
    env: { ...process.env, NODE_OPTIONS: '', ...(Object.fromEntries(env) as Record<string, string>) },
    stdio: 'ignore',
  });
  const http = httpPeer({ url: `http://127.0.0.1:${port}` });
  const up = await waitFor(systemClock, 20_000, async () => {
    const answer = await http.call({ path: '/filecoin_interface/health' }).catch(() => undefined);
    return answer?.status === 200 ? true : undefined;
  });
  expect(up).toBe(true);
  return http;
}

test('every order that was taken is stored and reported, whenever the process is killed', async () => {
  const names = ['one', 'two', 'three', 'four'];
  for (const name of names)
    await buildImage(join(folder, 'images', `${name}.tar`), {
      files: Array.from({ length: 12 }, (_, i) => ({ path: `f${i}`, content: randomBytes(1_500_000) })),
      entrypoint: ['x'],
      labels: { name },
    });
  const port = await freePort();
  for (const [i, name] of names.entries()) {
    const http = await start(port);
    const body = { imageName: name, storageDuration: 7, fileName: `${name}.tar`, imageId: name };
    const answer = await http.call({
      method: 'POST',
      path: '/filecoin_interface/orchestrator/image',
      json: body,
    });
    expect(answer.status).toBe(202);
    await sleep(i * 60);
    http.close();
    await kill();
  }
  const http = await start(port);
  const images = await waitFor(systemClock, 30_000, async () => {
    const all = (await http.call({ path: '/filecoin_interface/orchestrator/image' })).json() as Json[];
    return all.every((image) => image['status'] === 'STORED') ? all : undefined;
  });
  expect(images?.map((image) => image['imageName'])).toEqual(names);
  await waitFor(systemClock, 20_000, () => new Set(around.reports.map((r) => r.body['imageId'])).size === 4);
  expect([...new Set(around.reports.map((report) => report.body['imageId']))].sort()).toEqual(
    [...names].sort(),
  );
  for (const image of images ?? []) {
    const path = `/api/v3/storage/object/${String(image['imageHash'])}/verify`;
    expect((await http.call({ method: 'POST', path, json: {}, timeoutMs: 20_000 })).status).toBe(200);
  }
  http.close();
});
