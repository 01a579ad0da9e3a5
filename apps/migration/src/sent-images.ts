import { AntirioError, describeError, isAntirioError, type Clock, type Random } from '@antirio/kernel';
import type { HttpPeer, Log } from '@antirio/host';
import { createWork, type Letter, type Outbox, type Work } from '@antirio/durable-work';
import type { z } from 'zod';
import type { MigrationOptions } from './options.ts';
import { isStored } from './own-images.ts';
import type { ImageRecord, Records, SentRecord } from './records.ts';
import type { sendBody } from './shapes.ts';
import { fetchBlock, type StorageClient } from './storage-client.ts';

export interface SentImagePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly records: Records;
  readonly storage: StorageClient;
  readonly outbox: Outbox;
  readonly edge2edge: HttpPeer;
}

/**
 * Algorithm 1 of the thesis, lines 7 and 8: the provider is sent S_f = [CID, who holds it] of image and configuration. Then
 * it is asked for blocks of them now and again: an image whose blocks the provider gives is COMMITTED.
 */
export interface SentImages {
  /** Asking twice is one sending. @throws AntirioError notFound | conflict | busy */
  send(contractId: string, body: z.output<typeof sendBody>): SentRecord;
  /** The contract is over: the provider is asked no more. @throws AntirioError notFound */
  release(contractId: string): void;
  /** Asks every provider again. */
  recheck(): Promise<void>;
  delivered(letter: Letter): void;
  refused(letter: Letter, error: string): void;
  readonly work: Work;
}

export const sentSubject = (contractId: string): string => `sent/${contractId}`;

export function createSentImages(options: MigrationOptions, ports: SentImagePorts): SentImages {
  return new ProviderImages(options, ports);
}

class ProviderImages implements SentImages {
  readonly #options: MigrationOptions;
  readonly #ports: SentImagePorts;
  readonly work: Work;

  constructor(options: MigrationOptions, ports: SentImagePorts) {
    const { clock, random, log, records } = ports;
    this.#options = options;
    this.#ports = ports;
    this.work = createWork({
      name: 'ask providers for what they hold',
      unfinished: () => records.sent.all().flatMap((sent) => (isUnasked(sent) ? [sent.contractId] : [])),
      run: (contractId) => this.#ask(contractId),
      failed: (contractId, error) => this.#note(contractId, describeError(error)),
      attempts: options.attempts,
      atOnce: options.atOnce,
      firstDelayMs: options.firstRetryMs,
      maxDelayMs: options.maxRetryMs,
      clock,
      random,
      log,
    });
  }

  send(contractId: string, body: z.output<typeof sendBody>): SentRecord {
    const { records, outbox, clock } = this.#ports;
    const image = this.#choose(body);
    const { imageName, imageCid = '', configCid = '' } = image;
    const asked = { contractId, providerEdgeId: body.providerEdgeId, imageName, imageCid, configCid };
    const known = records.sent.get(contractId);
    if (known !== undefined && !isSame(known, asked))
      throw new AntirioError('conflict', `contract ${contractId} is about something else`, { contractId });
    if (known !== undefined && known.state !== 'REFUSED') return known;
    const sent: SentRecord = { ...asked, state: 'SENDING', createdAt: known?.createdAt ?? clock.now() };
    records.transaction(() => {
      records.sent.put(contractId, sent);
      outbox.add(this.#letter(sent));
    });
    outbox.poke();
    return sent;
  }

  release(contractId: string): void {
    if (!this.#ports.records.sent.remove(contractId))
      throw new AntirioError('notFound', `nothing was sent for contract ${contractId}`, { contractId });
  }

  async recheck(): Promise<void> {
    for (const { contractId, heldByProvider } of this.#ports.records.sent.all()) {
      if (heldByProvider === undefined) continue;
      await this.#ask(contractId).catch((error: unknown) => this.#note(contractId, describeError(error)));
    }
  }

  delivered({ subject }: Letter): void {
    this.#change(subject, { state: 'SENT', error: undefined });
    this.work.poke();
  }

  refused({ subject }: Letter, error: string): void {
    this.#change(subject, { state: 'REFUSED', error });
  }

  /** The image that is meant, which must be stored. */
  #choose(body: z.output<typeof sendBody>): ImageRecord {
    const isMeant = (image: ImageRecord): boolean =>
      (['imageId', 'imageName', 'imageCid', 'configCid'] as const).every(
        (key) => body[key] === undefined || body[key] === image[key],
      );
    const meant = this.#ports.records.images.all().filter(isMeant);
    const stored = meant.filter(isStored);
    const [only] = stored;
    if (only === undefined && meant.length > 0)
      throw new AntirioError('conflict', `the image is not stored yet: ${meant[0]?.status ?? ''}`);
    if (only === undefined) throw new AntirioError('notFound', 'there is no such image');
    if (stored.some((image) => image.imageCid !== only.imageCid || image.configCid !== only.configCid))
      throw new AntirioError(
        'conflict',
        `${stored.length} images could be meant: name one by imageId or imageCid`,
      );
    return only;
  }

  #letter(sent: SentRecord): Letter {
    const { edgeId } = this.#options;
    const { contractId, providerEdgeId, imageName, imageCid, configCid } = sent;
    return {
      peer: 'edge2edge',
      path: `/edge2edge/peer/${providerEdgeId}/orchestrator/orchestrator/service_provider/contract`,
      subject: sentSubject(contractId),
      json: {
        edgeId,
        contractId,
        imageName,
        imageHash: imageCid,
        config: configCid,
        providers: [`/p2p/${edgeId}`],
      },
    };
  }

  /** Has the provider show some blocks. @throws AntirioError when it does not. */
  async #ask(contractId: string): Promise<void> {
    const { records, storage, edge2edge } = this.#ports;
    const sent = records.sent.get(contractId);
    if (sent === undefined) return;
    const { imageCid, configCid, providerEdgeId } = sent;
    const cids = new Set([
      configCid,
      imageCid,
      ...(await storage.sample(imageCid, this.#options.sampledBlocks)),
    ]);
    const prefix = `/edge2edge/peer/${providerEdgeId}/filecoin-interface`;
    for (const cid of cids) {
      try {
        await fetchBlock(edge2edge, prefix, cid);
      } catch (cause) {
        const code = isAntirioError(cause) ? cause.code : 'unavailable';
        throw new AntirioError(code, `provider ${providerEdgeId} does not give block ${cid}`, { cid }, cause);
      }
    }
    await this.#commit(sent);
    this.#note(contractId, undefined);
  }

  async #commit({ imageCid, configCid }: SentRecord): Promise<void> {
    const { records, storage } = this.#ports;
    for (const image of records.images.all()) {
      if (image.imageCid !== imageCid || image.configCid !== configCid || image.status !== 'STORED') continue;
      await storage.committed(image.imageId, imageCid);
      const now = records.images.get(image.imageId);
      if (now?.status === 'STORED') records.images.put(image.imageId, { ...now, status: 'COMMITTED' });
    }
  }

  #note(contractId: string, error: string | undefined): void {
    const checkedAt = this.#ports.clock.now();
    const heldByProvider = error === undefined ? { ok: true, checkedAt } : { ok: false, checkedAt, error };
    this.#change(sentSubject(contractId), { heldByProvider });
  }

  #change(subject: string, change: Partial<SentRecord>): void {
    const { records } = this.#ports;
    const sent = records.sent.all().find((each) => sentSubject(each.contractId) === subject);
    if (sent !== undefined) records.sent.put(sent.contractId, { ...sent, ...change });
  }
}

const isUnasked = (sent: SentRecord): boolean => sent.state === 'SENT' && sent.heldByProvider === undefined;

function isSame(known: SentRecord, asked: Omit<SentRecord, 'state' | 'createdAt'>): boolean {
  return (['providerEdgeId', 'imageCid', 'configCid'] as const).every((key) => known[key] === asked[key]);
}
