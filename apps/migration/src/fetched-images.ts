import { rmSync } from 'node:fs';
import { AntirioError, describeError, type Clock, type Random } from '@antirio/kernel';
import { sleep, type Log } from '@antirio/host';
import { createWork, type Outbox, type Work } from '@antirio/durable-work';
import type { z } from 'zod';
import type { IsDue } from './checks.ts';
import { readConfiguration } from './configuration.ts';
import { archiveName, archivePath, removeArchives, serviceArchiveName } from './fetched-archives.ts';
import { FetchedRechecks } from './fetched-rechecks.ts';
import type { MigrationOptions } from './options.ts';
import { cidsOf, type FetchRecord, type FetchedService, type Records } from './records.ts';
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
  /** Has archives that are gone from the disk written again, and blocks that it has changed made of them or fetched again. */
  recheck(isDue: IsDue): Promise<void>;
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
  readonly #rechecks: FetchedRechecks;
  readonly work: Work;

  constructor(options: MigrationOptions, ports: FetchedImagePorts) {
    const { clock, random, log, records } = ports;
    this.#options = options;
    this.#ports = ports;
    this.#rechecks = new FetchedRechecks({
      ...ports,
      change: (contractId, change) => this.#change(contractId, change),
      isWanted: (contractId) => this.#isWanted(contractId),
      fetchAgain: (contractId) => this.work.hurry(contractId),
    });
    this.work = createWork({
      name: 'fetch images of customers',
      unfinished: () => records.fetched.all().flatMap((each) => (isUnderWay(each) ? [each.contractId] : [])),
      run: (contractId, signal) => this.#advance(contractId, signal),
      failed: (contractId, error) => this.#giveUp(contractId, describeError(error)),
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
    const { contractId } = body;
    const known = this.#ports.records.fetched.get(contractId);
    if (known?.state === 'ENDING')
      throw new AntirioError('busy', `what was fetched for contract ${contractId} is being let go`);
    if (known !== undefined && !isSame(known, body))
      throw new AntirioError('conflict', `contract ${contractId} is about something else`, { contractId });
    if (known === undefined || known.state === 'FAILED') this.#begin(body, known);
    return this.view(contractId);
  }

  #begin(body: z.output<typeof fetchBody>, known: FetchRecord | undefined): void {
    const { records, clock } = this.#ports;
    const { contractId, customer, imageCid, configCid, imageName } = body;
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

  view(contractId: string): FetchView {
    const { records } = this.#ports;
    const exact = records.fetched.get(contractId);
    const fetched = exact ?? newestOf(records.fetched.all().filter((each) => isVersionOf(each, contractId)));
    if (fetched === undefined || fetched.state === 'ENDING')
      throw new AntirioError('notFound', `nothing is fetched for contract ${contractId}`, { contractId });
    return { ...fetched, progress: this.#progress.get(fetched.contractId) };
  }

  async remove(contractId: string): Promise<void> {
    const { fetched } = this.#ports.records;
    const known = fetched.get(contractId);
    if (known === undefined)
      throw new AntirioError('notFound', `nothing is fetched for contract ${contractId}`, { contractId });
    // First the record: what runs for it sees that it is over, and what is not let go now is after a restart
    fetched.put(contractId, { ...known, state: 'ENDING' });
    await this.#letGo({ ...known, state: 'ENDING' });
  }

  async #letGo(fetched: FetchRecord): Promise<void> {
    const { contractId } = fetched;
    const { records, storage } = this.#ports;
    const others = records.fetched.all().filter((other) => other.state !== 'ENDING');
    const used = new Set(others.flatMap(cidsOf));
    for (const cid of cidsOf(fetched)) if (!used.has(cid)) await storage.drop(cid);
    removeArchives(this.#options.dataDir, fetched);
    this.#progress.delete(contractId);
    records.fetched.remove(contractId);
  }

  recheck(isDue: IsDue): Promise<void> {
    return this.#rechecks.run(isDue);
  }

  async #advance(contractId: string, signal: AbortSignal): Promise<void> {
    const fetched = this.#ports.records.fetched.get(contractId);
    if (fetched?.state === 'FETCHING') await this.#fetch(fetched, signal);
    else if (fetched?.state === 'READY2DOWNLOAD') await this.#download(fetched);
    else if (fetched?.state === 'ENDING') await this.#letGo(fetched);
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
      if (signal.aborted || !this.#isWanted(contractId)) return;
      [configuration, image] = [await storage.object(configCid), await storage.object(imageCid)];
    }
    const services = await this.#fetchServices({ contractId, configCid, providers }, signal);
    if (services === undefined) return;
    const moved = movedOf([image, configuration, ...services.objects]);
    this.#change(contractId, { services: services.found });
    this.#change(contractId, { state: 'READY2DOWNLOAD', ...moved });
    log.info({ contractId, imageCid, configCid, ...moved }, 'image and configuration fetched and verified');
  }

  /** The further images that the configuration names; undefined where they are wanted no more. */
  async #fetchServices(
    { contractId, configCid, providers }: Pick<FetchRecord, 'contractId' | 'configCid' | 'providers'>,
    signal: AbortSignal,
  ): Promise<{ objects: ObjectAnswer[]; found: FetchedService[] } | undefined> {
    const { storage } = this.#ports;
    const { services = {} } = readConfiguration(await storage.block(configCid));
    const found = Object.entries(services).map(([name, { imageCid }]) => ({ name, imageCid }));
    // Kept before anything comes for them, so that it is let go with the rest
    this.#change(contractId, { services: found });
    const objects: ObjectAnswer[] = [];
    for (const { name, imageCid } of found) {
      let object = await storage.fetch(imageCid, providers);
      while (!isWhole(object, `the image of ${name}`)) {
        await sleep(this.#options.pollMs, signal);
        if (signal.aborted || !this.#isWanted(contractId)) return undefined;
        object = await storage.object(imageCid);
      }
      objects.push(object);
    }
    return { objects, found };
  }

  /** Written as archives and verified. @throws AntirioError invalidInput where one is no image */
  async #downloadServices({ contractId, services = [] }: FetchRecord): Promise<FetchedService[]> {
    const done: FetchedService[] = [];
    for (const { name, imageCid } of services) {
      const fileName = serviceArchiveName(contractId, name);
      const { sha256: archiveSha256, imageId } = await this.#ports.storage.export(imageCid, fileName);
      const archive = archivePath(this.#options.dataDir, fileName);
      if (imageId === undefined) {
        rmSync(archive, { force: true });
        throw new AntirioError('invalidInput', `${imageCid} is no image`, { imageCid, name });
      }
      done.push({ name, imageCid, archive, archiveSha256 });
    }
    return done;
  }

  async #download(fetched: FetchRecord): Promise<void> {
    const { contractId, imageCid, configCid } = fetched;
    const { records, storage, outbox, clock, log } = this.#ports;
    const configuration = readConfiguration(await storage.block(configCid));
    const archive = archivePath(this.#options.dataDir, archiveName(contractId));
    const exported = await storage.export(imageCid, archiveName(contractId));
    const { sha256: archiveSha256, imageId, architecture } = exported;
    const services = await this.#downloadServices(fetched);
    if (!this.#isWanted(contractId)) {
      removeArchives(this.#options.dataDir, fetched);
      return;
    }
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
        services,
        retrievable: { ok: true, checkedAt: clock.now() },
      });
      const json = { imageId: contractId, status: 'DOWNLOADED' };
      outbox.add({ peer: 'orchestrator', path: STATUS_PATH, subject: `fetched/${contractId}`, json });
    });
    outbox.poke();
    log.info({ contractId, imageId, archive }, 'image downloaded');
  }

  #giveUp(contractId: string, error: string): void {
    const record = this.#ports.records.fetched.get(contractId);
    // What could not be let go yet is tried again after the next start
    if (record !== undefined) this.#change(contractId, { state: 'FAILED', error });
  }

  #isWanted(contractId: string): boolean {
    const record = this.#ports.records.fetched.get(contractId);
    return record !== undefined && record.state !== 'ENDING';
  }

  #change(contractId: string, change: Partial<FetchRecord>): void {
    const { fetched } = this.#ports.records;
    const record = fetched.get(contractId);
    if (record !== undefined && record.state !== 'ENDING') fetched.put(contractId, { ...record, ...change });
  }
}

const isUnderWay = ({ state }: FetchRecord): boolean =>
  state === 'FETCHING' || state === 'READY2DOWNLOAD' || state === 'ENDING';

/** Later versions of a contract's image are fetched under `<contractId>-v<hash>`. */
const isVersionOf = (fetched: FetchRecord, contractId: string): boolean =>
  fetched.state !== 'ENDING' &&
  fetched.contractId.startsWith(`${contractId}-v`) &&
  /^[0-9a-f]{10}$/.test(fetched.contractId.slice(contractId.length + 2));

/** One that can be run goes before a newer one that is still on its way, or failed. */
const newestOf = (versions: readonly FetchRecord[]): FetchRecord | undefined =>
  versions.findLast(({ state }) => state === 'DOWNLOADED') ?? versions.at(-1);

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
