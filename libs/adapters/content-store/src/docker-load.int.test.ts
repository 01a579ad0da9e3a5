import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { httpPeer, systemClock, type HttpPeer } from '@antirio/host';
import { findEngines, onEachEngine } from '@antirio/testing';
import { buildImage } from './build-image.ts';
import { openBlockStore } from './block-store.ts';
import { exportImage } from './image-export.ts';
import { importImage } from './image-import.ts';
import { registryImage } from './registry-image.fixture.ts';

function enginePeer(host: string): HttpPeer {
  const socketPath = /^unix:\/\/(.+)$/.exec(host)?.[1];
  return httpPeer(socketPath === undefined ? { url: host.replace(/^tcp:/, 'http:') } : { socketPath });
}

const tag = `antirio-content-store-test:${process.pid}`;

onEachEngine(await findEngines(), (engineTest, { store: images, host }) => {
  engineTest(
    'docker load gives a stored image the id that it had, and docker save gives it back for storing again',
    async () => {
      const engine = enginePeer(host);
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
        // In containerd an image is known by its manifest, and only there.
        if (images === 'graph driver') expect(image).toMatchObject({ Id: `sha256:${built.imageId}` });
        expect(image).toMatchObject({
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
        engine.close();
        await store.close();
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );

  engineTest(
    'an image with compressed layers and an attestation comes out of the engine as it went in',
    async () => {
      const engine = enginePeer(host);
      const folder = mkdtempSync(join(tmpdir(), 'antirio-docker-'));
      const store = await openBlockStore({ folder: join(folder, 'store'), clock: systemClock });
      const file = (name: string, bytes: Uint8Array): string => {
        writeFileSync(join(folder, name), bytes);
        return join(folder, name);
      };
      const name = `antirio-registry-test:${process.pid}`;
      try {
        // Docker 20.10 reads no zstd.
        const codings = images === 'containerd' ? (['gzip', 'zstd'] as const) : (['gzip', 'gzip'] as const);
        const { archive, configId, layerDigests } = await registryImage(name, codings);
        const stored = await importImage(store, file('registry.tar', archive));
        expect(stored.imageId).toBe(configId);
        const loaded = await engine.call({
          method: 'POST',
          path: '/images/load?quiet=1',
          headers: { 'content-type': 'application/x-tar' },
          body: archive,
          timeoutMs: 30_000,
        });
        expect(Buffer.from(loaded.body).toString()).toContain('Loaded image');
        const saved = await engine.call({ path: `/images/${name}/get`, timeoutMs: 30_000 });
        expect(saved.status).toBe(200);
        const kept = layerDigests.filter((digest) =>
          Buffer.from(saved.body).includes(`blobs/sha256/${digest}`),
        );
        // Only containerd's store gives the layers as they came: what is read here is compressed indeed.
        expect(kept).toEqual(images === 'containerd' ? layerDigests : []);
        const again = await importImage(store, file('saved.tar', saved.body), { tag: name });
        expect(again.imageId).toBe(configId);
        expect(again.cid.toString()).toBe(stored.cid.toString());
      } finally {
        await engine.call({ method: 'DELETE', path: `/images/${name}?force=true` });
        engine.close();
        await store.close();
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
});
