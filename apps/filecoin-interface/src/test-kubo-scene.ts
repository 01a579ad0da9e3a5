import { join } from 'node:path';
import { openTestWay, TestKubo, type TestWay } from '@antirio/storage-network/testing';
import type { Edge, Json } from './test-neighbourhood.ts';
import { get, Scene, until } from './test-scene.ts';

/** A scene with a Kubo, and a way to it that fails as it is told to. */
export class KuboScene extends Scene {
  readonly kubo: TestKubo;
  readonly way: TestWay;

  private constructor(folder: string, kubo: TestKubo, way: TestWay) {
    super(folder);
    this.kubo = kubo;
    this.way = way;
  }

  static async open(): Promise<KuboScene> {
    const folder = Scene.newFolder();
    const kubo = await TestKubo.open(join(folder, 'kubo'));
    return new KuboScene(folder, kubo, await openTestWay(kubo.url));
  }

  /** Options of an edge that has it. */
  withKubo(apiUrl = this.way.url, more: object = {}): object {
    return {
      network: { kind: 'kubo', apiUrls: [apiUrl], idleMs: 1000 },
      networkCheckMs: 20,
      networkRecheckMs: 200,
      ...more,
    };
  }

  override async close(): Promise<void> {
    await super.close();
    await this.way.close();
    await this.kubo.close();
  }
}

export const order = (fileName: string, imageId: string) => ({
  imageName: imageId,
  storageDuration: 7,
  fileName,
  imageId,
});

export const imageOf = async (edge: Edge, imageId: string): Promise<Json> =>
  (await get(edge, `orchestrator/image?imageName=${imageId}`)) as Json;

export const inStatus = (edge: Edge, imageId: string, status: string): Promise<Json> =>
  until(async () => {
    const image = await imageOf(edge, imageId);
    return image['status'] === status ? image : undefined;
  });

/** A resource of the v3 API; with a body it is posted. */
export const storage = (edge: Edge, path: string, json?: unknown) =>
  edge.http.call({
    path: `/api/v3/storage/${path}`,
    ...(json === undefined ? {} : { method: 'POST', json }),
  });
