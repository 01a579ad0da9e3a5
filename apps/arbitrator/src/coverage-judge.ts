import { setImmediate as turn } from 'node:timers/promises';
import { z } from 'zod';
import type { Log } from '@antirio/host';
import { describeError, fromBase64, type Clock, type Identity } from '@antirio/kernel';
import { keys } from '@antirio/ledger-machine';
import {
  NOT_JUDGED,
  createOutageWindow,
  isMarkSigned,
  judgeCoverage,
  type ContractTerms,
  type CoverageMark,
  type CoverageSettings,
  type HandbackStatement,
  type JudgedDevice,
  type NotJudged,
  type OutageWindow,
} from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import { keptMarks } from './coverage-store.ts';
import { createGenuine } from './genuine-frames.ts';
import type { LedgerClient } from './ledger-client.ts';
import { openedSecrets } from './own-secrets.ts';
import { framesBetween, readRing, type AskBridge, type RingPageFrame } from './ring-pages.ts';
import type { Secrets } from './sealed-keys.ts';

/** What a customer finds of its provider's hearing in an outage, once it has stated what was handed back. */
const judgement = z.object({
  epoch: z.int(),
  verdict: z.enum(['within', 'breach', 'notJudged']),
  devices: z.int(),
  expected: z.int(),
  heard: z.int(),
  /** Null where no number is small enough. */
  log10P: z.number().nullable(),
  method: z.enum(['exact', 'bound']),
  /** Devices that were not judged, by why. */
  notJudged: z.partialRecord(z.enum(NOT_JUDGED), z.int()),
});
export type OutageJudgement = z.output<typeof judgement>;

const asked = z.object({
  epoch: z.int(),
  /** The newest FCnt that was handed back, by device and session. */
  last: z.record(z.string(), z.int()),
});
type Asked = z.output<typeof asked>;

const changes = z.object({ epoch: z.int(), devEuis: z.array(z.string()) });

const CHANGED = 'coverageChanged';
const ASKED = 'coverageAsked';
const JUDGED = 'coverageJudged';
const OWN = 'own';
const RADIO = 'radio';
const IN_A_TURN = 100;
const TRY_AGAIN_MS = 5000;
/** LinkADRAns and NewChannelAns (LoRaWAN 1.0.x, 5); what is among arguments of others by chance is not judged either. */
const SETTING_ANSWERS: ReadonlySet<number> = new Set([0x03, 0x07]);

export interface CoverageJudgePorts {
  readonly terms: ContractTerms;
  readonly identity: Identity;
  readonly clock: Clock;
  readonly store: ContractStore;
  readonly ledger: Pick<LedgerClient, 'fetch'>;
  readonly ownBridge: AskBridge | undefined;
  readonly ownSecrets: () => Secrets;
  readonly settings: () => Promise<ReadonlyMap<string, CoverageSettings>>;
  readonly log: Log;
}

export interface CoverageJudge {
  /** What was handed back is stated: its outage is to be judged. */
  stated(statement: HandbackStatement): void;
  /** Judges what is to be judged, again until it is done. */
  look(): Promise<void>;
}

const keyOf = (devEui: string, session: string): string => `${devEui}/${session}`;

/** The newest judgement of a contract, for operators. */
export function keptJudgement(store: ContractStore, contractId: string): OutageJudgement | undefined {
  const found = store.document(contractId, JUDGED);
  return found === undefined ? undefined : judgement.parse(found);
}

/** The devices that sent otherwise under an epoch than before, where that was looked at. */
export function keptChanges(store: ContractStore, contractId: string, epoch: number): string[] | undefined {
  const found = store.document(contractId, CHANGED);
  const kept = found === undefined ? undefined : changes.parse(found);
  return kept?.epoch === epoch ? kept.devEuis : undefined;
}

/** When the provider took over, or opened the keys where it was given no epoch. */
async function outageAt({ ledger, terms }: CoverageJudgePorts, epoch: number): Promise<number | undefined> {
  const { contractId } = terms;
  if (epoch > 0) return (await ledger.fetch(keys.activation(contractId, epoch)))?.at;
  const openings = (await ledger.fetch(keys.contract(contractId)))?.openings ?? 0;
  return openings === 0 ? undefined : (await ledger.fetch(keys.opening(contractId, openings)))?.at;
}

/** What our own ring has of the devices, each frame to the window of its device. */
async function fillWindows(
  ask: AskBridge,
  secrets: Secrets,
  marks: readonly CoverageMark[],
  windows: ReadonlyMap<string, OutageWindow>,
): Promise<void> {
  const genuine = createGenuine(secrets, new Map(marks.map(({ session, last }) => [session, last])));
  const take = ({ phyPayload, via, receivedAt, rx }: RingPageFrame): void => {
    const found = genuine(fromBase64(phyPayload));
    if (found === undefined) return;
    const { devEui, session } = found.session;
    const { fOpts, fPort } = found.frame;
    windows.get(keyOf(devEui, session))?.take({
      fcnt: found.fcnt,
      // what came from another provider first, ours may have heard as well
      heardAt: via === RADIO ? receivedAt : undefined,
      dataRate: `SF${rx.spreadingFactor}BW${rx.bandwidth}`,
      isAnswer: via !== RADIO && (fPort === 0 || fOpts.some((byte) => SETTING_ANSWERS.has(byte))),
    });
  };
  const { next } = await readRing(ask, OWN);
  for await (const frames of framesBetween(ask, OWN, 0, next - 1))
    for (const [i, frame] of frames.entries()) {
      take(frame);
      if (i % IN_A_TURN === IN_A_TURN - 1) await turn();
    }
}

/** What is not signed by both does not count. */
async function signedMarks(store: ContractStore, terms: ContractTerms): Promise<CoverageMark[]> {
  const marks: CoverageMark[] = [];
  for (const [i, mark] of keptMarks(store, terms).entries()) {
    if (isMarkSigned(mark, terms)) marks.push(mark.body);
    if (i % IN_A_TURN === IN_A_TURN - 1) await turn();
  }
  return marks;
}

/** Each device by its window: what there is to be judged, and why the others are not. */
async function lookThrough(
  marks: readonly CoverageMark[],
  windows: ReadonlyMap<string, OutageWindow>,
  last: Asked['last'],
  settings: ReadonlyMap<string, CoverageSettings>,
): Promise<(JudgedDevice | NotJudged)[]> {
  const stated = new Set(Object.keys(last).map((key) => key.slice(0, key.indexOf('/'))));
  const found: (JudgedDevice | NotJudged)[] = [];
  for (const [i, { devEui, session }] of marks.entries()) {
    const key = keyOf(devEui, session);
    const isOther = last[key] === undefined && stated.has(devEui);
    const judged = windows.get(key)?.judge(last[key], settings.get(devEui) ?? {});
    found.push(isOther ? 'otherSession' : (judged ?? 'noBaseline'));
    if (i % IN_A_TURN === IN_A_TURN - 1) await turn();
  }
  return found;
}

async function judgeOutage(
  ports: CoverageJudgePorts,
  ask: AskBridge,
  { epoch, last }: Asked,
): Promise<{ readonly judgement: OutageJudgement; readonly changed: readonly string[] }> {
  const { terms, store, identity, ledger, ownSecrets } = ports;
  const at = (await outageAt(ports, epoch)) ?? 0;
  const marks = at === 0 ? [] : await signedMarks(store, terms);
  const windows = new Map(
    marks.map((mark) => [keyOf(mark.devEui, mark.session), createOutageWindow(mark, at)]),
  );
  const secrets = await openedSecrets({ store, identity, ledger, ownSecrets }, terms.contractId);
  if (windows.size > 0) await fillWindows(ask, secrets, marks, windows);
  const found = await lookThrough(marks, windows, last, await ports.settings());
  const unmarked = Array.from(
    { length: terms.set.devices.length - marks.length },
    () => 'noBaseline' as const,
  );
  const notJudged: Partial<Record<NotJudged, number>> = {};
  for (const why of [...found, ...unmarked])
    if (typeof why === 'string') notJudged[why] = (notJudged[why] ?? 0) + 1;
  const { log10P, ...judged } = judgeCoverage(found.filter((one) => typeof one !== 'string'));
  const changed = marks.flatMap(({ devEui }, i) => (found[i] === 'changed' ? [devEui] : []));
  const told = { epoch, ...judged, log10P: Number.isFinite(log10P) ? log10P : null, notJudged };
  return { judgement: told, changed };
}

export function createCoverageJudge(ports: CoverageJudgePorts): CoverageJudge {
  const { terms, clock, store, ownBridge, log } = ports;
  const { contractId } = terms;
  const kept = store.document(contractId, ASKED);
  let waiting: Asked | undefined = kept === undefined ? undefined : asked.parse(kept);
  let triedAt = -Infinity;
  const isDone = ({ epoch }: Asked): boolean => keptJudgement(store, contractId)?.epoch === epoch;
  if (waiting !== undefined && isDone(waiting)) waiting = undefined;
  return {
    stated({ epoch, devices }) {
      const last = Object.fromEntries(devices.map((one) => [keyOf(one.devEui, one.session), one.last]));
      waiting = { epoch, last };
      try {
        store.putDocument(contractId, ASKED, waiting);
      } catch (error) {
        // it is judged all the same, as long as this process lives
        log.warn({ error: describeError(error) }, 'that an outage is to be judged is not on the disk');
      }
    },
    async look() {
      const now = clock.monotonic();
      if (waiting === undefined || ownBridge === undefined || now - triedAt < TRY_AGAIN_MS) return;
      triedAt = now;
      const one = waiting;
      // marks of after the outage say nothing of it: the first answer stays
      if (!isDone(one)) {
        const { judgement: found, changed } = await judgeOutage(ports, ownBridge, one);
        store.putDocuments(contractId, [
          [JUDGED, found],
          [CHANGED, { epoch: one.epoch, devEuis: changed }],
        ]);
        store.note(contractId, {
          ...{ at: clock.now(), monotonic: now, milestone: 'coverage' },
          detail: found,
        });
        const say = found.verdict === 'breach' ? log.error.bind(log) : log.info.bind(log);
        say({ ...found }, 'what the provider heard of an outage is judged');
      }
      if (waiting === one) waiting = undefined;
    },
  };
}
