import { statSync } from 'node:fs';
import { AntirioError, describeError, uuidV4, type Clock, type Random } from '@antirio/kernel';
import type { HttpPeer, Log } from '@antirio/host';
import { createWork, type Outbox, type Work } from '@antirio/durable-work';
import type { z } from 'zod';
import { openArchive } from './archives.ts';
import type { FilecoinInterfaceOptions } from './options.ts';
import type { BackendImage, ImageRecord, Records } from './records.ts';
import type { backendImageBody, orchestratorImageBody } from './shapes.ts';
import { imageFile, type StorageNetwork } from './storage.ts';

export interface ImagePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly records: Records;
  readonly outbox: Outbox;
  readonly storage: StorageNetwork;
  /** By which the container engine is reached. */
  readonly orchestrator: HttpPeer | undefined;
}

/** The images of this edge's own: stored by order of the orchestrator, which is told how far they are. */
export interface Images {
  /** Takes an order; asking twice with the same imageId is one order. @throws AntirioError notFound | conflict | busy */
  order(body: z.output<typeof orchestratorImageBody>): ImageRecord;
  /** Takes what a storage backend says of an image. @throws AntirioError conflict when it names another content. */
  fromBackend(body: z.output<typeof backendImageBody>): BackendImage;
  /** @throws AntirioError notFound */
  get(imageId: string): ImageRecord;
  drop(imageId: string): void;
  /** Lets go of images whose time is over. */
  expire(): void;
  readonly work: Work;
}

const STATUS_PATH = '/orchestrator/service_customer/image/status';
const DAY_MS = 86_400_000;

export const imagePin = (imageId: string): string => `image/${imageId}`;

export function createImages(options: FilecoinInterfaceOptions, ports: ImagePorts): Images {
  return new OwnImages(options, ports);
}

class OwnImages implements Images {
  readonly #dataDir: string;
  readonly #ports: ImagePorts;
  readonly work: Work;

  constructor(options: FilecoinInterfaceOptions, ports: ImagePorts) {
    this.#dataDir = options.dataDir;
    this.#ports = ports;
    this.work = createWork({
      name: 'import images',
      unfinished: () => this.#waiting(),
      run: (imageId, signal) => this.#import(imageId, signal),
      failed: (imageId, error) => this.#giveUp(imageId, error),
      attempts: options.attempts,
      atOnce: 1,
      firstDelayMs: options.firstRetryMs,
      maxDelayMs: options.maxRetryMs,
      clock: ports.clock,
      random: ports.random,
      log: ports.log,
    });
  }

  order(body: z.output<typeof orchestratorImageBody>): ImageRecord {
    const { records, clock, random } = this.#ports;
    const { imageName, fileName, engineImage, storageDuration } = body;
    if (fileName !== undefined) requireFile(this.#dataDir, fileName);
    const known = body.imageId === undefined ? undefined : records.images.get(body.imageId);
    const isOther = (['imageName', 'fileName', 'engineImage'] as const).some(
      (key) => known !== undefined && known[key] !== body[key],
    );
    if (known !== undefined && isOther)
      throw new AntirioError('conflict', `image ${known.imageId} is another one: ${known.imageName}`);
    if (known !== undefined && known.status !== 'FAILED' && known.status !== 'EXPIRED') return known;
    const imageId = body.imageId ?? uuidV4(random);
    const image: ImageRecord = {
      imageId,
      imageName,
      fileName,
      engineImage,
      storageDuration,
      status: 'WAITING',
      createdAt: clock.now(),
    };
    records.images.put(imageId, image);
    this.work.hurry(imageId);
    return image;
  }

  fromBackend(body: z.output<typeof backendImageBody>): BackendImage {
    const { records, outbox, clock } = this.#ports;
    const { imageId, imageHash, status } = body;
    const image = records.images.get(imageId);
    if (image?.imageHash !== undefined && image.imageHash !== imageHash)
      throw new AntirioError(
        'conflict',
        `image ${imageId} is stored as ${image.imageHash}, not as ${imageHash}`,
      );
    const record = { imageId, imageHash, status, receivedAt: clock.now() };
    records.transaction(() => {
      records.backendImages.add(record);
      if (status === 'READY2DOWNLOAD') return;
      if (status === 'COMMITTED' && image?.status === 'STORED')
        records.images.put(image.imageId, { ...image, status });
      this.#report(imageId, imageHash, status);
    });
    outbox.poke();
    return record;
  }

  get(imageId: string): ImageRecord {
    const image = this.#ports.records.images.get(imageId);
    if (image === undefined) throw new AntirioError('notFound', `no image ${imageId}`, { imageId });
    return image;
  }

  drop(imageId: string): void {
    this.get(imageId);
    this.#ports.records.images.remove(imageId);
    this.#ports.storage.drop(imagePin(imageId));
  }

  expire(): void {
    const { records, storage, clock } = this.#ports;
    for (const image of records.images.all()) {
      const over = image.createdAt + image.storageDuration * DAY_MS < clock.now();
      if (!over || (image.status !== 'STORED' && image.status !== 'COMMITTED')) continue;
      records.images.put(image.imageId, { ...image, status: 'EXPIRED' });
      storage.drop(imagePin(image.imageId));
    }
  }

  #waiting(): string[] {
    const waiting = this.#ports.records.images.all().filter((image) => image.status === 'WAITING');
    return waiting.map((image) => image.imageId);
  }

  #report(imageId: string, imageHash: string, status: string): void {
    const json = { imageId, imageHash, status };
    this.#ports.outbox.add({ peer: 'orchestrator', path: STATUS_PATH, subject: imageId, json });
  }

  async #import(imageId: string, signal: AbortSignal): Promise<void> {
    const { records, outbox, storage, log } = this.#ports;
    const image = records.images.get(imageId);
    if (image?.status !== 'WAITING') return;
    const archive = (): AsyncIterable<Uint8Array> =>
      openArchive(image, this.#dataDir, this.#ports.orchestrator, signal);
    const { cid, size } = await storage.putImage(() => imagePin(imageId), archive, signal);
    const imageHash = cid.toString();
    if (records.images.get(imageId) === undefined) {
      storage.drop(imagePin(imageId));
      return;
    }
    records.transaction(() => {
      records.images.put(image.imageId, { ...image, status: 'STORED', imageHash, size });
      this.#report(imageId, imageHash, 'STORED');
    });
    outbox.poke();
    log.info({ imageId, imageName: image.imageName, imageHash, size }, 'image stored');
  }

  #giveUp(imageId: string, error: unknown): void {
    const { records } = this.#ports;
    const image = records.images.get(imageId);
    if (image === undefined) return;
    const message = describeError(error);
    records.transaction(() => {
      records.images.put(image.imageId, { ...image, status: 'FAILED', error: message });
      const { imageName, fileName, engineImage } = image;
      const code = error instanceof AntirioError ? error.statusCode : 500;
      records.addError({ errorObject: { imageId, imageName, fileName, engineImage }, code, message });
    });
  }
}

/** @throws AntirioError notFound, rather than an order that fails later. */
export function requireFile(dataDir: string, fileName: string): void {
  if (statSync(imageFile(dataDir, fileName), { throwIfNoEntry: false })?.isFile() !== true)
    throw new AntirioError('notFound', `there is no file images/${fileName}`, { fileName });
}
