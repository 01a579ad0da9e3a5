import {
  AntirioError,
  describeError,
  isAntirioError,
  uuidV4,
  type Clock,
  type Random,
} from '@antirio/kernel';
import type { HttpPeer, Log } from '@antirio/host';
import { createWork, isPassing, type Work } from '@antirio/durable-work';
import { parseCid, type CID, type FetchProgress } from '@antirio/content-store';
import type { z } from 'zod';
import { archiveOf, requireFile } from './archives.ts';
import type { Images } from './images.ts';
import type { FilecoinInterfaceOptions } from './options.ts';
import type { Progress, Teller, WorkSubject } from './progress.ts';
import type { OnSeen } from './reading.ts';
import { isStored, type ObjectRecord, type Records } from './records.ts';
import type { exportBody, objectBody } from './shapes.ts';
import { createSample } from './sample.ts';
import type { StorageNetwork } from '@antirio/storage-network';
import { isOfNetwork, nameWithin } from './network.ts';
import { openProviders } from './object-providers.ts';
import { objectPin } from './pins.ts';
import type { Pushes } from './pushes.ts';
import { imageFile, type Beyond, type LocalStorage, type StoredObject } from './storage.ts';

export interface ObjectPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly records: Records;
  readonly storage: LocalStorage;
  readonly network: StorageNetwork;
  readonly pushes: Pushes;
  readonly images: Pick<Images, 'damaged' | 'needs'>;
  readonly edge2edge: HttpPeer | undefined;
  /** By which the container engine is reached. */
  readonly orchestrator: HttpPeer | undefined;
  readonly progress: Progress;
}

export interface ObjectView extends ObjectRecord {
  /** Of a fetch since it was last begun. */
  readonly progress?: FetchProgress;
}

/** Objects by their CID: stored here, fetched from others, given out as files. */
export interface Objects {
  /** @throws AntirioError invalidInput | notFound | tooLarge | storageFull */
  store(body: z.output<typeof objectBody>, signal?: AbortSignal): Promise<ObjectRecord>;
  /** Orders a fetch; asking again adds providers and begins a failed one anew. @throws AntirioError invalidInput | busy */
  fetch(cid: string, providers: readonly string[], pieceCid?: string): ObjectView;
  view(cid: string): ObjectView;
  find(cid: string): ObjectView | undefined;
  all(): ObjectView[];
  /** Writes an object to the images folder from verified blocks. @throws AntirioError notFound | corrupt | storageFull | conflict */
  export(cid: string, body: z.output<typeof exportBody>, signal?: AbortSignal): Promise<unknown>;
  verify(cid: string, signal?: AbortSignal): Promise<Verified>;
  /** Verifies, and names some of the blocks by chance: who claims to hold the object can be asked for them. */
  sample(cid: string, which: SampleWish, signal?: AbortSignal): Promise<Sampled>;
  drop(cid: string): void;
  /** Whether its blocks are to stay. */
  keeps(cid: string): boolean;
  readonly work: Work;
}

export interface Verified {
  readonly cid: string;
  readonly blocks: number;
  readonly bytes: number;
}

type FileBody = Exclude<z.output<typeof objectBody>, { json: unknown }>;

/** How many blocks by chance, and as many from a place on, where one is named. */
export interface SampleWish {
  readonly count: number;
  readonly from?: number | undefined;
}

export interface Sampled extends Verified {
  /** By chance. */
  readonly blockCids: string[];
  /** Those from a place on, in the order in which the DAG is walked. */
  readonly inTurn?: string[];
}

const pinOf = (cid: CID): string => objectPin(cid.toString());

export function createObjects(options: FilecoinInterfaceOptions, ports: ObjectPorts): Objects {
  return new StoredObjects(options, ports);
}

class StoredObjects implements Objects {
  readonly #options: FilecoinInterfaceOptions;
  readonly #ports: ObjectPorts;
  readonly #progress = new Map<string, FetchProgress>();
  /** Objects that are being stored, whose pins come before their records. */
  #storing = 0;
  readonly work: Work;

  constructor(options: FilecoinInterfaceOptions, ports: ObjectPorts) {
    this.#options = options;
    this.#ports = ports;
    this.work = createWork({
      name: 'fetch objects',
      unfinished: () => this.#fetching(),
      run: (cid, signal) => this.#fetchOne(cid, signal),
      failed: (cid, error) => this.#giveUp(cid, error),
      attempts: options.attempts,
      atOnce: options.fetchesAtOnce,
      firstDelayMs: options.firstRetryMs,
      maxDelayMs: options.maxRetryMs,
      clock: ports.clock,
      random: ports.random,
      log: ports.log,
    });
  }

  async store(body: z.output<typeof objectBody>, signal?: AbortSignal): Promise<ObjectRecord> {
    this.#storing++;
    try {
      return await this.#store(body, signal);
    } finally {
      this.#storing--;
    }
  }

  async #store(body: z.output<typeof objectBody>, signal: AbortSignal | undefined): Promise<ObjectRecord> {
    const { progress, storage } = this.#ports;
    if ('json' in body) return this.#keep(await storage.putJson(pinOf, body.json));
    if ('fileName' in body) requireFile(this.#options.dataDir, body.fileName);
    const subject = 'fileName' in body ? { fileName: body.fileName } : {};
    return progress.track('import', subject, async (tell) => {
      const record = this.#keep(await this.#put(body, tell, signal));
      tell.about({ cid: record.cid });
      return record;
    });
  }

  #keep({ cid, size }: StoredObject): ObjectRecord {
    const { records, pushes, random, clock } = this.#ports;
    const order = { orderId: uuidV4(random), createdAt: clock.now() };
    const record: ObjectRecord = { cid: cid.toString(), state: 'STORED', size, providers: [], ...order };
    records.transaction(() => {
      records.objects.put(record.cid, record);
      pushes.order(objectPin(record.cid), record.cid);
    });
    this.work.cancel(record.cid);
    return record;
  }

  #put(body: FileBody, tell: Teller, signal: AbortSignal | undefined): Promise<StoredObject> {
    const { storage, orchestrator } = this.#ports;
    const { dataDir } = this.#options;
    const bytes = archiveOf(body, { dataDir, orchestrator }, tell, signal);
    return 'fileName' in body && body.kind === 'file'
      ? storage.putFile(pinOf, bytes, signal)
      : storage.putImage(pinOf, bytes, signal);
  }

  fetch(text: string, providers: readonly string[], pieceCid?: string): ObjectView {
    const { records } = this.#ports;
    const cid = parseCid(text).toString();
    const known = records.objects.get(cid);
    if (known?.state !== 'STORED') {
      records.objects.put(cid, this.#ordered(cid, known, providers, pieceCid));
      this.work.hurry(cid);
    }
    return this.view(cid);
  }

  #ordered(
    cid: string,
    known: ObjectRecord | undefined,
    providers: readonly string[],
    pieceCid = known?.pieceCid,
  ): ObjectRecord {
    const { clock, random } = this.#ports;
    const all = [...new Set([...(known?.providers ?? []), ...providers])].slice(-32);
    const piece = pieceCid === undefined ? {} : { pieceCid };
    const orderId = known?.state === 'FETCHING' ? known.orderId : uuidV4(random);
    const createdAt = known?.createdAt ?? clock.now();
    return { cid, state: 'FETCHING', providers: all, ...piece, orderId, createdAt };
  }

  view(text: string): ObjectView {
    const cid = parseCid(text).toString();
    const found = this.find(cid);
    if (found === undefined) throw new AntirioError('notFound', `no object ${cid}`, { cid });
    return found;
  }

  find(cid: string): ObjectView | undefined {
    const record = this.#ports.records.objects.get(cid) ?? this.#asImage(cid);
    return record === undefined ? undefined : this.#withProgress(record);
  }

  all(): ObjectView[] {
    return this.#ports.records.objects.all().map((record) => this.#withProgress(record));
  }

  async export(text: string, body: z.output<typeof exportBody>, signal?: AbortSignal): Promise<unknown> {
    const cid = parseCid(text);
    const file = imageFile(this.#options.dataDir, body.fileName);
    const why = this.#ports.images.needs(body.fileName);
    if (why !== undefined) throw new AntirioError('conflict', why);
    const { repoTags: tags, fileName } = body;
    const written = await this.#track('export', { cid: cid.toString(), fileName }, (onSeen) =>
      this.#ports.storage.export(cid, file, { repoTags: tags, onSeen, signal }),
    );
    const { size, sha256 } = written;
    const exported = { cid: cid.toString(), fileName: body.fileName, size, sha256 };
    if (!('imageId' in written)) return exported;
    const { imageId, repoTags, config } = written;
    return { ...exported, imageId, repoTags, architecture: config.architecture, os: config.os };
  }

  async verify(text: string, signal?: AbortSignal): Promise<Verified> {
    const { blockCids: _, ...verified } = await this.sample(text, { count: 0 }, signal);
    return verified;
  }

  async sample(text: string, { count, from }: SampleWish, signal?: AbortSignal): Promise<Sampled> {
    const cid = parseCid(text);
    const chosen = createSample<CID>(count, this.#ports.random);
    const turn: string[] = [];
    let place = 0;
    const watch = (block: CID): void => {
      chosen.offer(block);
      if (from !== undefined && place >= from && turn.length < count) turn.push(block.toString());
      place++;
    };
    const { blocks, bytes } = await this.#track('verify', { cid: cid.toString() }, (onSeen) =>
      this.#ports.storage.verify(cid, { onBlock: watch, onSeen, signal }),
    );
    const sampled = { cid: cid.toString(), blocks, bytes, blockCids: chosen.taken.map(String) };
    return from === undefined ? sampled : { ...sampled, inTurn: turn };
  }

  drop(text: string): void {
    const cid = parseCid(text).toString();
    const { records, pushes } = this.#ports;
    records.transaction(() => {
      if (!records.objects.remove(cid)) throw new AntirioError('notFound', `no object ${cid}`, { cid });
      pushes.drop(objectPin(cid));
    });
    this.work.cancel(cid);
    this.#ports.storage.drop(objectPin(cid));
    this.#progress.delete(cid);
    this.#ports.progress.changed();
  }

  keeps(cid: string): boolean {
    return this.#storing > 0 || this.#ports.records.objects.get(cid) !== undefined;
  }

  #asImage(cid: string): ObjectRecord | undefined {
    const image = this.#ports.records.images
      .all()
      .find((each) => each.imageHash === cid && each.status !== 'EXPIRED');
    if (image === undefined) return undefined;
    const { size, error, createdAt, status } = image;
    const state = isStored(status) ? 'STORED' : 'FAILED';
    return { cid, state, size, providers: [], ...(error && { error }), createdAt };
  }

  #withProgress(record: ObjectRecord): ObjectView {
    const progress = this.#progress.get(record.cid);
    return progress === undefined ? record : { ...record, progress };
  }

  #fetching(): string[] {
    const fetching = this.#ports.records.objects.all().filter((object) => object.state === 'FETCHING');
    return fetching.map((object) => object.cid);
  }

  async #fetchOne(cid: string, signal: AbortSignal): Promise<void> {
    const record = this.#ports.records.objects.get(cid);
    if (record?.state !== 'FETCHING') return;
    try {
      await this.#ports.progress.track('fetch', { cid }, (tell) => this.#fetchFrom(record, tell, signal));
    } finally {
      this.#letGoOf(cid);
    }
  }

  /** Of what nobody wants any more, unless it is just being stored. */
  #letGoOf(cid: string): void {
    if (!this.keeps(cid)) this.#ports.storage.drop(objectPin(cid));
  }

  /** Whether an object is wanted by the same order: it may have been dropped meanwhile, and been ordered anew. */
  #isStill({ cid, orderId }: ObjectRecord): boolean {
    const now = this.#ports.records.objects.get(cid);
    return now?.state === 'FETCHING' && now.orderId === orderId;
  }

  async #fetchFrom(record: ObjectRecord, tell: Teller, signal: AbortSignal): Promise<void> {
    const { records, storage, log } = this.#ports;
    const { cid } = record;
    const { providers, close } = openProviders(record.providers, {
      ...this.#ports,
      edgeId: this.#options.edgeId,
    });
    try {
      const onProgress = (progress: FetchProgress, totalBytes: number | undefined): void => {
        this.#progress.set(cid, progress);
        tell.seen({ bytes: progress.bytes, blocks: progress.blocks, totalBytes });
      };
      const watch = { onProgress, signal };
      const beyond = this.#beyond(record);
      const fetched = await storage.fetch(objectPin(cid), parseCid(cid), providers, watch, beyond);
      log.info({ cid, ...fetched }, 'object fetched');
      // It may have been given more providers.
      const now = records.objects.get(cid);
      if (now !== undefined && this.#isStill(record))
        records.objects.put(cid, { ...now, state: 'STORED', size: fetched.bytes, error: undefined });
    } finally {
      close();
    }
  }

  #giveUp(cid: string, error: unknown): void {
    const { records, storage } = this.#ports;
    const record = records.objects.get(cid);
    if (record === undefined) return;
    const message = describeError(error);
    const code = error instanceof AntirioError ? error.statusCode : 500;
    // Where the object itself is at fault, nobody will want what has come of it.
    if (!isPassing(error)) storage.drop(objectPin(cid));
    records.transaction(() => {
      records.objects.put(cid, { ...record, state: 'FAILED', error: message });
      records.addError({ errorObject: { cid, providers: record.providers }, code, message });
    });
    this.#ports.progress.changed();
  }

  /** Runs what reads an object, and tells how far it is. */
  #track<T>(
    kind: 'export' | 'verify',
    subject: WorkSubject & { readonly cid: string },
    read: (onSeen: OnSeen) => Promise<T>,
  ): Promise<T> {
    return this.#blaming(subject.cid, () =>
      this.#ports.progress.track(kind, subject, (tell) => read((seen) => tell.seen(seen))),
    );
  }

  /**
   * Runs what reads an object; one that turns out to be damaged or incomplete is STORED no more. Whoever reads a damaged block first finds
   * it changed, and the next, missing: for what was STORED here both are `corrupt`.
   */
  async #blaming<T>(cid: string, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      const isMissing = isAntirioError(error, 'notFound');
      if (!isMissing && !isAntirioError(error, 'corrupt')) throw error;
      const wasWhole = this.find(cid)?.state === 'STORED';
      const message = describeError(error);
      this.#damaged(cid, message);
      if (!isMissing || !wasWhole) throw error;
      throw new AntirioError('corrupt', `what was stored is not whole any more: ${message}`, { cid }, error);
    }
  }

  #damaged(cid: string, error: string): void {
    const { records, images } = this.#ports;
    const record = records.objects.get(cid);
    if (record?.state === 'STORED') records.objects.put(cid, { ...record, state: 'FAILED', error });
    images.damaged(cid, error);
  }

  /** Where a provider of a storage network, or what it is known by there, was named. */
  #beyond({ providers, pieceCid }: ObjectRecord): Beyond | undefined {
    const named = providers.filter(isOfNetwork);
    if (named.length === 0 && pieceCid === undefined) return undefined;
    return { network: this.#ports.network, providers: named.map(nameWithin), pieceCid };
  }
}
