import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from '@jest/globals';
import { httpPeer, systemClock, type HttpPeer } from '@antirio/host';
import { testWhen } from '@antirio/testing';
import { buildImage } from './build-image.ts';
import { openBlockStore } from './block-store.ts';
import { exportImage } from './image-export.ts';
import { importImage } from './image-import.ts';

/** The engine that `DOCKER_HOST` names, or the one of this machine. */
function enginePeer(): HttpPeer | undefined {
  const named = process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock';
  const socketPath = /^unix:\/\/(.+)$/.exec(named)?.[1];
  if (socketPath === undefined) return httpPeer({ url: named.replace(/^tcp:/, 'http:') });
  return existsSync(socketPath) ? httpPeer({ socketPath }) : undefined;
}

const engine = enginePeer();
const ping = await engine?.call({ path: '/_ping' }).catch(() => undefined);
const withEngine = testWhen(ping?.status === 200, 'no container engine answers');
afterAll(() => engine?.close());

const tag = `antirio-content-store-test:${process.pid}`;

withEngine(
  'docker load gives a stored image the id that it had, and docker save gives it back for storing again',
  async () => {
    if (engine === undefined) return;
    const folder = mkdtempSync(join(tmpdir(), 'antirio-docker-'));
    const store = await openBlockStore({ folder: join(folder, 'store'), clock: systemClock });
    const inFolder = (name: string): string => join(folder, name);
    try {
      const built = await buildImage(inFolder('built.tar'), {
        files: [
          { path: 'app/main.mjs', content: 'console.log("here")\n' },
          { path: 'app/data', content: new Uint8Array(500_000).map((_, i) => (i * i) % 256) },
        ],
        entrypoint: ['/bin/node', '/app/main.mjs'],
        env: { A: 'b' },
        repoTags: [tag],
      });
      const stored = await importImage(store, inFolder('built.tar'));
      await exportImage(store, stored.cid, inFolder('out.tar'));
      const loaded = await engine.call({
        method: 'POST',
        path: '/images/load?quiet=1',
        headers: { 'content-type': 'application/x-tar' },
        body: readFileSync(inFolder('out.tar')),
        timeoutMs: 30_000,
      });
      expect(loaded.status).toBe(200);
      const image = (await engine.call({ path: `/images/${tag}/json` })).json();
      expect(image).toMatchObject({
        Id: `sha256:${built.imageId}`,
        RootFS: { Layers: [`sha256:${built.diffId}`] },
        Config: { Entrypoint: ['/bin/node', '/app/main.mjs'] },
      });

      const saved = await engine.call({ path: `/images/${tag}/get`, timeoutMs: 30_000 });
      expect(saved.status).toBe(200);
      writeFileSync(inFolder('saved.tar'), saved.body);
      const again = await importImage(store, inFolder('saved.tar'), { tag });
      expect(again.imageId).toBe(built.imageId);
      expect(again.cid.toString()).toBe(stored.cid.toString());
    } finally {
      await engine.call({ method: 'DELETE', path: `/images/${tag}?force=true` });
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
  60_000,
);
