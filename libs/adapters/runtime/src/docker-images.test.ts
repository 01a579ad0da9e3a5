import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import Docker from 'dockerode';
import { extract } from 'tar-stream';
import { silentLog } from '@antirio/host';
import { sha256Hex } from '@antirio/kernel';
import { openDockerImages } from './docker-images.ts';
import { buildLayer, writeImageArchive } from './test-image.ts';

interface Held {
  readonly id: string;
  readonly layers: readonly string[];
}

async function filesOf(request: IncomingMessage): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const tar = request.pipe(extract());
  for await (const entry of tar) {
    const parts: Buffer[] = [];
    for await (const part of entry as AsyncIterable<Buffer>) parts.push(part);
    files.set(entry.header.name, Buffer.concat(parts));
  }
  return files;
}

/** What the OCI layout of an archive names, once it is there as its name says. */
function manifestOf(files: ReadonlyMap<string, Buffer>): string {
  const index = JSON.parse(String(files.get('index.json'))) as { manifests: [{ digest: string }] };
  const [{ digest }] = index.manifests;
  const bytes = files.get(`blobs/${digest.replace(':', '/')}`) ?? Buffer.alloc(0);
  return `sha256:${sha256Hex(bytes)}`;
}

/** As much of the Engine API as images need, with the two ways in which engines keep layers. */
class FakeEngine {
  readonly images = new Map<string, Held>();
  /** Files of layers in each archive that it was given. */
  readonly given: number[] = [];
  /** containerd's store: an image has the name of its manifest in the OCI layout, and stands on layers that are there as they came. */
  containerd = false;
  /** Takes no archive that is not whole. */
  wantsAll = false;
  readonly #server: Server = createServer((request, response) => {
    this.#answer(request, response).catch(() => response.writeHead(502).end('{}'));
  });

  async open(socketPath: string): Promise<void> {
    this.#server.listen(socketPath);
    await new Promise((resolve) => this.#server.once('listening', resolve));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '';
    const json = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\r\n`);
    };
    if (url.startsWith('/images/load')) {
      this.#load(await filesOf(request), json);
      return;
    }
    if (url.startsWith('/info')) {
      json(200, { DriverStatus: this.containerd ? [['driver-type', 'io.containerd.snapshotter.v1']] : null });
      return;
    }
    if (url.startsWith('/images/json')) {
      json(
        200,
        [...this.images.keys()].map((Id) => ({ Id, Created: 1 })),
      );
      return;
    }
    const name = decodeURIComponent(/^\/images\/(.+)\/json/.exec(url)?.[1] ?? '');
    const found = this.images.get(name);
    if (found === undefined) json(404, { message: 'no such image' });
    else json(200, { Id: found.id, RepoTags: [], RootFS: { Layers: found.layers } });
  }

  #load(files: ReadonlyMap<string, Buffer>, json: (status: number, body: unknown) => void): void {
    const [manifest] = JSON.parse(String(files.get('manifest.json'))) as [
      { Config: string; Layers: string[] },
    ];
    const config = files.get(manifest.Config) ?? Buffer.from('{}');
    const diffIds = (JSON.parse(config.toString()) as { rootfs: { diff_ids: string[] } }).rootfs.diff_ids;
    this.given.push(manifest.Layers.filter((layer) => files.has(layer)).length);
    const missing = manifest.Layers.findIndex((layer, i) => !files.has(layer) && !this.#has(diffIds, i + 1));
    if (missing >= 0) {
      json(200, { error: `content digest ${diffIds[missing] ?? ''}: not found` });
      return;
    }
    const id = this.containerd ? manifestOf(files) : `sha256:${sha256Hex(config)}`;
    this.images.set(id, { id, layers: diffIds });
    json(200, { stream: `Loaded image ID: ${id}\n` });
  }

  #has(diffIds: readonly string[], count: number): boolean {
    const chain = diffIds.slice(0, count).join();
    return !this.wantsAll && [...this.images.values()].some(({ layers }) => layers.join().startsWith(chain));
  }
}

let folder: string;
let engine: FakeEngine;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'antirio-engine-'));
  engine = new FakeEngine();
  await engine.open(join(folder, 'engine.sock'));
});
afterEach(async () => {
  await engine.close();
  rmSync(folder, { recursive: true, force: true });
});

const images = () =>
  openDockerImages(new Docker({ socketPath: join(folder, 'engine.sock') }), folder, silentLog);

async function version(name: string): Promise<{ path: string; imageId: string }> {
  const path = join(folder, `${name}.tar`);
  const layers = await Promise.all(
    ['base', 'runtime', name].map((content) => buildLayer([{ name: content, content: content.repeat(999) }])),
  );
  return { path, imageId: await writeImageArchive(path, { layers, env: [`V=${name}`] }) };
}

test('of a second version only the layer that the engine lacks is given', async () => {
  const [one, two] = [await version('one'), await version('two')];
  const loader = images();
  expect(await loader.load(one.path)).toEqual({
    imageId: one.imageId,
    loadedLayers: 3,
    skippedLayers: 0,
    fellBack: false,
  });
  expect(await loader.load(two.path)).toEqual({
    imageId: two.imageId,
    loadedLayers: 1,
    skippedLayers: 2,
    fellBack: false,
  });
  expect(engine.given).toEqual([3, 1]);
  expect(await loader.find(two.imageId)).toBe(two.imageId);
  expect(await images().load(two.path)).toMatchObject({ loadedLayers: 0, skippedLayers: 3 });
  expect(engine.given).toEqual([3, 1]);
});

test('in containerd an image has another name; only the layer that is not ours yet is given', async () => {
  engine.containerd = true;
  const [one, two, three] = [await version('one'), await version('two'), await version('three')];
  const loader = images();
  // Somebody else's, whose layers may be there compressed only.
  await loader.load(one.path);
  const [pulled] = engine.images.values();
  engine.images.clear();
  engine.images.set('sha256:pulled', { id: 'sha256:pulled', layers: pulled?.layers ?? [] });
  expect(await loader.load(two.path)).toMatchObject({ loadedLayers: 3, skippedLayers: 0, fellBack: false });
  expect(await loader.load(three.path)).toMatchObject({ loadedLayers: 1, skippedLayers: 2, fellBack: false });
  expect(engine.given).toEqual([3, 3, 1]);
  expect(await loader.find(three.imageId)).not.toBe(three.imageId);
  expect(await images().load(three.path)).toMatchObject({ loadedLayers: 0, skippedLayers: 3 });
});

test('an engine that wants all of it is given all of it', async () => {
  const [one, two] = [await version('one'), await version('two')];
  const loader = images();
  await loader.load(one.path);
  engine.wantsAll = true;
  expect(await loader.load(two.path)).toEqual({
    imageId: two.imageId,
    loadedLayers: 3,
    skippedLayers: 0,
    fellBack: true,
  });
  expect(engine.given).toEqual([3, 1, 3]);
});

test('an engine that takes neither is told as what it is, and nothing counts as loaded', async () => {
  const one = await version('one');
  await engine.close();
  await expect(images().load(one.path)).rejects.toMatchObject({ code: 'unavailable' });
  expect(await images().find(one.imageId)).toBeUndefined();
});

test('an image for a processor that this machine neither is nor emulates is not given to the engine', async () => {
  const path = join(folder, 'foreign.tar');
  await writeImageArchive(path, { layers: [await buildLayer([])], architecture: 'riscv65' });
  await expect(images().load(path)).rejects.toMatchObject({
    code: 'invalidInput',
    message: expect.stringMatching(/^the image is for riscv65, and this machine is \w+: its customer has to/),
  });
  expect(engine.given).toEqual([]);
});
