import { AntirioError, describeError, isAntirioError, type Clock, type Random } from '@antirio/kernel';
import type { HttpPeer, Log } from '@antirio/host';
import { createWork, type Letter, type Outbox, type Work } from '@antirio/durable-work';
import type { z } from 'zod';
import { longestUnchecked, type Alarm, type IsDue } from './checks.ts';
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
  readonly alarm: Alarm;
}

/**
 * Algorithm 1 of the thesis, lines 7 and 8: the provider is sent S_f = [CID, who holds it] of image and configuration. Then
 * it is asked for blocks of them now and again: an image whose blocks the provider gives is COMMITTED.
 */
export interface SentImages {
  /** Asking twice is one sending; a newer image of the same name is the contract's next version. @throws AntirioError notFound | conflict | busy */
  send(contractId: string, body: z.output<typeof sendBody>): SentRecord;
  /** The contract is over: the provider is asked no more. @throws AntirioError notFound */
  release(contractId: string): void;
  /** Asks the providers again that are due. */
  recheck(isDue: IsDue): Promise<void>;
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
  /** Which version the work asks for, or asked for last. */
  readonly #asked = new Map<string, SentRecord>();
  readonly work: Work;

  constructor(options: MigrationOptions, ports: SentImagePorts) {
    const { clock, random, log, records } = ports;
    this.#options = options;
    this.#ports = ports;
    this.work = createWork({
      name: 'ask providers for what they hold',
      unfinished: () => records.sent.all().flatMap((sent) => (isUnasked(sent) ? [sent.contractId] : [])),
      run: (contractId) => this.#attempt(contractId),
      failed: (contractId, error) => {
        const asked = this.#asked.get(contractId);
        this.#asked.delete(contractId);
        if (asked !== undefined) this.#noteFailure(asked, error);
      },
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
    const { imageName, imageCid = '', configCid = '' } = this.#choose(body);
    const asked = { contractId, providerEdgeId: body.providerEdgeId, imageName, imageCid, configCid };
    const known = records.sent.get(contractId);
    if (known !== undefined && isSame(known, asked) && known.state !== 'REFUSED') return known;
    const createdAt = known?.createdAt ?? clock.now();
    const sent: SentRecord = { ...asked, ...versionBefore(known, asked), state: 'SENDING', createdAt };
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

  async recheck(isDue: IsDue): Promise<void> {
    const all = longestUnchecked(this.#ports.records.sent.all(), (sent) => sent.heldByProvider);
    for (const each of all) {
      const { contractId, heldByProvider } = each;
      if (heldByProvider === undefined || !isDue(`sent/${contractId}`, heldByProvider.checkedAt)) continue;
      const sent = this.#ports.records.sent.get(contractId);
      if (sent !== undefined) await this.#ask(sent).catch((error: unknown) => this.#noteFailure(sent, error));
    }
  }

  delivered(letter: Letter): void {
    if (!this.#isOfNow(letter)) return;
    this.#change(letter.subject, { state: 'SENT', error: undefined });
    this.work.poke();
  }

  refused(letter: Letter, error: string): void {
    if (this.#isOfNow(letter)) this.#change(letter.subject, { state: 'REFUSED', error });
  }

  /** Whether it is about the version that was sent last. */
  #isOfNow({ subject, json }: Letter): boolean {
    const sent = this.#ports.records.sent.all().find((each) => sentSubject(each.contractId) === subject);
    const { imageHash, config } = json as { imageHash?: unknown; config?: unknown };
    return sent !== undefined && sent.imageCid === imageHash && sent.configCid === config;
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

  async #attempt(contractId: string): Promise<void> {
    const sent = this.#ports.records.sent.get(contractId);
    if (sent === undefined) return;
    this.#asked.set(contractId, sent);
    await this.#ask(sent);
    this.#asked.delete(contractId);
  }

  /** Has the provider show some blocks. @throws AntirioError when it does not. */
  async #ask(sent: SentRecord): Promise<void> {
    const { storage, edge2edge } = this.#ports;
    const { imageCid, configCid, providerEdgeId, askNext = 0, rounds = 0 } = sent;
    const { sampledBlocks } = this.#options;
    const sampled = await storage.sample(imageCid, sampledBlocks, askNext);
    // By chance, so that nobody knows what will be asked, and in turn, so that everything is
    const cids = new Set([configCid, imageCid, ...sampled.inTurn, ...sampled.blockCids]);
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
    const asked = askNext + sampled.inTurn.length;
    const turn = asked < sampled.blocks ? { askNext: asked } : { askNext: 0, rounds: rounds + 1 };
    if (this.#now(sent) !== undefined) this.#change(sentSubject(sent.contractId), turn);
    this.#note(sent, undefined);
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

  #noteFailure(asked: SentRecord, error: unknown): void {
    const lost = isAntirioError(error, 'notFound') || isAntirioError(error, 'corrupt');
    this.#note(asked, describeError(error), lost);
  }

  /** The record as it is now, unless it is about another version meanwhile: of that, an answer for this one says nothing. */
  #now(asked: SentRecord): SentRecord | undefined {
    const now = this.#ports.records.sent.get(asked.contractId);
    return now !== undefined && isSame(now, asked) ? now : undefined;
  }

  /** @param tell not where the provider only could not be reached */
  #note(asked: SentRecord, error: string | undefined, tell = true): void {
    const { contractId } = asked;
    const checkedAt = this.#ports.clock.now();
    const { records, alarm } = this.#ports;
    const sent = this.#now(asked);
    if (sent === undefined) return;
    const heldByProvider = error === undefined ? { ok: true, checkedAt } : { ok: false, checkedAt, error };
    records.transaction(() => {
      this.#change(sentSubject(contractId), { heldByProvider });
      if (!tell) return;
      alarm(
        { at: 'provider', contractId, imageCid: sent.imageCid, providerEdgeId: sent.providerEdgeId },
        sent.heldByProvider,
        heldByProvider,
      );
    });
  }

  #change(subject: string, change: Partial<SentRecord>): void {
    const { records } = this.#ports;
    const sent = records.sent.all().find((each) => sentSubject(each.contractId) === subject);
    if (sent !== undefined) records.sent.put(sent.contractId, { ...sent, ...change });
  }
}

const isUnasked = (sent: SentRecord): boolean => sent.state === 'SENT' && sent.heldByProvider === undefined;

/** @throws AntirioError conflict where it is no other version of the same image for the same provider. */
function versionBefore(
  known: SentRecord | undefined,
  asked: Omit<SentRecord, 'state' | 'createdAt'>,
): Pick<SentRecord, 'previous'> {
  if (known === undefined) return {};
  const { contractId, providerEdgeId, imageName, imageCid, configCid, previous } = known;
  if (providerEdgeId !== asked.providerEdgeId || imageName !== asked.imageName)
    throw new AntirioError('conflict', `contract ${contractId} is about something else`, { contractId });
  if (!isSame(known, asked)) return { previous: { imageCid, configCid } };
  return previous === undefined ? {} : { previous };
}

function isSame(known: SentRecord, asked: Omit<SentRecord, 'state' | 'createdAt'>): boolean {
  return (['providerEdgeId', 'imageCid', 'configCid'] as const).every((key) => known[key] === asked[key]);
}
