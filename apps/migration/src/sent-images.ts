import { AntirioError, describeError, isAntirioError, type Clock, type Random } from '@antirio/kernel';
import type { HttpPeer, Log } from '@antirio/host';
import { createWork, type Letter, type Outbox, type Work } from '@antirio/durable-work';
import type { z } from 'zod';
import { longestUnchecked, unreadable, type Alarm, type IsDue } from './checks.ts';
import type { MigrationOptions } from './options.ts';
import { isStored } from './own-images.ts';
import type { ImageRecord, Records, SentRecord, Standing, VersionCids } from './records.ts';
import type { sendBody } from './shapes.ts';
import {
  failureOf,
  HELD,
  isLost,
  isOnItsWay,
  isSame,
  isUnasked,
  newsOf,
  noted,
  outcomeOf,
  versionBefore,
  type Outcome,
} from './sent-state.ts';
import { askStanding, isOut } from './standing.ts';
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
  /** @throws AntirioError notFound */
  get(contractId: string): SentRecord;
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
        if (asked !== undefined) return this.#noteAll(asked, undefined, failureOf(error));
        return undefined;
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
    if (known !== undefined && isSame(known, asked) && !isLost(known)) return known;
    const createdAt = known?.createdAt ?? clock.now();
    const sent: SentRecord = { ...asked, ...versionBefore(known, asked), state: 'SENDING', createdAt };
    records.transaction(() => {
      records.sent.put(contractId, sent);
      outbox.add(this.#letter(sent));
    });
    outbox.poke();
    return sent;
  }

  get(contractId: string): SentRecord {
    const sent = this.#ports.records.sent.get(contractId);
    if (sent !== undefined) return sent;
    throw new AntirioError('notFound', `nothing was sent for contract ${contractId}`, { contractId });
  }

  release(contractId: string): void {
    if (!this.#ports.records.sent.remove(contractId))
      throw new AntirioError('notFound', `nothing was sent for contract ${contractId}`, { contractId });
  }

  async recheck(isDue: IsDue): Promise<void> {
    const all = longestUnchecked(this.#ports.records.sent.all(), (sent) => sent.heldByProvider);
    for (const each of all) {
      const { contractId, heldByProvider } = each;
      const sent = this.#ports.records.sent.get(contractId);
      if (heldByProvider === undefined || sent === undefined) continue;
      if (isDue(`sent/${contractId}`, heldByProvider.checkedAt))
        await this.#ask(sent).catch(unreadable(this.#ports.log, { contractId }));
    }
    await this.#follow();
  }

  /** What becomes of a new version its customer learns soon, not only when its blocks are asked for again. */
  async #follow(): Promise<void> {
    const open = this.#ports.records.sent.all().filter(isOnItsWay);
    for (const sent of longestUnchecked(
      open,
      ({ atProvider }) => atProvider && { ok: true, ...atProvider },
    ).slice(0, FOLLOWED)) {
      const standing = await this.#standing(sent);
      if (standing !== undefined && (isOut(standing) || standing.state === 'RUNS')) await this.#ask(sent);
      else if (standing !== undefined) this.#put(sent, { atProvider: standing });
    }
  }

  delivered(letter: Letter): void {
    if (!this.#isOfNow(letter)) return;
    const unknown = { heldByProvider: undefined, atProvider: undefined };
    this.#change(letter.subject, { state: 'SENT', error: undefined, ...unknown });
    this.work.hurry(String((letter.json as { contractId?: unknown }).contractId));
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

  /** @throws AntirioError as long as the provider neither gives the blocks nor says that it never will. */
  async #attempt(contractId: string): Promise<void> {
    const sent = this.#ports.records.sent.get(contractId);
    if (sent === undefined) return;
    this.#asked.set(contractId, sent);
    const standing = await this.#standing(sent);
    if (standing !== undefined && isOut(standing)) await this.#noteAll(sent, standing, outcomeOf(standing));
    else {
      const place = await this.#askForBlocks(sent, sent);
      await this.#noteAll(sent, standing, HELD, place);
    }
    this.#asked.delete(contractId);
  }

  /** Asks again for a version that was asked for already, and notes what comes of it. */
  async #ask(sent: SentRecord): Promise<void> {
    const standing = await this.#standing(sent);
    if (standing !== undefined && isOut(standing)) {
      await this.#noteAll(sent, standing, outcomeOf(standing));
      return;
    }
    try {
      const place = await this.#askForBlocks(sent, sent);
      await this.#noteAll(sent, standing, HELD, place);
    } catch (error) {
      await this.#noteAll(sent, standing, failureOf(error));
    }
  }

  /** Undefined where the provider cannot be asked, or does not say: then the blocks speak. */
  async #standing(sent: SentRecord): Promise<Standing | undefined> {
    const { edge2edge, clock, log } = this.#ports;
    try {
      return { ...(await askStanding(edge2edge, sent)), checkedAt: clock.now() };
    } catch (error) {
      const { contractId } = sent;
      log.debug({ contractId, error: describeError(error) }, 'the provider does not say how the version is');
      return undefined;
    }
  }

  /** Has the provider show some blocks. @returns what is asked for next. @throws AntirioError when it does not. */
  async #askForBlocks(
    sent: SentRecord,
    { imageCid, configCid }: VersionCids,
    { askNext = 0, rounds = 0 }: Place = sent,
  ): Promise<Place> {
    const { edge2edge } = this.#ports;
    const { providerEdgeId } = sent;
    const sampled = await this.#sample(imageCid, askNext);
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
    const asked = askNext + sampled.inTurn.length;
    return asked < sampled.blocks ? { askNext: asked } : { askNext: 0, rounds: rounds + 1 };
  }

  /** Of what is here: that it is not whole says nothing of the provider. */
  async #sample(imageCid: string, from: number) {
    try {
      return await this.#ports.storage.sample(imageCid, this.#options.sampledBlocks, from);
    } catch (cause) {
      const message = `what ${imageCid} consists of cannot be read here: ${describeError(cause)}`;
      throw new AntirioError('unavailable', message, { imageCid }, cause);
    }
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

  /** The record as it is now, unless it is about another version meanwhile: of that, an answer for this one says nothing. */
  #now(asked: SentRecord): SentRecord | undefined {
    const now = this.#ports.records.sent.get(asked.contractId);
    return now !== undefined && isSame(now, asked) && now.state === asked.state ? now : undefined;
  }

  #put(asked: SentRecord, change: Partial<SentRecord>): void {
    const now = this.#now(asked);
    if (now !== undefined) this.#ports.records.sent.put(now.contractId, { ...now, ...change });
  }

  /** Notes what is known of this version, asks for the one before where that is the one that runs, and tells of what has changed. */
  async #noteAll(
    asked: SentRecord,
    standing: Standing | undefined,
    outcome: Outcome,
    place: Place = {},
  ): Promise<void> {
    if (outcome.is === 'held') await this.#commit(asked);
    const before = await this.#previous(asked, standing, outcome);
    const { records, clock, outbox, alarm } = this.#ports;
    records.transaction(() => {
      const sent = this.#now(asked);
      if (sent === undefined) return;
      const now = noted({ ...sent, ...place }, { standing, outcome, before, checkedAt: clock.now() });
      records.sent.put(now.contractId, now);
      const { what, held } = newsOf(sent, now);
      alarm(what, { ok: sent.alarmed !== true, checkedAt: held.checkedAt }, held);
    });
    outbox.poke();
  }

  /** How the provider holds the version before, as long as this one has not taken its place. */
  async #previous(
    asked: SentRecord,
    standing: Standing | undefined,
    outcome: Outcome,
  ): Promise<Outcome | undefined> {
    const { previous } = asked;
    const isReplaced = standing === undefined ? outcome.is === 'held' : standing.state === 'RUNS';
    if (previous === undefined || isReplaced || outcome.is === 'unknown') return undefined;
    try {
      await this.#askForBlocks(asked, previous, {});
      return HELD;
    } catch (error) {
      return failureOf(error);
    }
  }

  #change(subject: string, change: Partial<SentRecord>): void {
    const { records } = this.#ports;
    const sent = records.sent.all().find((each) => sentSubject(each.contractId) === subject);
    if (sent !== undefined) records.sent.put(sent.contractId, { ...sent, ...change });
  }
}

/** Contracts of which it is asked in one round how their new versions are. */
const FOLLOWED = 32;

type Place = Pick<SentRecord, 'askNext' | 'rounds'>;
