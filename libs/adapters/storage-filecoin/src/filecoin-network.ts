import { join } from 'node:path';
import type { CID } from '@antirio/content-store';
import { repeat, systemClock, type Check, type Log, type Repeating } from '@antirio/host';
import { AntirioError, describeError, isAntirioError, type Clock, type Random } from '@antirio/kernel';
import type {
  Dag,
  GetOptions,
  Holding,
  PutWatch,
  StorageNetwork,
  StoragePrice,
  StorageRef,
  UncheckedBlock,
} from '@antirio/storage-network';
import { auditPiece, type PieceAudit } from './audit.ts';
import { carBytes, carPiece } from './car-piece.ts';
import type { FilecoinChain } from './chain.ts';
import { Copies, type OpenPiece } from './copies.ts';
import { broken, isOfProvider, nowhere, requireFit, tooFew } from './failures.ts';
import { heldPrefix } from './held-prefix.ts';
import { parseFilecoinSettings, type FilecoinSettings } from './options.ts';
import { MAX_PIECE_BYTES, parsePieceCid, type Piece } from './piece-cid.ts';
import { servicePrice } from './price.ts';
import { defaultProviderTimes, type ProviderTimes } from './provider.ts';
import { idsIn, Providers } from './providers.ts';
import { pieceBlocks } from './retrieve.ts';
import { FilecoinState, type Copy, type StoredPiece } from './state.ts';
import { holdingOf, reportCopy, type CopyReport } from './status.ts';
import { openSynapseChain } from './synapse-chain.ts';
import { loadSynapse } from './synapse.ts';

export interface FilecoinNetworkOptions {
  readonly settings: unknown;
  /** Where it keeps what it knows. */
  readonly folder: string;
  readonly random: Random;
  readonly log: Log;
  readonly clock?: Clock;
  readonly times?: Partial<ProviderTimes>;
  /** Between tries to take out what no name keeps (default 60 s). */
  readonly removeEveryMs?: number;
  /** In place of the one that the settings name. */
  readonly chain?: FilecoinChain;
}

export interface FilecoinNetwork extends StorageNetwork {
  readonly kind: 'filecoin';
  /** Reads the whole piece at every provider and makes its CID anew: finds damage anywhere in it, not in blocks alone. */
  audit(ref: Pick<StorageRef, 'cid' | 'providers' | 'pieceCid'>, signal?: AbortSignal): Promise<PieceAudit[]>;
}

const REMOVE_EVERY_MS = 60_000;
/** Tries of other providers, for each copy that is asked for. */
const CANDIDATES_PER_COPY = 4;

/**
 * Storage with providers of Filecoin Onchain Cloud (PDP, "warm storage"): one CAR for a DAG, uploaded to each provider and added to a
 * data set there, which the provider proves to the chain once in a proving period.
 * @throws AntirioError badConfig when the settings are wrong, the optional packages are not installed, or the key cannot be read
 */
export async function openFilecoinNetwork(options: FilecoinNetworkOptions): Promise<FilecoinNetwork> {
  const settings = parseFilecoinSettings(options.settings);
  const synapse = await loadSynapse();
  const chain = options.chain ?? (await openSynapseChain(synapse, settings));
  const times = { ...defaultProviderTimes, ...options.times };
  const clock = options.clock ?? systemClock;
  const now = (): number => clock.now();
  return new Network(options, {
    settings,
    chain,
    times,
    now,
    state: new FilecoinState(join(options.folder, 'filecoin.sqlite')),
    providers: new Providers(synapse, chain, times, now),
  });
}

interface Parts {
  readonly settings: FilecoinSettings;
  readonly chain: FilecoinChain;
  readonly times: ProviderTimes;
  readonly now: () => number;
  readonly state: FilecoinState;
  readonly providers: Providers;
}

class Network implements FilecoinNetwork {
  readonly kind = 'filecoin';
  readonly #parts: Parts;
  readonly #log: Log;
  readonly #copies: Copies;
  readonly #price: StoragePrice;
  readonly #removals: Repeating;
  /** The last work at a provider: one thing at a time there, or two could make two data sets. */
  readonly #turns = new Map<bigint, Promise<unknown>>();
  readonly #closing = new AbortController();

  constructor({ log, random, removeEveryMs = REMOVE_EVERY_MS }: FilecoinNetworkOptions, parts: Parts) {
    const { chain, state, times, settings } = parts;
    this.#parts = parts;
    this.#log = log;
    this.#copies = new Copies({ chain, state, random, times, source: settings.source });
    this.#price = servicePrice(chain, settings.copies, parts.now);
    this.#removals = repeat('removals on Filecoin', removeEveryMs, log, () => this.#remove());
  }

  async put(name: string, dag: Dag, watch: PutWatch = {}): Promise<StorageRef> {
    const stored = await this.#stored(dag, watch);
    const open = (): AsyncIterable<Uint8Array> => carBytes(dag);
    this.#parts.state.wish(name, stored.root);
    const made = await this.#makeCopies(stored, open, watch);
    this.#parts.state.name(name, stored.root);
    this.#removals.poke();
    watch.onProgress?.(dag.bytes);
    return refOf(dag.root, stored, made);
  }

  async #stored(dag: Dag, { signal }: PutWatch): Promise<StoredPiece> {
    const root = dag.root.toString();
    const known = this.#parts.state.piece(root);
    if (known !== undefined) return known;
    const piece = await carPiece(dag, { signal: this.#until(signal) }).catch((error: unknown) => {
      throw signal?.aborted === true ? broken('put', error) : error;
    });
    const stored = { root, piece, bytes: dag.bytes };
    this.#parts.state.keepPiece(stored);
    return stored;
  }

  #until(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal]);
  }

  /** As many copies as are asked for, at the providers that have one already and then at those that are chosen. */
  async #makeCopies(
    stored: StoredPiece,
    open: OpenPiece,
    { signal, onProgress }: PutWatch,
    candidates?: readonly bigint[],
  ): Promise<Copy[]> {
    const { settings, providers } = this.#parts;
    const made: Copy[] = [];
    const failures: AntirioError[] = [];
    const watch = {
      signal: this.#until(signal),
      // A CAR is somewhat larger than its blocks.
      onProgress: onProgress && ((bytes: number) => onProgress(Math.min(bytes, stored.bytes))),
    };
    for (const id of candidates ?? (await this.#candidates(stored.root))) {
      if (made.length >= settings.copies) break;
      try {
        const provider = await providers.get(id);
        requireFit(stored.piece, provider);
        made.push(await this.#inTurn(id, () => this.#copies.make(stored, provider, open, watch)));
      } catch (error) {
        failures.push(this.#passable(error, id, signal));
      }
    }
    if (made.length < settings.copies) throw tooFew(made.length, settings.copies, failures);
    return made;
  }

  /** What went wrong at one provider; another one may do better. @throws whatever is not of that kind */
  #passable(error: unknown, provider: bigint, signal: AbortSignal | undefined): AntirioError {
    if (signal?.aborted === true) throw broken('put', error);
    if (!isAntirioError(error) || !isOfProvider(error)) throw error;
    this.#log.warn({ provider: String(provider), error: describeError(error) }, 'no copy on Filecoin');
    return error;
  }

  async #candidates(root: string): Promise<bigint[]> {
    const { settings, state, chain } = this.#parts;
    const held = state.copies(root).map(({ providerId }) => providerId);
    const chosen = idsIn(settings.providers);
    const others = chosen.length > 0 ? chosen : await chain.approvedProviders();
    return [...new Set([...held, ...others])].slice(0, settings.copies * CANDIDATES_PER_COPY);
  }

  #inTurn<T>(provider: bigint, work: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(provider) ?? Promise.resolve()).then(work);
    this.#turns.set(
      provider,
      turn.catch(() => undefined),
    );
    return turn;
  }

  async *get(
    ref: Pick<StorageRef, 'cid' | 'providers' | 'pieceCid'>,
    { have, read, signal, idleMs }: GetOptions = {},
  ): AsyncGenerator<UncheckedBlock> {
    const piece = this.#pieceIn(ref);
    const { providers, failures } = await this.#parts.providers.all(this.#idsOf(ref));
    if (providers.length === 0) throw failures[0] ?? nowhere(ref.cid);
    const sources = providers.map(({ id, url }) => ({ name: `provider ${id}`, url }));
    const from = await heldPrefix(ref.cid, { have, read });
    for await (const block of pieceBlocks(piece, ref.cid, sources, { signal, idleMs, from }))
      if (have?.(block.cid) !== true) yield block;
  }

  /** @throws AntirioError notFound | invalidInput */
  #pieceIn({ cid, pieceCid }: Pick<StorageRef, 'cid' | 'pieceCid'>): Piece {
    const known = this.#parts.state.piece(cid);
    if (known !== undefined) return known.piece;
    if (pieceCid === undefined) throw nowhere(cid);
    const piece = parsePieceCid(pieceCid);
    if (piece.bytes > MAX_PIECE_BYTES)
      throw new AntirioError('tooLarge', `a piece of ${piece.bytes} bytes`, { limit: MAX_PIECE_BYTES });
    return piece;
  }

  #idsOf({ cid, providers }: Pick<StorageRef, 'cid' | 'providers'>): Set<bigint> {
    const held = this.#parts.state.copies(cid.toString()).map(({ providerId }) => providerId);
    return new Set([...held, ...idsIn(providers)]);
  }

  async has(cid: CID): Promise<boolean> {
    const { state, providers } = this.#parts;
    const stored = state.piece(cid);
    if (stored === undefined) return false;
    const held = state.copies(stored.root).filter(({ isLeaving }) => !isLeaving);
    const found = await providers.all(held.map(({ providerId }) => providerId));
    for (const provider of found.providers) if (await provider.find(stored.piece.cid)) return true;
    const [failure] = found.failures;
    if (failure !== undefined) throw failure;
    return false;
  }

  async pin(name: string, ref: StorageRef): Promise<void> {
    const { state } = this.#parts;
    const root = ref.cid.toString();
    const stored = { root, piece: this.#pieceIn(ref), bytes: ref.bytes };
    state.keepPiece(stored);
    state.wish(name, root);
    const made = await this.#makeCopies(stored, undefined, {}, [...this.#idsOf(ref)]);
    for (const { providerId } of made) await this.#requirePiece(providerId, stored.piece);
    state.name(name, root);
    this.#removals.poke();
  }

  /** That the chain has it in a data set says only that the provider promised to have it. @throws AntirioError notFound | unavailable */
  async #requirePiece(id: bigint, { cid }: Piece): Promise<void> {
    const provider = await this.#parts.providers.get(id);
    if (!(await provider.find(cid)))
      throw new AntirioError('notFound', `provider ${id} does not have the piece ${cid}`);
  }

  /** Where a provider cannot be told, nothing is changed. */
  async unpin(name: string): Promise<boolean> {
    const { state } = this.#parts;
    const root = state.rootOf(name);
    if (root !== undefined && state.namesOf(root) === 1)
      for (const copy of state.copies(root)) await this.#takeOut(copy);
    return state.unname(name);
  }

  /** What was taken out of its data sets is gone once the chain shows it. */
  async keepOnly(isWanted: (name: string) => boolean): Promise<number> {
    const { state } = this.#parts;
    for (const name of state.names()) if (!isWanted(name)) await this.unpin(name);
    await this.#remove();
    return state.leaving().length;
  }

  /** Whether the chain shows that it is out. */
  async #takeOut({ root, providerId }: Copy): Promise<boolean> {
    const { state, providers } = this.#parts;
    const provider = await providers.get(providerId);
    return this.#inTurn(providerId, async () => {
      const copy = state.copy(root, providerId);
      const stored = state.piece(root);
      if (copy === undefined || stored === undefined) return true;
      return this.#copies.remove(stored, copy, provider);
    });
  }

  /** Takes out what no name keeps; what cannot be taken out now stays on the list. */
  async #remove(): Promise<void> {
    const failures: unknown[] = [];
    for (const copy of this.#parts.state.leaving()) {
      if (this.#closing.signal.aborted) return;
      try {
        if (await this.#takeOut(copy)) this.#parts.state.dropCopy(copy.root, copy.providerId);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  async status(ref: StorageRef): Promise<Holding> {
    const { state, settings } = this.#parts;
    const root = ref.cid.toString();
    if (state.copies(root).length > 0 && !state.isNamed(root))
      return { state: 'absent', providers: [], detail: 'no name keeps it' };
    const pieceCid = ref.pieceCid ?? state.piece(root)?.piece.cid;
    if (pieceCid === undefined) return { state: 'absent', providers: [], detail: 'no piece is known of it' };
    const { reports, failures } = await this.#report(ref, pieceCid);
    const holding = holdingOf(reports, settings.copies);
    const isUnknown = failures.length > 0 || reports.some((report) => report.state === 'unknown');
    if (holding.state === 'absent' && isUnknown)
      throw new AntirioError(
        'unavailable',
        `nobody can tell: ${holding.detail ?? describeError(failures[0])}`,
      );
    return holding;
  }

  async #report(
    ref: StorageRef,
    pieceCid: string,
  ): Promise<{ reports: CopyReport[]; failures: AntirioError[] }> {
    const { chain, state } = this.#parts;
    const { providers, failures } = await this.#parts.providers.all(this.#idsOf(ref));
    const sets = idsIn(ref.dataSetId?.split(',') ?? []);
    const inRef = idsIn(ref.providers);
    const reports = await Promise.all(
      providers.map((provider) => {
        const copy = state.copy(ref.cid.toString(), provider.id);
        const dataSetId = copy?.dataSetId ?? sets[inRef.indexOf(provider.id)];
        return reportCopy(chain, state, { provider, pieceCid, dataSetId, isUnderWay: copy !== undefined });
      }),
    );
    return { reports, failures };
  }

  price(): StoragePrice {
    return this.#price;
  }

  async health(): Promise<Check> {
    const { chain, settings } = this.#parts;
    try {
      const { available, isApproved, rateLeft, lockupLeft } = await chain.funds();
      if (!isApproved || rateLeft <= 0n || lockupLeft <= 0n)
        return { ok: false, detail: 'the payer has not allowed the storage service to charge it any more' };
      if (available <= 0n) return { ok: false, detail: 'the payer has no funds left' };
      const { providers } = await this.#parts.providers.all(await this.#candidates(''));
      const pings = await Promise.allSettled(providers.map((provider) => provider.ping()));
      const serving = pings.filter(({ status }) => status === 'fulfilled').length;
      return { ok: serving >= settings.copies, detail: `${serving} of ${pings.length} providers serve` };
    } catch (error) {
      return { ok: false, detail: describeError(error) };
    }
  }

  async audit(
    ref: Pick<StorageRef, 'cid' | 'providers' | 'pieceCid'>,
    signal?: AbortSignal,
  ): Promise<PieceAudit[]> {
    const piece = this.#pieceIn(ref);
    const { providers } = await this.#parts.providers.all(this.#idsOf(ref));
    const audits: PieceAudit[] = [];
    for (const { id, url } of providers) audits.push(await auditPiece(piece, String(id), url, signal));
    return audits;
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new AntirioError('unavailable', 'the storage network is being closed'));
    await this.#removals.stop();
    await Promise.all(this.#turns.values());
    this.#parts.state.close();
  }
}

const refOf = (cid: CID, { bytes, piece }: StoredPiece, copies: readonly Copy[]): StorageRef => ({
  cid,
  bytes,
  providers: copies.map(({ providerId }) => String(providerId)),
  pieceCid: piece.cid,
  dataSetId: copies.map(({ dataSetId }) => dataSetId).join(','),
});
