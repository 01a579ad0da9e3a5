import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { findEngines, onEachEngine } from '@antirio/testing';
import Docker from 'dockerode';
import { buildWithEngine, librariesOf } from './docker-image.ts';

const NAME = 'antirio/demo-image-test';

onEachEngine(await findEngines(), (engineTest) => {
  engineTest('an image from the local Node runs in a container', async () => {
    const docker = new Docker();
    const folder = mkdtempSync(path.join(tmpdir(), 'demo-image-'));
    const bundle = path.join(folder, 'service.mjs');
    writeFileSync(
      bundle,
      // Larger than what a stream buffers.
      `process.exit(Number(process.versions.node.split(".")[0]) >= 24 ? 42 : 1); // ${'x'.repeat(1 << 20)}`,
    );
    const archive = path.join(folder, 'image.tar');
    await buildWithEngine({ bundle, archive, name: NAME, main: 'app/service.mjs' });
    expect(statSync(archive).size).toBeGreaterThan(1_000_000);
    const answer = await docker.loadImage(archive);
    await new Promise((resolve) => docker.modem.followProgress(answer, resolve));
    const [loaded] = await docker.listImages({ filters: { reference: [NAME] } });
    const container = await docker.createContainer({
      Image: loaded?.Id,
      HostConfig: { NetworkMode: 'none' },
    });
    await container.start();
    expect(await container.wait()).toMatchObject({ StatusCode: 42 });
    await container.remove();
    await docker.getImage(loaded?.Id ?? NAME).remove({ force: true });
    rmSync(folder, { recursive: true });
  });
});

test('the libraries of a program are whole paths, each once', () => {
  const libraries = librariesOf(process.execPath);
  expect(libraries.length).toBeGreaterThan(1);
  for (const library of libraries) expect(path.isAbsolute(library)).toBe(true);
  expect(new Set(libraries).size).toBe(libraries.length);
});
