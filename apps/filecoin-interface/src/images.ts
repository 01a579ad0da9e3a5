import { AntirioError, describeError, uuidV4, type Clock, type Random } from '@antirio/kernel';
import type { HttpPeer, Log } from '@antirio/host';
import { createWork, type Outbox, type Work } from '@antirio/durable-work';
import type { StorageNetwork, StoragePrice } from '@antirio/storage-network';
import type { z } from 'zod';
import { archiveBytes, archiveOf, isFile, requireFile } from './archives.ts';
import type { FilecoinInterfaceOptions } from './options.ts';
import type { Progress, Teller } from './progress.ts';
import { isStored, type BackendImage, type ImageCost, type ImageRecord, type Records } from './records.ts';
import type { backendImageBody, orchestratorImageBody } from './shapes.ts';
import { imagePin } from './pins.ts';
import type { Pushes } from './pushes.ts';
import type { LocalStorage } from './storage.ts';

export interface ImagePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly records: Records;
  readonly outbox: Outbox;
  readonly storage: LocalStorage;
  readonly network: StorageNetwork;
  readonly pushes: Pushes;
  /** By which the container engine is reached. */
  readonly orchestrator: HttpPeer | undefined;
  readonly price: StoragePrice;
  readonly progress: Progress;
}

/** The images of this edge's own: stored by order of the orchestrator, which is told how far they are. */
export interface Images {
  /** Takes an order; asking twice with the same imageId is one order, for the longer of both times. @throws AntirioError notFound | conflict | busy */
  order(body: z.output<typeof orchestratorImageBody>): Promise<ImageRecord>;
  /**
   * Takes what a storage backend says of an image. Where there is a storage network beyond the edges, or the image is not one that is
   * stored here, that is only written down. @throws AntirioError conflict when it names another content.
   */
  fromBackend(body: z.output<typeof backendImageBody>): BackendImage;
  /** The storage network holds an image as it is asked to, or does so no longer. Part of the caller's transaction. */
  held(imageId: string, imageHash: string, isHeld: boolean): void;
  /** The disk has changed an image, or lost some of it: it is imported anew where it came from, or else FAILED. */
  damaged(imageHash: string, error: string): void;
  /** @throws AntirioError notFound */
  get(imageId: string): ImageRecord;
  find(imageId: string): ImageRecord | undefined;
  drop(imageId: string): void;
  /** Whether its blocks are to stay. */
  keeps(imageId: string): boolean;
  /** Why a file of the images folder is needed; undefined where it is not. */
  needs(fileName: string): string | undefined;
  /** Lets go of images whose time is over, and a while later of their records. */
  expire(): void;
  readonly work: Work;
}

const STATUS_PATH = '/orchestrator/service_customer/image/status';
const RETRIEVABILITY_PATH = '/orchestrator/v1/retrievability';
const DAY_MS = 86_400_000;
/** Records of images whose time is over: for so long, and so many of them. */
const EXPIRED_KEPT_MS = 30 * DAY_MS;
const EXPIRED_KEPT = 1000;

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

  async order(body: z.output<typeof orchestratorImageBody>): Promise<ImageRecord> {
    const { records, clock, random } = this.#ports;
    const { imageName, fileName, engineImage, storageDuration } = body;
    if (fileName !== undefined) requireFile(this.#dataDir, fileName);
    const cost = await this.#costOf(
      this.#known(body)?.cost?.bytes ?? archiveBytes(body, this.#dataDir),
      storageDuration,
    );
    const known = this.#known(body);
    if (known !== undefined) return this.#prolong(known, storageDuration, cost);
    const imageId = body.imageId ?? uuidV4(random);
    const image: ImageRecord = {
      imageId,
      imageName,
      fileName,
      engineImage,
      storageDuration,
      status: 'WAITING',
      createdAt: clock.now(),
      expiresAt: clock.now() + storageDuration * DAY_MS,
      orderId: uuidV4(random),
      ...(cost === undefined ? {} : { cost }),
    };
    records.images.put(imageId, image);
    this.work.hurry(imageId);
    return image;
  }

  /** The order that was already given, unless it has come to its end. @throws AntirioError conflict */
  #known(body: z.output<typeof orchestratorImageBody>): ImageRecord | undefined {
    const known = body.imageId === undefined ? undefined : this.find(body.imageId);
    if (known === undefined) return undefined;
    const keys = ['imageName', 'fileName', 'engineImage'] as const;
    if (keys.some((key) => known[key] !== body[key]))
      throw new AntirioError('conflict', `image ${known.imageId} is another one: ${known.imageName}`);
    return known.status === 'FAILED' || known.status === 'EXPIRED' ? undefined : known;
  }

  #prolong(image: ImageRecord, storageDuration: number, cost: ImageCost | undefined): ImageRecord {
    if (storageDuration <= image.storageDuration) return image;
    const expiresAt = image.createdAt + storageDuration * DAY_MS;
    const longer = { ...image, storageDuration, expiresAt, ...(cost && { cost }) };
    this.#ports.records.images.put(image.imageId, longer);
    return longer;
  }

  fromBackend(body: z.output<typeof backendImageBody>): BackendImage {
    const { records, outbox, clock, network } = this.#ports;
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
      if (status !== 'COMMITTED' || network.kind !== 'embedded' || image?.status !== 'STORED') return;
      records.images.put(imageId, { ...image, status });
      this.#report(imageId, imageHash, status);
    });
    outbox.poke();
    return record;
  }

  held(imageId: string, imageHash: string, isHeld: boolean): void {
    const { records, outbox } = this.#ports;
    const image = records.images.get(imageId);
    const from = isHeld ? 'STORED' : 'COMMITTED';
    if (image?.status !== from || image.imageHash !== imageHash) return;
    const status = isHeld ? 'COMMITTED' : 'STORED';
    records.images.put(imageId, { ...image, status });
    this.#report(imageId, imageHash, status);
    outbox.poke();
  }

  damaged(imageHash: string, error: string): void {
    const { records, outbox, progress } = this.#ports;
    for (const image of records.images.all()) {
      const { imageId, status } = image;
      if (image.imageHash !== imageHash || !isStored(status)) continue;
      const change = this.#comesFromSomewhere(image)
        ? { status: 'WAITING' as const, mending: status }
        : { status: 'FAILED' as const, error };
      records.transaction(() => {
        records.images.put(imageId, { ...image, ...change });
        this.#reportRetrievability(imageId, imageHash, error);
      });
      this.work.hurry(imageId);
    }
    outbox.poke();
    progress.changed();
  }

  get(imageId: string): ImageRecord {
    const image = this.find(imageId);
    if (image === undefined) throw new AntirioError('notFound', `no image ${imageId}`, { imageId });
    return image;
  }

  find(imageId: string): ImageRecord | undefined {
    return this.#ports.records.images.get(imageId);
  }

  drop(imageId: string): void {
    const { records, pushes, storage } = this.#ports;
    this.get(imageId);
    records.transaction(() => {
      records.images.remove(imageId);
      pushes.drop(imagePin(imageId));
    });
    this.work.cancel(imageId);
    storage.drop(imagePin(imageId));
    this.#ports.progress.changed();
  }

  keeps(imageId: string): boolean {
    const image = this.find(imageId);
    return image !== undefined && image.status !== 'EXPIRED';
  }

  expire(): void {
    this.#forgetExpired();
    const { records, storage, pushes, clock } = this.#ports;
    for (const image of records.images.all()) {
      const over = image.expiresAt < clock.now();
      if (!over || !isStored(image.status)) continue;
      records.transaction(() => {
        records.images.put(image.imageId, { ...image, status: 'EXPIRED' });
        pushes.drop(imagePin(image.imageId));
      });
      storage.drop(imagePin(image.imageId));
    }
  }

  #forgetExpired(): void {
    const { records, clock } = this.#ports;
    const expired = records.images.all().filter(({ status }) => status === 'EXPIRED');
    for (const [i, { imageId, expiresAt }] of expired.entries()) {
      const isOld = expiresAt < clock.now() - EXPIRED_KEPT_MS;
      if (isOld || i < expired.length - EXPIRED_KEPT) records.images.remove(imageId);
    }
  }

  needs(fileName: string): string | undefined {
    const waiting = this.#ports.records.images.all().filter((image) => image.status === 'WAITING');
    const one = waiting.find((image) => image.fileName === fileName);
    return one === undefined ? undefined : `image ${one.imageId} is yet to be stored from ${fileName}`;
  }

  async #costOf(size: number | undefined, days: number): Promise<ImageCost | undefined> {
    if (size === undefined) return undefined;
    const { amount, currency, bytes } = await this.#ports.price.quote({ bytes: Math.max(1, size), days });
    return { amount: String(amount), currency, bytes, days };
  }

  #waiting(): string[] {
    const waiting = this.#ports.records.images.all().filter((image) => image.status === 'WAITING');
    return waiting.map((image) => image.imageId);
  }

  #report(imageId: string, imageHash: string, status: string): void {
    const json = { imageId, imageHash, status };
    this.#ports.outbox.add({ peer: 'orchestrator', path: STATUS_PATH, subject: imageId, json });
  }

  #reportRetrievability(imageId: string, imageCid: string, error?: string): void {
    const found = error === undefined ? { ok: true } : { ok: false, error: error.slice(0, 4096) };
    const json = { at: 'here', imageId, imageCid, ...found, checkedAt: this.#ports.clock.now() };
    this.#ports.outbox.add({ peer: 'orchestrator', path: RETRIEVABILITY_PATH, subject: imageId, json });
  }

  #comesFromSomewhere({ fileName, engineImage }: ImageRecord): boolean {
    if (fileName === undefined) return engineImage !== undefined;
    return isFile(this.#dataDir, fileName);
  }

  async #import(imageId: string, signal: AbortSignal): Promise<void> {
    const { progress } = this.#ports;
    const image = this.find(imageId);
    if (image?.status !== 'WAITING') return;
    const { fileName } = image;
    const subject = { imageId, ...(fileName === undefined ? {} : { fileName }) };
    await progress.track('import', subject, (tell) => this.#store(image, tell, signal));
  }

  /** The record, if it is of the same order: an image may have been dropped meanwhile, and been ordered anew. */
  #still({ imageId, orderId }: ImageRecord): ImageRecord | undefined {
    const now = this.find(imageId);
    return now?.status === 'WAITING' && now.orderId === orderId ? now : undefined;
  }

  async #store(image: ImageRecord, tell: Teller, signal: AbortSignal): Promise<void> {
    const { records, outbox, storage, log, orchestrator } = this.#ports;
    const { imageId } = image;
    const archive = archiveOf(image, { dataDir: this.#dataDir, orchestrator }, tell, signal);
    const { cid, size } = await storage.putImage((root) => pinOf(image, root.toString()), archive, signal);
    const cost = image.cost ?? (await this.#costOf(size, image.storageDuration));
    const imageHash = cid.toString();
    tell.about({ cid: imageHash });
    const now = this.#still(image);
    if (now === undefined) {
      storage.drop(imagePin(imageId));
      return;
    }
    const status = this.#storedAs(now);
    records.transaction(() => {
      const stored = { ...now, status, imageHash, size, mending: undefined };
      records.images.put(imageId, { ...stored, ...(stored.cost === undefined && cost && { cost }) });
      this.#report(imageId, imageHash, status);
      if (now.mending !== undefined) this.#reportRetrievability(imageId, imageHash);
      this.#ports.pushes.order(imagePin(imageId), imageHash);
    });
    outbox.poke();
    log.info({ imageId, imageName: image.imageName, imageHash, size }, 'image stored');
  }

  /** Others that hold it do so whatever our disk has done. */
  #storedAs({ imageId, mending = 'STORED' }: ImageRecord): 'STORED' | 'COMMITTED' {
    const { network, pushes } = this.#ports;
    if (network.kind === 'embedded') return mending;
    return pushes.view(imagePin(imageId))?.state === 'COMMITTED' ? 'COMMITTED' : 'STORED';
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
    this.#ports.progress.changed();
  }
}

/** @throws AntirioError conflict where what is to mend an image is another one. */
function pinOf({ imageId, imageHash }: ImageRecord, found: string): string {
  if (imageHash !== undefined && imageHash !== found)
    throw new AntirioError(
      'conflict',
      `image ${imageId} was ${imageHash}; where it came from is ${found} now`,
    );
  return imagePin(imageId);
}
