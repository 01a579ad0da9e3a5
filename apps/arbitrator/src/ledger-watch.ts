import { z } from 'zod';
import {
  parseInput,
  readFileIfThere,
  repeat,
  writeFileDurably,
  type Check,
  type Log,
  type Repeating,
} from '@antirio/host';
import { AntirioError, describeError, fromUtf8, type Clock } from '@antirio/kernel';
import { sight, type LedgerSight, type Sighted } from '@antirio/service-contract';

/** Knows the highest block that this party ever saw, and believes no ledger whose log lacks it. */
export interface LedgerWatch {
  /** Looks at the ledger. @throws AntirioError unavailable where it was rolled back or does not answer. */
  check(): Promise<void>;
  /** When the ledger answered last, monotonic ms. */
  heardAt(): number;
  /** Undefined until it was looked at once. */
  believed(): boolean | undefined;
  /** @throws AntirioError unavailable where the ledger was rolled back. */
  guard(): void;
  health(): Check;
  status(): {
    readonly seen: LedgerSight | undefined;
    readonly head: LedgerSight | undefined;
    readonly rolledBack: boolean;
  };
  /** The operator's word that what this head lacks is lost for good. @throws AntirioError conflict where the ledger is at another one. */
  accept(head: LedgerSight): Promise<void>;
  start(): void;
  stop(): Promise<void>;
}

export interface LedgerWatchPorts {
  readonly ledger: {
    head(): Promise<{ readonly height: bigint; readonly stateHash: string }>;
    stateHashAt(height: number): Promise<string | undefined>;
  };
  /** The highest block seen, on the disk. */
  readonly kept: { get(): LedgerSight | undefined; put(seen: LedgerSight): void };
  readonly everyMs: number;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
}

/** The highest block seen, in a file of its own. */
export function keptIn(path: string): LedgerWatchPorts['kept'] {
  return {
    get() {
      const bytes = readFileIfThere(path);
      return bytes === undefined ? undefined : parseInput(storedSight, JSON.parse(fromUtf8(bytes)));
    },
    put(seen) {
      writeFileDurably(path, JSON.stringify(seen));
    },
  };
}

const storedSight = z.object({ height: z.int().min(0), stateHash: z.string() });

export function createLedgerWatch({ ledger, kept, everyMs, clock, log }: LedgerWatchPorts): LedgerWatch {
  let last: Sighted | undefined;
  let heardAt = -Infinity;
  let looking: Promise<void> | undefined;
  let watching: Repeating | undefined;

  const headNow = async (): Promise<LedgerSight> => {
    const { height, stateHash } = await ledger.head();
    return { height: Number(height), stateHash };
  };
  const atSeen = async (seen: LedgerSight | undefined, head: LedgerSight): Promise<string | undefined> => {
    if (seen === undefined || seen.height > head.height) return undefined;
    return seen.height === head.height ? head.stateHash : ledger.stateHashAt(seen.height);
  };
  const guard = (): void => {
    if (last?.ok !== false) return;
    throw new AntirioError('unavailable', 'ledgerRolledBack: the ledger lacks a block that was seen', {
      ...last,
    });
  };
  const tell = (found: Sighted): void => {
    if (!found.ok && last?.ok !== false)
      log.error({ ...found }, 'ledgerRolledBack: the ledger lacks a block that was seen');
    if (found.ok && last?.ok === false) log.info({ ...found }, 'the ledger has again what was seen');
  };
  const look = async (): Promise<void> => {
    const seen = kept.get();
    const head = await headNow();
    heardAt = clock.monotonic();
    const found = sight(seen, head, await atSeen(seen, head));
    tell(found);
    last = found;
    if (found.ok && seen?.stateHash !== head.stateHash) kept.put(head);
  };
  const check = async (): Promise<void> => {
    looking ??= look().finally(() => {
      looking = undefined;
    });
    await looking;
    guard();
  };
  return {
    check,
    guard,
    heardAt: () => heardAt,
    believed: () => last?.ok,
    health: () => (last?.ok === false ? { ok: false, detail: 'ledgerRolledBack' } : { ok: true }),
    status: () => ({
      seen: kept.get(),
      head: last === undefined ? undefined : last.ok ? last.highest : last.head,
      rolledBack: last?.ok === false,
    }),
    async accept(head) {
      const now = await headNow();
      if (now.height !== head.height || now.stateHash !== head.stateHash)
        throw new AntirioError('conflict', `the ledger is at block ${now.height}`, { ...now });
      log.warn(
        { accepted: now, given: kept.get() },
        'an operator accepts that what was seen of the ledger is lost',
      );
      kept.put(now);
      last = { ok: true, highest: now };
    },
    start() {
      const look = (): Promise<void> =>
        check().catch((error: unknown) => {
          log.debug({ error: describeError(error) }, 'the ledger is not believed, or cannot be looked at');
        });
      void look();
      watching = repeat('look at the ledger', everyMs, log, look);
    },
    async stop() {
      await watching?.stop();
    },
  };
}
