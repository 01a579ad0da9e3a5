import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { AntirioError, describeError, type Clock, type Random } from '@antirio/kernel';
import { sleep, type Log } from '@antirio/host';
import { createWork, type Outbox, type Work } from '@antirio/durable-work';
import type { z } from 'zod';
import { readConfiguration } from './configuration.ts';
import type { MigrationOptions } from './options.ts';
import type { FetchRecord, Records } from './records.ts';
import type { fetchBody } from './shapes.ts';
import type { ObjectAnswer, StorageClient } from './storage-client.ts';

export interface FetchedImagePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly records: Records;
  readonly storage: StorageClient;
  readonly outbox: Outbox;
}

export interface FetchView extends FetchRecord {
  readonly progress?: unknown;
}

/** Algorithm 2 of the thesis, lines 1 to 6: image and configuration of a customer come here, and nothing unverified does. */
export interface FetchedImages {
  /** Asking twice is one order; one that FAILED is begun anew. @throws AntirioError conflict | busy */
  order(body: z.output<typeof fetchBody>): FetchView;
  /** @throws AntirioError notFound */
  view(contractId: string): FetchView;
  /** The contract is over: lets go of what was fetched for it. @throws AntirioError notFound */
  remove(contractId: string): Promise<void>;
  /** Has archives that are gone from the disk written again. */
  recheck(): void;
  readonly work: Work;
}

const STATUS_PATH = '/orchestrator/service_provider/image/status';

export function createFetchedImages(options: MigrationOptions, ports: FetchedImagePorts): FetchedImages {
  return new CustomerImages(options, ports);
}

class CustomerImages implements FetchedImages {
  readonly #options: MigrationOptions;
  readonly #ports: FetchedImagePorts;
  readonly #progress = new Map<string, unknown>();
  readonly work: Work;

  constructor(options: MigrationOptions, ports: FetchedImagePorts) {
    const { clock, random, log, records } = ports;
    this.#options = options;
    this.#ports = ports;
    this.work = createWork({
      name: 'fetch images of customers',
      unfinished: () => records.fetched.all().flatMap((each) => (isUnderWay(each) ? [each.contractId] : [])),
      run: (contractId, signal) => this.#advance(contractId, signal),
      failed: (contractId, error) =>
        this.#change(contractId, { state: 'FAILED', error: describeError(error) }),
      attempts: options.attempts,
      atOnce: options.atOnce,
      firstDelayMs: options.firstRetryMs,
      maxDelayMs: options.maxRetryMs,
      clock,
      random,
      log,
    });
  }

  order(body: z.output<typeof fetchBody>): FetchView {
    const { records, clock } = this.#ports;
    const { contractId, customer, imageCid, configCid, imageName } = body;
    const known = records.fetched.get(contractId);
    if (known !== undefined && !isSame(known, body))
      throw new AntirioError('conflict', `contract ${contractId} is about something else`, { contractId });
    if (known === undefined || known.state === 'FAILED') {
      const providers = [
        ...new Set([...(known?.providers ?? []), ...(body.providers ?? []), `/p2p/${customer}`]),
      ];
      records.fetched.put(contractId, {
        contractId,
        customer,
        imageCid,
        configCid,
        imageName,
        providers: providers.slice(-16),
        state: 'FETCHING',
        createdAt: known?.createdAt ?? clock.now(),
      });
      this.work.hurry(contractId);
    }
    return this.view(contractId);
  }

  view(contractId: string): FetchView {
    const fetched = this.#ports.records.fetched.get(contractId);
    if (fetched === undefined)
      throw new AntirioError('notFound', `nothing is fetched for contract ${contractId}`, { contractId });
    return { ...fetched, progress: this.#progress.get(contractId) };
  }

  async remove(contractId: string): Promise<void> {
    const { records, storage } = this.#ports;
    const { imageCid, configCid } = this.view(contractId);
    // First the record: what runs for it finds it gone and does not store it again.
    records.fetched.remove(contractId);
    const others = records.fetched.all();
    const used = new Set(others.flatMap((other) => [other.imageCid, other.configCid]));
    for (const cid of [imageCid, configCid]) if (!used.has(cid)) await storage.drop(cid);
    rmSync(this.#archive(contractId), { force: true });
    this.#progress.delete(contractId);
  }

  recheck(): void {
    for (const { contractId, state, archive } of this.#ports.records.fetched.all())
      if (state === 'DOWNLOADED' && archive !== undefined && !existsSync(archive))
        this.#change(contractId, { state: 'READY2DOWNLOAD', archive: undefined, archiveSha256: undefined });
  }

  async #advance(contractId: string, signal: AbortSignal): Promise<void> {
    const fetched = this.#ports.records.fetched.get(contractId);
    if (fetched?.state === 'FETCHING') await this.#fetch(fetched, signal);
    else if (fetched?.state === 'READY2DOWNLOAD') await this.#download(fetched);
  }

  async #fetch(
    { contractId, imageCid, configCid, providers }: FetchRecord,
    signal: AbortSignal,
  ): Promise<void> {
    const { storage, log } = this.#ports;
    let [configuration, image] = [
      await storage.fetch(configCid, providers),
      await storage.fetch(imageCid, providers),
    ];
    for (;;) {
      this.#progress.set(contractId, { image: image.progress, configuration: configuration.state });
      if (isWhole(configuration, 'the configuration') && isWhole(image, 'the image')) break;
      await sleep(this.#options.pollMs, signal);
      if (signal.aborted || this.#ports.records.fetched.get(contractId) === undefined) return;
      [configuration, image] = [await storage.object(configCid), await storage.object(imageCid)];
    }
    const moved = movedOf([image, configuration]);
    this.#change(contractId, { state: 'READY2DOWNLOAD', ...moved });
    log.info({ contractId, imageCid, configCid, ...moved }, 'image and configuration fetched and verified');
  }

  async #download({ contractId, imageCid, configCid }: FetchRecord): Promise<void> {
    const { records, storage, outbox, log } = this.#ports;
    const configuration = readConfiguration(await storage.block(configCid));
    const archive = this.#archive(contractId);
    const exported = await storage.export(imageCid, archiveName(contractId));
    const { sha256: archiveSha256, imageId, architecture } = exported;
    if (imageId === undefined) {
      rmSync(archive, { force: true });
      throw new AntirioError('invalidInput', `${imageCid} is no image`, { imageCid });
    }
    records.transaction(() => {
      this.#change(contractId, {
        state: 'DOWNLOADED',
        configuration,
        archive,
        archiveSha256,
        imageId,
        architecture,
      });
      const json = { imageId: contractId, status: 'DOWNLOADED' };
      outbox.add({ peer: 'orchestrator', path: STATUS_PATH, subject: `fetched/${contractId}`, json });
    });
    outbox.poke();
    log.info({ contractId, imageId, archive }, 'image downloaded');
  }

  #archive(contractId: string): string {
    return join(this.#options.dataDir, 'images', archiveName(contractId));
  }

  #change(contractId: string, change: Partial<FetchRecord>): void {
    const { fetched } = this.#ports.records;
    const record = fetched.get(contractId);
    if (record !== undefined) fetched.put(contractId, { ...record, ...change });
  }
}

/** No imported file has such a name by chance. */
const archiveName = (contractId: string): string => `contract-${contractId}.tar`;

const isUnderWay = (fetched: FetchRecord): boolean =>
  fetched.state === 'FETCHING' || fetched.state === 'READY2DOWNLOAD';

function isSame(known: FetchRecord, asked: z.output<typeof fetchBody>): boolean {
  return (['customer', 'imageCid', 'configCid'] as const).every((key) => known[key] === asked[key]);
}

/** What the store tells of a fetch since it was last begun; of what it held all the time it tells nothing but the size. */
function movedOf(objects: readonly ObjectAnswer[]): { fetchedBytes: number; reusedBytes: number } {
  let [fetchedBytes, reusedBytes] = [0, 0];
  for (const { progress, size = 0 } of objects) {
    fetchedBytes += progress?.fetchedBytes ?? 0;
    reusedBytes += progress === undefined ? size : progress.bytes - progress.fetchedBytes;
  }
  return { fetchedBytes, reusedBytes };
}

function isWhole({ state, error }: ObjectAnswer, what: string): boolean {
  if (state === 'FAILED')
    throw new AntirioError('conflict', `${what} could not be fetched: ${error ?? 'no reason given'}`);
  return state === 'STORED';
}
