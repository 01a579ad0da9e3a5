import { parseCid, type CID } from '@antirio/content-store';
import { createWork, jittered, type Work } from '@antirio/durable-work';
import type { Log } from '@antirio/host';
import { AntirioError, describeError, type Clock, type Random } from '@antirio/kernel';
import type { Dag, Holding, StorageNetwork, StorageRef } from '@antirio/storage-network';
import type { FilecoinInterfaceOptions } from './options.ts';
import { nameOutside, nameWithin } from './network.ts';
import type { Progress, WorkSubject } from './progress.ts';
import type { PushRecord, Records } from './records.ts';

export interface PushPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly records: Records;
  readonly network: StorageNetwork;
  readonly progress: Progress;
  /** Our own whole DAG; its bytes are found by reading it where they are not known yet. */
  readonly dagOf: (cid: CID, bytes: number | undefined) => Promise<Dag>;
}

export interface PushView {
  readonly network: StorageNetwork['kind'];
  readonly state: PushRecord['state'];
  readonly providers: readonly string[];
  /** Of blocks that are there, while it is PUSHING. */
  readonly bytes: number | undefined;
  readonly pieceCid: string | undefined;
  readonly detail: string | undefined;
  readonly error: string | undefined;
  readonly checkedAt: number | undefined;
}

/** Told in the same transaction in which a push becomes COMMITTED, or ceases to be. */
export type OnHeld = (name: string, cid: string, isHeld: boolean) => void;

/**
 * What of ours is to be in the storage network, and how far that is: brought there, looked after, taken away. All of it is in the room's
 * database; what was broken off goes on after a start, and what the network lost is brought there again.
 */
export interface Pushes {
  /** Has a DAG kept there under a name. To be called in the transaction that stores what it is of. */
  order(name: string, cid: string): void;
  /** Has it kept there no longer. */
  drop(name: string): void;
  view(name: string): PushView | undefined;
  onHeld(told: OnHeld): void;
  /** Pieces that the network does not hold yet as it is asked to, and of which nothing has failed. */
  waiting(): number;
  /** Pieces of which the last attempt has failed too often, or for good: to bring them, to look after them, to take them away. */
  failed(): PushRecord[];
  readonly work: Work;
}

/** Where everything is in our own store, there is nothing to bring anywhere. */
export function createPushes(options: FilecoinInterfaceOptions, ports: PushPorts): Pushes {
  return new DurablePushes(options, ports);
}

class DurablePushes implements Pushes {
  readonly #options: FilecoinInterfaceOptions;
  readonly #ports: PushPorts;
  readonly #isBeyond: boolean;
  readonly #bytes = new Map<string, number>();
  #told: OnHeld = () => undefined;
  readonly work: Work;

  constructor(options: FilecoinInterfaceOptions, ports: PushPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#isBeyond = ports.network.kind !== 'embedded';
    this.work = createWork({
      name: 'push to the storage network',
      unfinished: () => this.#due(),
      run: (name, signal) => this.#step(name, signal),
      failed: (name, error) => this.#putOff(name, error),
      attempts: options.attempts,
      atOnce: options.pushesAtOnce,
      firstDelayMs: options.firstRetryMs,
      maxDelayMs: options.maxRetryMs,
      clock: ports.clock,
      random: ports.random,
      log: ports.log,
    });
  }

  order(name: string, cid: string): void {
    if (!this.#isBeyond) return;
    const { records, network, clock } = this.#ports;
    const known = records.pushes.get(name);
    const isThere = known?.cid === cid && known.state !== 'DROPPING';
    if (isThere && known.state !== 'FAILED') return;
    const dueAt = clock.now();
    records.pushes.put(name, { name, cid, network: network.kind, state: 'PUSHING', dueAt, checks: 0 });
    this.work.hurry(name);
  }

  drop(name: string): void {
    const { records, clock } = this.#ports;
    const known = records.pushes.get(name);
    if (known === undefined) return;
    records.pushes.put(name, { ...known, state: 'DROPPING', dueAt: clock.now() });
    this.work.hurry(name);
  }

  view(name: string): PushView | undefined {
    const known = this.#ports.records.pushes.get(name);
    if (known === undefined || known.state === 'DROPPING') return undefined;
    const { network, state, ref, detail, error, checkedAt } = known;
    const bytes = state === 'PUSHING' ? this.#bytes.get(name) : undefined;
    const { providers = [], pieceCid } = ref ?? {};
    return { network, state, providers, bytes, pieceCid, detail, error, checkedAt };
  }

  onHeld(told: OnHeld): void {
    this.#told = told;
  }

  waiting(): number {
    return this.#all().filter((push) => isUnderWay(push) && push.error === undefined).length;
  }

  failed(): PushRecord[] {
    return this.#all().filter((push) => push.error !== undefined);
  }

  #all(): PushRecord[] {
    return this.#ports.records.pushes.all();
  }

  #due(): string[] {
    if (!this.#isBeyond) return [];
    const now = this.#ports.clock.now();
    return this.#all()
      .filter((push) => push.dueAt <= now)
      .map((push) => push.name);
  }

  async #step(name: string, signal: AbortSignal): Promise<void> {
    const push = this.#ports.records.pushes.get(name);
    if (push === undefined) return;
    if (push.state === 'DROPPING') await this.#takeAway(push);
    else if (push.state === 'PUSHING' || push.state === 'FAILED') await this.#bring(push, signal);
    else await this.#look(push, signal);
  }

  async #takeAway(push: PushRecord): Promise<void> {
    const { network, records, log } = this.#ports;
    await network.unpin(push.name);
    // It may have been ordered again meanwhile.
    if (records.pushes.get(push.name)?.state !== 'DROPPING') return;
    records.pushes.remove(push.name);
    log.info({ name: push.name, cid: push.cid, network: network.kind }, 'taken out of the storage network');
  }

  async #bring(push: PushRecord, signal: AbortSignal): Promise<void> {
    const { clock, log, network } = this.#ports;
    const ref = await this.#put(push, signal);
    log.info(
      { name: push.name, cid: push.cid, network: network.kind, bytes: ref.bytes },
      'in the storage network',
    );
    this.#change(push, {
      state: 'STORED',
      ref: storedRef(network, ref),
      dueAt: clock.now(),
      checks: 0,
      unanswered: 0,
      error: undefined,
    });
  }

  async #put(push: PushRecord, signal: AbortSignal): Promise<StorageRef> {
    const { network, progress } = this.#ports;
    try {
      return await progress.track('push', subjectOf(push), async (tell) => {
        const dag = await this.#dagOf(push);
        const onProgress = (bytes: number): void => {
          this.#bytes.set(push.name, bytes);
          tell.seen({ bytes, totalBytes: dag.bytes });
        };
        return network.put(push.name, dag, { signal, onProgress });
      });
    } finally {
      this.#bytes.delete(push.name);
    }
  }

  /** To count its blocks, and to hash them, is to read all of them: for a network that is away that is not done. */
  async #dagOf(push: PushRecord): Promise<Dag> {
    const { network, dagOf } = this.#ports;
    const cid = parseCid(push.cid);
    if (push.ref === undefined) await requireWell(network);
    const known = push.ref?.bytes ?? push.bytes;
    const dag = await dagOf(cid, known);
    if (known === undefined) this.#change(push, { bytes: dag.bytes });
    return dag;
  }

  /** Asks how it is held; what is held by too few is put again, which moves only what is missing. */
  async #look(push: PushRecord, signal: AbortSignal): Promise<void> {
    const { network } = this.#ports;
    const ref = (given: PushRecord['ref']): StorageRef => ({
      bytes: 0,
      ...given,
      cid: parseCid(push.cid),
      providers: given?.providers.map(nameWithin) ?? [],
    });
    const found = await network.status(ref(push.ref));
    if (isHeld(network, found)) {
      this.#settle(push, push.ref, found);
      return;
    }
    // Said at once: putting it again may take long, or fail.
    const now = push.state === 'COMMITTED' ? this.#cease(push, found.detail) : push;
    if (now === undefined) return;
    if (isKept(found)) {
      this.#settle(now, now.ref, found);
      return;
    }
    const put = storedRef(network, await this.#put(now, signal));
    this.#settle(now, put, await network.status(ref(put)));
  }

  /** What the network does not hold as it should is COMMITTED no more. */
  #cease(push: PushRecord, detail: string | undefined): PushRecord | undefined {
    const { log, clock } = this.#ports;
    const { name, cid } = push;
    log.warn({ name, cid, detail }, 'the storage network holds it no more as it should');
    const dueAt = clock.now();
    return this.#change(push, { state: 'STORED', detail, checkedAt: dueAt, checks: 0, dueAt });
  }

  #settle(push: PushRecord, ref: PushRecord['ref'], holding: Holding): void {
    const { clock, network } = this.#ports;
    const { networkCheckMs, networkRecheckMs } = this.#options;
    const isSo = isHeld(network, holding);
    const checks = push.checks + 1;
    const waitMs = isSo
      ? networkRecheckMs
      : Math.min(networkRecheckMs, networkCheckMs * 2 ** Math.min(checks, 20));
    this.#change(push, {
      state: isSo ? 'COMMITTED' : 'STORED',
      ref: ref && { ...ref, providers: this.#named(holding, ref) },
      detail: holding.detail,
      error: undefined,
      unanswered: 0,
      checkedAt: clock.now(),
      checks,
      dueAt: clock.now() + jittered(waitMs, this.#ports.random),
    });
  }

  #named({ providers }: Holding, ref: NonNullable<PushRecord['ref']>): readonly string[] {
    const { kind } = this.#ports.network;
    return providers.length === 0 ? ref.providers : providers.map((name) => nameOutside(kind, name));
  }

  /** Unless it was ordered or dropped anew meanwhile. */
  #change(push: PushRecord, change: Partial<PushRecord>): PushRecord | undefined {
    const { records } = this.#ports;
    const now = records.pushes.get(push.name);
    if (now === undefined || now.cid !== push.cid || now.state !== push.state) return undefined;
    const changed = records.transaction(() => this.#write(now, change));
    this.#ports.progress.changed();
    return changed;
  }

  #write(push: PushRecord, change: Partial<PushRecord>): PushRecord {
    const changed = { ...push, ...change };
    this.#ports.records.pushes.put(push.name, changed);
    const is = changed.state === 'COMMITTED';
    if (is !== (push.state === 'COMMITTED')) this.#told(push.name, push.cid, is);
    return changed;
  }

  /**
   * What has failed too often, or for good, is tried again when it would be looked at again. What is COMMITTED stays so for some of these
   * times: a network that does not answer may hold it all the same.
   */
  #putOff(name: string, error: unknown): void {
    const { records, clock } = this.#ports;
    const push = records.pushes.get(name);
    if (push === undefined) return;
    const message = describeError(error);
    const dueAt = clock.now() + jittered(this.#options.networkRecheckMs, this.#ports.random);
    const unanswered = (push.unanswered ?? 0) + 1;
    const isDoubtful = push.state === 'COMMITTED' && unanswered >= UNANSWERED_AT_MOST;
    const state = push.state === 'PUSHING' ? 'FAILED' : isDoubtful ? 'STORED' : push.state;
    records.transaction(() => {
      this.#write(push, { state, error: message, unanswered, dueAt });
      const code = error instanceof AntirioError ? error.statusCode : 500;
      if (push.error !== message)
        records.addError({ errorObject: { name, cid: push.cid, network: push.network }, code, message });
    });
    this.#ports.progress.changed();
  }
}

const isUnderWay = ({ state }: PushRecord): boolean => state === 'PUSHING' || state === 'STORED';

function subjectOf({ name, cid }: PushRecord): WorkSubject {
  const [, imageId] = /^image\/(.+)$/.exec(name) ?? [];
  return imageId === undefined ? { cid } : { cid, imageId };
}

async function requireWell(network: StorageNetwork): Promise<void> {
  const { ok, detail = 'it does not say why' } = await network.health();
  if (!ok) throw new AntirioError('unavailable', `the storage network takes nothing now: ${detail}`);
}

/** Times that a network may say nothing of what is COMMITTED, before it is so no more. */
const UNANSWERED_AT_MOST = 3;

const isKept = ({ state }: Holding): boolean => state === 'replicated' || state === 'proven';

/** As it was asked to: for Filecoin that is proven, whatever its providers say. */
const isHeld = ({ kind }: StorageNetwork, holding: Holding): boolean =>
  kind === 'filecoin' ? holding.state === 'proven' : isKept(holding);

function storedRef(
  { kind }: StorageNetwork,
  { bytes, providers, pieceCid, dataSetId }: StorageRef,
): PushRecord['ref'] {
  return {
    bytes,
    providers: providers.map((name) => nameOutside(kind, name)),
    ...(pieceCid === undefined ? {} : { pieceCid }),
    ...(dataSetId === undefined ? {} : { dataSetId }),
  };
}
