import type { ArbitratorPorts } from './options.ts';
import type { PartyDriver } from './party-driver.ts';

/**
 * Takeovers that begin by themselves, one after the other: where many customers fall silent at once, this edge opens so many
 * services at a time, in the order in which they were found dead, and not all in the same instant.
 */
export interface TakeoverTurns {
  /** Whether the takeover of this contract may begin now. Asked again until it may. */
  readonly mayBegin: (contractId: string) => boolean;
  /** Contracts whose turn has not come. */
  readonly waiting: () => readonly string[];
}

/** A customer as this edge hears it. Times are monotonic ms. */
export interface HeardCustomer {
  readonly customer: string;
  readonly heardAt: number;
  /** A silence of so long is one. */
  readonly silenceMs: number;
}

export interface TurnPorts {
  readonly atOnce: number;
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** The keys of this contract are being opened, or its service is being activated. */
  readonly isUnderWay: (contractId: string) => boolean;
  readonly customers: () => readonly HeardCustomer[];
  /** When the centre answered last. */
  readonly centreHeardAt: () => number;
}

/** Phases in which a customer's beats are looked for. */
const watches: ReadonlySet<string> = new Set(['ready', 'stated']);
/** Between two that begin, at most. */
const JITTER_MS = 50;
/** One that does not come further for so long holds up no others. */
const LONGEST_MS = 30_000;
/** Who does not ask for so long has found its customer again. */
const ASKED_MS = 1000;

/** Who fell silent so long before the others is another matter. */
const TOGETHER_MS = 60_000;

/**
 * Who hears none of several customers, and nothing of the centre since, is itself cut off. Of one customer alone nobody can
 * tell.
 */
export function isCutOff(customers: readonly HeardCustomer[], centreHeardAt: number, now: number): boolean {
  const lastHeardAt = Math.max(...customers.map(({ heardAt }) => heardAt));
  const together = customers.filter(({ heardAt }) => lastHeardAt - heardAt < TOGETHER_MS);
  if (new Set(together.map(({ customer }) => customer)).size < 2) return false;
  const silent = together.every(({ heardAt, silenceMs }) => now - heardAt >= silenceMs);
  // Only what came after the last of them fell silent tells that the way out is open.
  return silent && centreHeardAt <= lastHeardAt;
}

export function createTakeoverTurns(ports: TurnPorts): TakeoverTurns {
  const { atOnce, isUnderWay } = ports;
  const begun = new Map<string, number>();
  const asked = new Map<string, number>();
  let notBefore = -Infinity;

  const tidy = (now: number): void => {
    for (const [id, at] of begun) if (!isUnderWay(id) || now - at >= LONGEST_MS) begun.delete(id);
    for (const [id, at] of asked) if (now - at >= ASKED_MS) asked.delete(id);
  };
  return {
    mayBegin(contractId) {
      const now = ports.now();
      tidy(now);
      // A key that is there keeps its place.
      asked.set(contractId, now);
      if (begun.size >= atOnce || now < notBefore || asked.keys().next().value !== contractId) return false;
      if (isCutOff(ports.customers(), ports.centreHeardAt(), now)) return false;
      asked.delete(contractId);
      begun.set(contractId, now);
      notBefore = now + ports.random() * JITTER_MS;
      return true;
    },
    waiting() {
      tidy(ports.now());
      return [...asked.keys()];
    },
  };
}

/** The turns among an edge's contracts. */
export function turnsAmong(
  drivers: ReadonlyMap<string, PartyDriver>,
  atOnce: number,
  { clock, random }: Pick<ArbitratorPorts, 'clock' | 'random'>,
  centreHeardAt: () => number,
): TakeoverTurns {
  return createTakeoverTurns({
    atOnce,
    now: () => clock.monotonic(),
    random: () => (random.bytes(1)[0] ?? 0) / 256,
    isUnderWay: (contractId) => drivers.get(contractId)?.seen.isOpening?.() === true,
    customers: () => [...drivers.values()].flatMap(heardOf),
    centreHeardAt,
  });
}

function heardOf(driver: PartyDriver): HeardCustomer[] {
  const { terms, seen } = driver;
  if (seen.customerHeardAt === undefined || !watches.has(driver.phase().at)) return [];
  const { customer, heartbeatIntervalMs, missedBeats } = terms;
  return [{ customer, heardAt: seen.customerHeardAt(), silenceMs: heartbeatIntervalMs * missedBeats }];
}
