import { statSync } from 'node:fs';
import { join } from 'node:path';
import {
  AntirioError,
  canonicalJson,
  describeError,
  isAntirioError,
  uuidV4,
  type Clock,
  type Random,
} from '@antirio/kernel';
import { sleep, type Log } from '@antirio/host';
import { createWork, type Work } from '@antirio/durable-work';
import type { z } from 'zod';
import { longestUnchecked, unreadable, type Alarm, type IsDue } from './checks.ts';
import { MAX_CONFIGURATION_BYTES, parseConfiguration, type Configuration } from './configuration.ts';
import type { MigrationOptions } from './options.ts';
import type { ImageRecord, Records } from './records.ts';
import type { imageBody } from './shapes.ts';
import type { ImageSource, StorageClient } from './storage-client.ts';

export interface OwnImagePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly records: Records;
  readonly storage: StorageClient;
  readonly alarm: Alarm;
}

/** Algorithm 1 of the thesis up to its line 6: image and configuration get into the network. */
export interface OwnImages {
  /** Asking twice with the same imageId is one order. @throws AntirioError invalidInput | notFound | conflict | busy */
  store(body: z.output<typeof imageBody>): ImageRecord;
  /** @throws AntirioError notFound */
  get(imageId: string): ImageRecord;
  /** Lets go of an image that no contract is about. @throws AntirioError notFound | conflict */
  remove(imageId: string): Promise<void>;
  /** Reads what is stored and due, and mends what is not whole from where it came. */
  recheck(isDue: IsDue): Promise<void>;
  readonly work: Work;
}

export const isStored = (image: ImageRecord): boolean =>
  image.status === 'STORED' || image.status === 'COMMITTED';

function sourceOf({ fileName, image, imageId }: ImageRecord): ImageSource {
  if (fileName !== undefined) return { fileName };
  if (image !== undefined) return { engineImage: image };
  throw new AntirioError('internal', `image ${imageId} comes from nowhere`);
}

export function createOwnImages(options: MigrationOptions, ports: OwnImagePorts): OwnImages {
  return new StoredImages(options, ports);
}

/** Whether a contract about the one needs the other as well. */
function names({ imageId, configuration }: ImageRecord, other: ImageRecord): boolean {
  const services = Object.values(configuration.services ?? {});
  return imageId !== other.imageId && services.some(({ imageCid }) => imageCid === other.imageCid);
}

class StoredImages implements OwnImages {
  readonly #options: MigrationOptions;
  readonly #ports: OwnImagePorts;
  readonly work: Work;

  constructor(options: MigrationOptions, ports: OwnImagePorts) {
    const { records, clock, random, log } = ports;
    this.#options = options;
    this.#ports = ports;
    this.work = createWork({
      name: 'store own images',
      unfinished: () =>
        records.images.all().flatMap(({ status, imageId }) => (status === 'STORING' ? [imageId] : [])),
      run: (imageId, signal) => this.#advance(imageId, signal),
      failed: (imageId, error) => this.#change(imageId, { status: 'FAILED', error: describeError(error) }),
      attempts: options.attempts,
      atOnce: options.atOnce,
      firstDelayMs: options.firstRetryMs,
      maxDelayMs: options.maxRetryMs,
      clock,
      random,
      log,
    });
  }

  store(body: z.output<typeof imageBody>): ImageRecord {
    const { records, clock, random } = this.#ports;
    const { imageName, fileName, image: engineImage, storageDuration } = body;
    const configuration = this.#configuration(body.configuration, imageName);
    const known = body.imageId === undefined ? undefined : records.images.get(body.imageId);
    if (known !== undefined) {
      const same = (['imageName', 'fileName', 'image'] as const).every((key) => known[key] === body[key]);
      if (same && canonicalJson(known.configuration) === canonicalJson(configuration)) return known;
      throw new AntirioError('conflict', `image ${known.imageId} is another one: ${known.imageName}`);
    }
    if (fileName !== undefined) this.#requireFile(fileName);
    const imageId = body.imageId ?? uuidV4(random);
    const asked = { imageId, imageName, fileName, image: engineImage, storageDuration, configuration };
    const image: ImageRecord = { ...asked, status: 'STORING', createdAt: clock.now() };
    records.images.put(imageId, image);
    this.work.hurry(imageId);
    return image;
  }

  get(imageId: string): ImageRecord {
    const image = this.#ports.records.images.get(imageId);
    if (image === undefined) throw new AntirioError('notFound', `no image ${imageId}`, { imageId });
    return image;
  }

  async remove(imageId: string): Promise<void> {
    const { records, storage } = this.#ports;
    const image = this.get(imageId);
    const contract = records.sent.all().find((sent) => sent.imageCid === image.imageCid);
    if (contract !== undefined)
      throw new AntirioError('conflict', `contract ${contract.contractId} is about image ${imageId}`);
    const naming = records.images.all().find((other) => names(other, image));
    if (naming !== undefined)
      throw new AntirioError(
        'conflict',
        `the configuration of image ${naming.imageId} names image ${imageId}`,
      );
    await storage.dropImage(imageId);
    const { configCid } = image;
    const shared = records.images
      .all()
      .some((other) => other.imageId !== imageId && other.configCid === configCid);
    if (configCid !== undefined && !shared) await storage.drop(configCid);
    records.images.remove(imageId);
  }

  async recheck(isDue: IsDue): Promise<void> {
    const all = longestUnchecked(this.#ports.records.images.all(), (image) => image.retrievable);
    for (const image of all) {
      if (!isStored(image) || !isDue(`own/${image.imageId}`, image.retrievable?.checkedAt)) continue;
      if (await this.#hasExpired(image)) this.#change(image.imageId, { status: 'EXPIRED' });
      else await this.#recheckOne(image).catch(unreadable(this.#ports.log, { imageId: image.imageId }));
    }
  }

  async #advance(imageId: string, signal: AbortSignal): Promise<void> {
    const { records, storage, log } = this.#ports;
    const image = records.images.get(imageId);
    if (image?.status !== 'STORING') return;
    await this.#requireServices(image);
    const configCid = image.configCid ?? (await storage.storeJson(image.configuration));
    this.#change(imageId, { configCid });
    const imageCid = await this.#ordered(image, signal);
    if (imageCid === undefined) return;
    this.#change(imageId, { imageCid, configCid, status: 'STORED' });
    log.info({ imageId, imageName: image.imageName, imageCid, configCid }, 'image and configuration stored');
  }

  /** A provider fetches from here what the configuration names. @throws AntirioError conflict */
  async #requireServices({ configuration }: ImageRecord): Promise<void> {
    for (const [name, { imageCid }] of Object.entries(configuration.services ?? {})) {
      const isStored = await this.#ports.storage.object(imageCid).then(
        ({ state }) => state === 'STORED',
        (error: unknown) => {
          if (isAntirioError(error, 'notFound')) return false;
          throw error;
        },
      );
      if (!isStored)
        throw new AntirioError('conflict', `the image of ${name} is not stored here: store it first`, {
          imageCid,
        });
    }
  }

  /** Waits for filecoin-interface; undefined when told to stop before. */
  async #ordered(image: ImageRecord, signal: AbortSignal): Promise<string | undefined> {
    const { storage } = this.#ports;
    const { imageId, imageName, storageDuration } = image;
    while (!signal.aborted) {
      const found = await storage.image(imageId).catch((error: unknown) => {
        if (!isAntirioError(error, 'notFound')) throw error;
        return undefined;
      });
      if (found === undefined)
        await storage.order({ imageId, imageName, storageDuration, ...sourceOf(image) });
      else if (found.imageHash !== undefined) return found.imageHash;
      else if (found.status !== 'WAITING')
        throw new AntirioError('conflict', `the image was not stored: ${found.error ?? found.status}`);
      await sleep(this.#options.pollMs, signal);
    }
    return undefined;
  }

  async #hasExpired(image: ImageRecord): Promise<boolean> {
    const found = await this.#ports.storage.image(image.imageId).catch(() => undefined);
    return found?.status === 'EXPIRED';
  }

  async #recheckOne(image: ImageRecord): Promise<void> {
    const { clock, log } = this.#ports;
    let error: string | undefined;
    try {
      await this.#readOrMend(image);
    } catch (cause) {
      // Not to be reached is not the same as not to be there: what was last known stays known.
      if (!isAntirioError(cause, 'corrupt')) throw cause;
      error = describeError(cause);
      log.error({ imageId: image.imageId, error }, 'a stored image is not retrievable');
    }
    const checked = { ok: error === undefined, checkedAt: clock.now() };
    const retrievable = error === undefined ? checked : { ...checked, error };
    const { imageId, imageCid = '' } = image;
    this.#ports.records.transaction(() => {
      this.#change(imageId, { retrievable });
      this.#ports.alarm({ at: 'here', imageId, imageCid }, image.retrievable, retrievable);
    });
  }

  async #readOrMend(image: ImageRecord): Promise<void> {
    const { storage, log } = this.#ports;
    const { imageCid = '', configCid = '', configuration, imageId } = image;
    try {
      await storage.sample(imageCid, 1);
      await storage.sample(configCid, 1);
    } catch (lost) {
      if (!isAntirioError(lost, 'corrupt')) throw lost;
      log.warn({ imageId, error: describeError(lost) }, 'mending a stored image from where it came');
      try {
        await storage.mend(configCid, { json: configuration });
        if (this.#isThere(image)) await storage.mend(imageCid, sourceOf(image));
        await storage.sample(imageCid, 1);
        await storage.sample(configCid, 1);
      } catch (error) {
        // Whatever keeps it from being mended: it is lost until it is
        log.warn({ imageId, error: describeError(error) }, 'a stored image could not be mended');
        throw lost;
      }
    }
  }

  #configuration(value: unknown, imageName: string): Configuration {
    const { edgeId } = this.#options;
    const own = { service_customer_id: edgeId, miner_address: edgeId === '' ? '' : `/p2p/${edgeId}` };
    const given =
      typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...own, ...value } : value;
    const configuration = parseConfiguration(given);
    const size = canonicalJson(configuration).length;
    if (size > MAX_CONFIGURATION_BYTES)
      throw new AntirioError('tooLarge', `the configuration of ${imageName} has ${size} bytes`);
    return configuration;
  }

  #isThere({ fileName, image }: ImageRecord): boolean {
    return fileName === undefined ? image !== undefined : this.#hasFile(fileName);
  }

  #hasFile(fileName: string): boolean {
    const path = join(this.#options.dataDir, 'images', fileName);
    return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
  }

  #requireFile(fileName: string): void {
    if (!this.#hasFile(fileName))
      throw new AntirioError('notFound', `there is no file images/${fileName}`, { fileName });
  }

  #change(imageId: string, change: Partial<ImageRecord>): void {
    const { images } = this.#ports.records;
    const image = images.get(imageId);
    if (image !== undefined) images.put(imageId, { ...image, ...change });
  }
}
