import { openAppendLog, type AppendLog, type Check, type Log } from '@antirio/host';
import { AntirioError, canonicalJson, describeError, sha256Hex, type Clock } from '@antirio/kernel';
import {
  EMPTY_STATE_HASH,
  MemoryState,
  cursorBehind,
  genesisWrites,
  keys,
  nextStateHash,
  runBlock,
  signedTx,
  type BlockRun,
  type Genesis,
  type LedgerEvent,
  type LedgerPort,
  type Receipt,
  type SignedTx,
  type StateView,
} from '@antirio/ledger-machine';
import { GENESIS_HASH, decodeNextBlock, encodeBlock, type Block } from './block.ts';
import { refuseDamagedLog } from './damage.ts';
import { EventFeed } from './events.ts';
import { StateHashes } from './state-hashes.ts';

export interface LocalLedgerOptions {
  /** The log file. */
  readonly path: string;
  /** What a new ledger starts from; an old one must have started from the same. */
  readonly genesis: Genesis;
  readonly clock: Pick<Clock, 'now'>;
  readonly log: Log;
  /** How many of the newest events can be read again (default 20000). */
  readonly eventsKept?: number;
}

/** The in-process engine: one writer, a hash-chained, fsynced log. An audit log, not a consensus. */
export interface LocalLedger extends LedgerPort {
  readonly finality: 'local';
  /** One page of a range, behind the key `after`. */
  page(prefix: string, after: string | undefined, limit: number): [string, unknown][];
  /** @throws AntirioError gone where they are no longer kept; conflict where the cursor is ahead of this ledger */
  events(from: string | undefined, limit: number): LedgerEvent[];
  /** Resolves at the next event, or when the signal is given. */
  nextEvent(signal: AbortSignal): Promise<void>;
  /** The state hash after a block; undefined where this ledger has no such block. */
  stateHashAt(height: number): string | undefined;
  health(): Check;
  close(): Promise<void>;
}

const MAX_RECORD_BYTES = 4 << 20;
const MAX_BLOCK_BYTES = 2 << 20;
export const MAX_TX_BYTES = 1 << 20;
const MAX_WAITING = 1024;

interface Head {
  height: number;
  time: number;
  stateHash: string;
  /** Of the newest record. */
  hash: string;
}

interface Waiting {
  readonly tx: SignedTx;
  readonly bytes: number;
  readonly resolve: (receipt: Receipt) => void;
  readonly reject: (error: unknown) => void;
}

/** The ledger as its log tells it. */
class Replay {
  readonly state = new MemoryState();
  readonly head: Head = { height: -1, time: 0, stateHash: EMPTY_STATE_HASH, hash: GENESIS_HASH };
  /** Of every block, by its height. */
  readonly hashes = new StateHashes();
  readonly #feed: EventFeed;

  constructor(feed: EventFeed) {
    this.#feed = feed;
  }

  /** @throws AntirioError corrupt when the block is not what its transactions lead to. */
  add(record: Uint8Array): void {
    // A tail of zeros that a crash left reads as empty records.
    if (record.length === 0) return;
    const block = decodeNextBlock(record, this.head.hash, this.head.height + 1, this.head.time);
    const { writes, events, stateHash } = this.#run(block);
    if (stateHash !== block.stateHash)
      throw new AntirioError('corrupt', `block ${block.height} leads to another state than it says`, {
        height: block.height,
      });
    this.state.apply(writes);
    this.#feed.add(events);
    this.hashes.push(stateHash);
    Object.assign(this.head, { height: block.height, time: block.time, stateHash, hash: sha256Hex(record) });
  }

  #run(block: Block): Pick<BlockRun, 'writes' | 'events' | 'stateHash'> {
    if (block.genesis === undefined)
      return runBlock(this.state, block.txs, { now: block.time, height: block.height }, this.head.stateHash);
    const writes = genesisWrites(this.state, block.genesis);
    return { writes, events: [], stateHash: nextStateHash(EMPTY_STATE_HASH, writes) };
  }
}

function checkGenesis(state: StateView, genesis: Genesis): void {
  if (canonicalJson(state.get(keys.genesis())) !== canonicalJson(genesis))
    throw new AntirioError(
      'badConfig',
      'the ledger began with another genesis (arbitrator or balances) than the configured one',
    );
}

function writeGenesis(log: AppendLog, replay: Replay, genesis: Genesis, time: number): Promise<void> {
  const writes = genesisWrites(replay.state, genesis);
  const stateHash = nextStateHash(EMPTY_STATE_HASH, writes);
  const record = encodeBlock({ height: 0, time, previous: GENESIS_HASH, txs: [], stateHash, genesis });
  replay.add(record);
  return log.append(record);
}

function parseTx(tx: unknown): { tx: SignedTx; bytes: number } {
  const parsed = signedTx.safeParse(tx);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new AntirioError(
      'invalidInput',
      `not a transaction: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`,
    );
  }
  const bytes = canonicalJson(parsed.data).length;
  if (bytes > MAX_TX_BYTES)
    throw new AntirioError('tooLarge', `a transaction has ${MAX_TX_BYTES} bytes at most`, { bytes });
  return { tx: parsed.data, bytes };
}

/**
 * Opens or begins a ledger. Transactions that come while a block is being written share the next one.
 * @throws AntirioError corrupt when the log is damaged or was changed; badConfig when it began with another genesis.
 */
export async function openLocalLedger(options: LocalLedgerOptions): Promise<LocalLedger> {
  const feed = new EventFeed(options.eventsKept ?? 20_000, options.log);
  const replay = new Replay(feed);
  refuseDamagedLog(options.path, MAX_RECORD_BYTES);
  const log = openAppendLog({
    path: options.path,
    onRecord: (record) => replay.add(record),
    maxRecordBytes: MAX_RECORD_BYTES,
  });
  try {
    const now = Math.floor(options.clock.now());
    if (replay.head.height < 0) await writeGenesis(log, replay, options.genesis, now);
    checkGenesis(replay.state, options.genesis);
  } catch (error) {
    await log.close();
    throw error;
  }
  return new LocalEngine(options, log, replay, feed);
}

function takeBatch(queue: Waiting[]): Waiting[] {
  let bytes = 0;
  let count = 0;
  for (const { bytes: more } of queue) {
    if (count > 0 && bytes + more > MAX_BLOCK_BYTES) break;
    bytes += more;
    count += 1;
  }
  return queue.splice(0, count);
}

class LocalEngine implements LocalLedger {
  readonly finality = 'local';
  readonly #options: LocalLedgerOptions;
  readonly #file: AppendLog;
  readonly #state: MemoryState;
  readonly #head: Head;
  readonly #hashes: StateHashes;
  readonly #feed: EventFeed;
  readonly #queue: Waiting[] = [];
  #working: Promise<void> | undefined;
  #halted: AntirioError | undefined;

  constructor(options: LocalLedgerOptions, file: AppendLog, replay: Replay, feed: EventFeed) {
    this.#options = options;
    this.#file = file;
    this.#state = replay.state;
    this.#head = replay.head;
    this.#hashes = replay.hashes;
    this.#feed = feed;
  }

  submit(input: SignedTx): Promise<Receipt> {
    return new Promise((resolve, reject) => {
      if (this.#halted !== undefined) throw this.#halted;
      if (this.#queue.length >= MAX_WAITING) throw new AntirioError('busy', 'too many transactions wait');
      this.#queue.push({ ...parseTx(input), resolve, reject });
      this.#working ??= this.#work();
    });
  }

  async #work(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = takeBatch(this.#queue);
      try {
        await this.#commit(batch);
      } catch (cause) {
        this.#halt(cause, batch);
      }
    }
    this.#working = undefined;
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    const head = this.#head;
    const height = head.height + 1;
    const time = Math.max(head.time, Math.floor(this.#options.clock.now()));
    const wanted = batch.map(({ tx }) => tx);
    const { receipts, writes, events, txs, stateHash } = runBlock(
      this.#state,
      wanted,
      { now: time, height },
      head.stateHash,
    );
    if (txs.length > 0) {
      const record = encodeBlock({ height, time, previous: head.hash, txs, stateHash });
      await this.#file.append(record);
      this.#state.apply(writes);
      this.#hashes.push(stateHash);
      Object.assign(head, { height, time, stateHash, hash: sha256Hex(record) });
      this.#feed.add(events);
    }
    for (const [i, { resolve, reject }] of batch.entries()) {
      const receipt = receipts[i];
      if (receipt === undefined) reject(new AntirioError('internal', 'a transaction got no receipt'));
      else resolve(receipt);
    }
  }

  #halt(cause: unknown, batch: readonly Waiting[]): void {
    // A machine that throws, or a disk that refuses, must not go on: what is in memory may no longer be what is on disk.
    this.#halted = new AntirioError('unavailable', 'the ledger has halted', {}, cause);
    this.#options.log.fatal({ error: describeError(cause) }, 'the ledger has halted');
    for (const { reject } of [...batch, ...this.#queue.splice(0)]) reject(this.#halted);
  }

  query<T>(key: string): Promise<T | undefined> {
    return Promise.resolve(this.#state.get(key) as T | undefined);
  }

  range(prefix: string): Promise<[string, unknown][]> {
    return Promise.resolve([...this.#state.range(prefix)].map(([key, value]) => [key, value]));
  }

  page(prefix: string, after: string | undefined, limit: number): [string, unknown][] {
    const found: [string, unknown][] = [];
    for (const [key, value] of this.#state.range(prefix)) {
      if (after !== undefined && key <= after) continue;
      if (found.length >= limit) break;
      found.push([key, value]);
    }
    return found;
  }

  onEvent(from: string | undefined, fn: (event: LedgerEvent) => void | Promise<void>): { close(): void } {
    this.#refuseAhead(from);
    return this.#feed.follow(from, fn);
  }

  events(from: string | undefined, limit: number): LedgerEvent[] {
    this.#refuseAhead(from);
    return this.#feed.after(from, limit);
  }

  #refuseAhead(from: string | undefined): void {
    const { height } = this.#head;
    if (from !== undefined && from > cursorBehind(height))
      throw new AntirioError('conflict', `${from} is ahead of this ledger, which is at block ${height}`, {
        from,
      });
  }

  nextEvent(signal: AbortSignal): Promise<void> {
    return this.#feed.next(signal);
  }

  head(): Promise<{ height: bigint; stateHash: string; time: number }> {
    const { height, stateHash, time } = this.#head;
    return Promise.resolve({ height: BigInt(height), stateHash, time });
  }

  stateHashAt(height: number): string | undefined {
    return this.#hashes.at(height);
  }

  health(): Check {
    return this.#halted === undefined ? { ok: true } : { ok: false, detail: describeError(this.#halted) };
  }

  async close(): Promise<void> {
    await this.#working;
    this.#halted ??= new AntirioError('unavailable', 'the ledger is closed');
    await this.#file.close();
  }
}
