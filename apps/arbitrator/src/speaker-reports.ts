import { repeat, type Log, type Repeating } from '@antirio/host';
import { canonicalJson, describeError, isAntirioError, parseEdgeId } from '@antirio/kernel';
import { keys, type SpeakerRecord } from '@antirio/ledger-machine';
import type { ContractStore } from './contract-store.ts';
import { someMarks } from './coverage-store.ts';
import type { LedgerClient } from './ledger-client.ts';
import { ledgerClock } from './ledger-clock.ts';
import type { ArbitratorOptions, ArbitratorPorts } from './options.ts';
import type { PartyDriver } from './party-driver.ts';
import { createPatientSubmit } from './patient-submit.ts';
import { neighbourCall } from './peers.ts';
import { shownRoots } from './ring-roots.ts';
import { DEVICES_TOLD, REPORTED_AT_ONCE, ROOTS_TOLD, type ContractReport } from './speaker-report.ts';

type Driver = Pick<PartyDriver, 'terms' | 'role' | 'phase' | 'record' | 'seen'>;

export interface SpeakerReportsPorts {
  readonly options: Pick<ArbitratorOptions, 'speaker'>;
  readonly ports: Pick<ArbitratorPorts, 'identity' | 'clock' | 'random' | 'peers'> & { readonly log: Log };
  readonly store: ContractStore;
  readonly ledger: Pick<LedgerClient, 'submit' | 'fetch' | 'time'>;
  readonly drivers: ReadonlyMap<string, Driver>;
}

/** An edge's dealings with the arbitrator that speaks for it. */
export interface SpeakerReports {
  /** Tells it how all contracts stand in which this edge is the customer. */
  tell(): Promise<void>;
  /** Has the ledger know who speaks for this edge, or nobody, and that it lives. */
  appoint(): Promise<void>;
  start(): void;
  stop(): Promise<void>;
}

const DAY_MS = 86_400_000;
const APPOINT_EVERY_MS = 60_000;
/** A word to the ledger is given so often within the silence after which others speak. */
const WORDS_IN_A_SILENCE = 4;

export function reportOf(store: ContractStore, driver: Driver): ContractReport {
  const { terms, seen } = driver;
  const { contractId } = terms;
  const { state, epoch, holder } = driver.record() ?? {};
  const known = state === undefined || epoch === undefined || holder === undefined;
  const marks = someMarks(store, terms, DEVICES_TOLD);
  return {
    contractId,
    phase: driver.phase().at,
    beat: seen.beats?.(),
    known: known ? undefined : { state, epoch, holder: parseEdgeId(holder) },
    leaseBy: seen.leaseBy(),
    heard: marks.map(({ body: { devEui, last } }) => ({ devEui, last })),
    roots: shownRoots(store, contractId, ROOTS_TOLD),
  };
}

export function createSpeakerReports(given: SpeakerReportsPorts): SpeakerReports {
  const { options, ports, store, ledger, drivers } = given;
  const { identity, clock, log, peers } = ports;
  const { speaker } = options;
  const submit = createPatientSubmit(ledger, ports);
  const own = keys.speaker(parseEdgeId(identity.edgeId));
  const timeNow = ledgerClock(clock);
  const working: Repeating[] = [];
  let isDismissed = false;

  const tell = async (): Promise<void> => {
    if (speaker === undefined) return;
    const ours = [...drivers.values()].filter(
      ({ role, phase }) => role === 'customer' && phase().at !== 'ended',
    );
    const path = '/arbitrator/v1/speaker/report';
    // with no contract as well: that this edge lives is news
    for (let i = 0; i === 0 || i < ours.length; i += REPORTED_AT_ONCE) {
      const contracts = ours.slice(i, i + REPORTED_AT_ONCE).map((driver) => reportOf(store, driver));
      await neighbourCall(peers, speaker.edgeId, 'arbitrator', { method: 'POST', path, json: { contracts } });
    }
  };
  const dismiss = async (): Promise<void> => {
    if (isDismissed) return;
    if ((await ledger.fetch(own)) !== undefined) {
      await submit('dismiss', { type: 'speaker/dismiss' });
      log.info({}, 'nobody speaks for this edge any more');
    }
    isDismissed = true;
  };
  const isDue = (
    known: SpeakerRecord | undefined,
    wanted: NonNullable<typeof speaker>,
    now: number,
  ): boolean => {
    const silentMs = wanted.silentS * 1000;
    const says = (one: Pick<SpeakerRecord, 'speaker' | 'silentMs' | 'acts'>): string =>
      canonicalJson({ speaker: one.speaker, silentMs: one.silentMs, acts: [...one.acts] });
    if (known === undefined || now - known.heardAt >= silentMs / WORDS_IN_A_SILENCE) return true;
    return says(known) !== says({ speaker: wanted.edgeId, silentMs, acts: wanted.acts });
  };
  const appoint = async (): Promise<void> => {
    if (speaker === undefined) return dismiss();
    const [known, time] = await Promise.all([ledger.fetch(own), ledger.time()]);
    const now = timeNow(time);
    if (!isDue(known, speaker, now)) return;
    const { edgeId, acts, silentS, forDays } = speaker;
    const until = Math.floor(now) + forDays * DAY_MS;
    const wanted = { speaker: edgeId, acts, silentMs: silentS * 1000, until };
    await submit('appoint', { type: 'speaker/appoint', ...wanted });
    if (known?.speaker !== edgeId) log.info({ ...wanted }, 'who speaks for this edge is on the ledger');
  };
  /** The ledger may be away, and an edge without a centre has none: it is tried again. */
  const quietly = (what: string, work: () => Promise<void>) => async (): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (!isAntirioError(error)) throw error;
      log.debug({ error: describeError(error) }, what);
    }
  };
  return {
    tell,
    appoint,
    start() {
      const everyMs = Math.min(
        APPOINT_EVERY_MS,
        ((speaker?.silentS ?? Infinity) * 1000) / (2 * WORDS_IN_A_SILENCE),
      );
      working.push(repeat('speaker', everyMs, log, quietly('the ledger is not told who speaks', appoint)));
      if (speaker !== undefined) working.push(repeat('report', speaker.everyS * 1000, log, tell));
    },
    async stop() {
      for (const one of working.splice(0)) await one.stop();
    },
  };
}
