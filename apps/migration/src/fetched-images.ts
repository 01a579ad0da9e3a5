import { createHash } from 'node:crypto';
import { createReadStream, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { AntirioError, describeError, isAntirioError, type Clock, type Random } from '@antirio/kernel';
import { sleep, type Log } from '@antirio/host';
import { createWork, type Outbox, type Work } from '@antirio/durable-work';
import type { z } from 'zod';
import { longestUnchecked, unreadable, type IsDue } from './checks.ts';
import { readConfiguration } from './configuration.ts';
import type { MigrationOptions } from './options.ts';
import type { FetchRecord, FetchedService, Records } from './records.ts';
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
  readonly work: Work;

  constructor(options: MigrationOptions, ports: FetchedImagePorts) {
    const { clock, random, log, records } = ports;
    this.#options = options;
    this.#ports = ports;
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
    this.#removeArchives(fetched);
    this.#progress.delete(contractId);
    records.fetched.remove(contractId);
  }

  async recheck(isDue: IsDue): Promise<void> {
    const all = longestUnchecked(this.#ports.records.fetched.all(), (fetched) => fetched.retrievable);
    for (const fetched of all) {
      const { contractId, retrievable, createdAt } = fetched;
      if (hasLostArchive(fetched))
        this.#change(contractId, { state: 'READY2DOWNLOAD', archive: undefined, archiveSha256: undefined });
      if (wasWhole(fetched) && isDue(`fetched/${contractId}`, retrievable?.checkedAt ?? createdAt))
        await this.#recheckOne(fetched).catch(unreadable(this.#ports.log, { contractId }));
    }
  }

  async #recheckOne(fetched: FetchRecord): Promise<void> {
    const { contractId } = fetched;
    try {
      await this.#read(fetched);
      this.#noteChecked(contractId);
    } catch (lost) {
      if (!isAntirioError(lost, 'corrupt')) throw lost;
      await this.#mend(fetched, describeError(lost));
    }
  }

  /** Every block. @throws AntirioError corrupt */
  async #read(fetched: FetchRecord): Promise<void> {
    for (const cid of cidsOf(fetched)) await this.#ports.storage.sample(cid, 1);
  }

  /** What is ready stays ready as long as its archive is whole: that is what it is loaded from, and every block can be made of it. */
  async #mend(fetched: FetchRecord, error: string): Promise<void> {
    const { log } = this.#ports;
    const { contractId } = fetched;
    if (!(await hasWholeArchive(fetched))) {
      log.warn({ contractId, error }, 'a customer’s image is not whole any more: fetched again');
      this.#noteChecked(contractId, error, 'FETCHING');
      this.work.hurry(contractId);
      return;
    }
    log.warn(
      { contractId, error },
      'blocks of a customer’s image are not whole any more: made of its archive',
    );
    this.#noteChecked(contractId, error, 'DOWNLOADED');
    try {
      await this.#mendFromArchive(fetched);
      await this.#read(fetched);
      this.#noteChecked(contractId);
    } catch (cause) {
      log.warn({ contractId, error: describeError(cause) }, 'they could not be: the customer is asked');
      await this.#askAgain(fetched);
    }
  }

  async #mendFromArchive(fetched: FetchRecord): Promise<void> {
    const { contractId, imageCid, configCid, configuration, services = [] } = fetched;
    const { storage, log } = this.#ports;
    // A configuration that is written otherwise than here comes from the customer only
    await storage.mend(configCid, { json: configuration }).catch(unreadable(log, { contractId, configCid }));
    await storage.mend(imageCid, { fileName: archiveName(contractId) });
    for (const one of services)
      await storage.mend(one.imageCid, { fileName: serviceArchiveName(contractId, one.name) });
  }

  /** Comes in the background; whether it did is seen by the next check. */
  async #askAgain(fetched: FetchRecord): Promise<void> {
    for (const cid of cidsOf(fetched))
      if (this.#isWanted(fetched.contractId)) await this.#ports.storage.fetch(cid, fetched.providers);
  }

  #noteChecked(contractId: string, error?: string, state?: FetchRecord['state']): void {
    const checkedAt = this.#ports.clock.now();
    const retrievable = error === undefined ? { ok: true, checkedAt } : { ok: false, checkedAt, error };
    this.#change(contractId, { retrievable, ...(state === undefined ? {} : { state, error: undefined }) });
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
      const archive = join(this.#options.dataDir, 'images', fileName);
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
    const archive = this.#archive(contractId);
    const exported = await storage.export(imageCid, archiveName(contractId));
    const { sha256: archiveSha256, imageId, architecture } = exported;
    const services = await this.#downloadServices(fetched);
    if (!this.#isWanted(contractId)) {
      this.#removeArchives(fetched);
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

  #removeArchives({ contractId, services = [] }: FetchRecord): void {
    const names = services.map(({ name }) => serviceArchiveName(contractId, name));
    for (const name of [archiveName(contractId), ...names])
      rmSync(join(this.#options.dataDir, 'images', name), { force: true });
  }

  #archive(contractId: string): string {
    return join(this.#options.dataDir, 'images', archiveName(contractId));
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

/** No imported file has such a name by chance. */
const archiveName = (contractId: string): string => `contract-${contractId}.tar`;

const serviceArchiveName = (contractId: string, name: string): string => `contract-${contractId}.${name}.tar`;

/** All that was fetched for it. */
const cidsOf = ({ configCid, imageCid, services = [] }: FetchRecord): string[] => [
  configCid,
  imageCid,
  ...services.map((one) => one.imageCid),
];

const isUnderWay = ({ state }: FetchRecord): boolean =>
  state === 'FETCHING' || state === 'READY2DOWNLOAD' || state === 'ENDING';

const hasLostArchive = ({ state, archive, services = [] }: FetchRecord): boolean =>
  state === 'DOWNLOADED' &&
  [archive, ...services.map((one) => one.archive)].some((path) => path !== undefined && !existsSync(path));

async function hasWholeArchive({ archive, archiveSha256, services = [] }: FetchRecord): Promise<boolean> {
  for (const one of [{ archive, archiveSha256 }, ...services]) if (!(await isWholeFile(one))) return false;
  return true;
}

async function isWholeFile({
  archive,
  archiveSha256,
}: Pick<FetchedService, 'archive' | 'archiveSha256'>): Promise<boolean> {
  if (archive === undefined || archiveSha256 === undefined) return false;
  const hash = createHash('sha256');
  try {
    await pipeline(createReadStream(archive), hash);
  } catch {
    // What the disk does not give is not whole
    return false;
  }
  return hash.digest('hex') === archiveSha256;
}

const wasWhole = ({ state, retrievable }: FetchRecord): boolean =>
  state === 'DOWNLOADED' || (state === 'FAILED' && retrievable !== undefined);

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
