import { setImmediate as turn } from 'node:timers/promises';
import { callJson, parseInput, type HttpPeer, type Log, type Ran } from '@antirio/host';
import { fromBase64, isAntirioError, signDocument, toHex, type Clock, type Identity } from '@antirio/kernel';
import { parseDataFrame } from '@antirio/lorawan';
import {
  COVERAGE_KIND,
  GENUINE_EVERY_MS,
  MARKS_AT_ONCE,
  NO_RECEIPTS,
  createCoverageTally,
  createHearingBook,
  isCommitted,
  isMarkSigned,
  markAnswers,
  markOf,
  noReceipts,
  noteReceipts,
  type ContractTerms,
  type CoverageDelta,
  type CoverageMark,
  type CoverageSettings,
  type NeighbourHearing,
  type NotedBatch,
  type Receipt,
  type ReceiptBook,
  type Receipts,
  type SignedMark,
} from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import { coverageName, keptMark } from './coverage-store.ts';
import { counterFloors } from './counter-floors.ts';
import { createGenuine } from './genuine-frames.ts';
import { neighbourCall } from './peers.ts';
import { framesBetween, readRing, type AskBridge, type RingPageFrame } from './ring-pages.ts';
import type { Secrets } from './sealed-keys.ts';

/** A customer's look at what its provider hears: the commitments against the frames, and both against what we heard ourselves. */
export interface CoverageCheck {
  /** A commitment of the provider's came. */
  heard(receipts: Receipts): void;
  /** Now and then, whenever it is due. */
  look(): Promise<Ran>;
}

export interface CoverageCheckPorts {
  readonly terms: ContractTerms;
  readonly identity: Identity;
  readonly clock: Clock;
  readonly peers: Readonly<Record<string, HttpPeer>>;
  readonly store: ContractStore;
  readonly log: Log;
  readonly ownSecrets: () => Secrets;
  /** Nobody but us can have made a frame that our keys verify. */
  readonly areKeysSealed: () => boolean;
  /** How each device sends, as far as this edge knows, by DevEUI. */
  readonly settings: () => Promise<ReadonlyMap<string, CoverageSettings>>;
  /** For whoever sets the devices' data rates and powers. */
  readonly tellHearing: (messages: readonly NeighbourHearing[]) => Promise<void>;
  readonly everyMs?: number;
}

const OWN = 'own';
const RADIO = 'radio';
/** What was heard later may still be committed to. */
const HORIZON_MS = 5000;
/** A wall clock that moved so far against the monotonic one between two looks was set: nothing in between can be dated. */
const CLOCK_SLACK_MS = 250;
const TRY_AGAIN_MS = 5000;
const IN_A_TURN = 100;

const rateOf = ({ rx }: RingPageFrame): string => `SF${rx.spreadingFactor}BW${rx.bandwidth}`;

/** Undefined for what no ring of ours would hold. */
function receiptOf(phyPayload: Uint8Array): Receipt | undefined {
  try {
    const { devAddr, fcnt16, mic } = parseDataFrame(phyPayload);
    return { devAddr, fcnt: fcnt16, mic: toHex(mic) };
  } catch (error) {
    if (isAntirioError(error, 'invalidInput')) return undefined;
    throw error;
  }
}

export function createCoverageCheck(ports: CoverageCheckPorts): CoverageCheck {
  const { terms, identity, clock, peers, store, log, everyMs = GENUINE_EVERY_MS } = ports;
  const { contractId, provider } = terms;
  const tally = createCoverageTally();
  const hearing = createHearingBook();
  const theirs: AskBridge = (path) => neighbourCall(peers, provider, 'gateway-bridge', { path });
  const bridge = peers['gatewayBridge'];
  const ours: AskBridge | undefined = bridge && ((path) => callJson(bridge, { path }));
  let book: ReceiptBook = noReceipts;
  /** Where our own ring was read to. */
  let own: { readonly incarnation: string; readonly through: number } | undefined;
  let offsetMs = 0;
  let lookedAt = -Infinity;
  let triedAt = -Infinity;
  let newest: CoverageMark['receipts'] = { chain: '', batch: 0, hash: NO_RECEIPTS };

  const begin = async (ask: AskBridge): Promise<void> => {
    const { incarnation, next } = await readRing(ask, OWN);
    own = { incarnation, through: next - 1 };
    offsetMs = clock.now() - clock.monotonic();
    book = { ...noReceipts, newest: book.newest };
    tally.forget();
  };

  /** What our own gateway heard since we looked last. */
  const countOwn = async (
    ask: AskBridge,
    genuine: ReturnType<typeof createGenuine>,
    until: number,
  ): Promise<boolean> => {
    const { incarnation, next } = await readRing(ask, OWN);
    if (own?.incarnation !== incarnation || next - 1 < own.through) return false;
    for await (const frames of framesBetween(ask, OWN, own.through, next - 1)) {
      for (const frame of frames) {
        const found = frame.via === RADIO ? genuine(fromBase64(frame.phyPayload)) : undefined;
        if (found === undefined) continue;
        const at = frame.receivedAt - offsetMs;
        tally.heard({ ...found.session, fcnt: found.fcnt }, at, rateOf(frame));
        // what is younger may still be committed to
        if (at <= until) hearing.sent(found.session.devAddr, found.fcnt);
      }
      await turn();
    }
    own = { incarnation, through: next - 1 };
    return true;
  };

  const countShown = async (
    noted: NotedBatch,
    frames: readonly RingPageFrame[],
    genuine: ReturnType<typeof createGenuine>,
  ): Promise<void> => {
    const payloads = frames.map(({ phyPayload }) => fromBase64(phyPayload));
    const rows = payloads.flatMap((bytes) => receiptOf(bytes) ?? []);
    if (!isCommitted(contractId, noted, rows)) {
      log.warn({ batch: noted.head.batch }, 'the provider’s ring is not what it committed to');
      return;
    }
    for (const [i, bytes] of payloads.entries()) {
      const found = genuine(bytes);
      const frame = frames[i];
      if (found !== undefined && frame !== undefined) {
        tally.shown({ ...found.session, fcnt: found.fcnt }, noted.cameAt, frame.seq);
        hearing.heard(found.session.devAddr, found.fcnt, frame.rx.snr);
      }
      if (i % IN_A_TURN === IN_A_TURN - 1) await turn();
    }
  };

  /** What the provider's ring has of the commitments that came. */
  const countTheirs = async (genuine: ReturnType<typeof createGenuine>): Promise<void> => {
    const { pending } = book;
    if (pending.length === 0) return;
    const { incarnation } = await readRing(theirs, contractId);
    for (const noted of pending) {
      const { head, before } = noted;
      if (noted.incarnation !== incarnation) continue;
      const frames: RingPageFrame[] = [];
      for await (const page of framesBetween(theirs, contractId, before.through, head.through))
        frames.push(...page);
      await countShown(noted, frames, genuine);
      newest = { chain: noted.chain, batch: head.batch, hash: head.hash };
    }
    const done = new Set(pending);
    book = { ...book, pending: book.pending.filter((one) => !done.has(one)) };
  };

  const sign = (delta: CoverageDelta, settings: CoverageSettings, keyVersion: number): SignedMark => {
    const known = keptMark(store, contractId, delta.devEui)?.body;
    const follows = refusedOnce.has(delta.devEui) ? undefined : known;
    const parts = { contractId, keyVersion, at: clock.now(), receipts: newest };
    const body = markOf(follows, delta, settings, parts);
    return { body, signatures: { customer: signDocument(identity, COVERAGE_KIND, body).signature } };
  };
  /** Devices whose marks the provider does not follow: they begin anew. */
  const refusedOnce = new Set<string>();

  const tell = async (deltas: readonly CoverageDelta[], keyVersion: number): Promise<void> => {
    const settings = await ports.settings();
    const marks = deltas.map((delta) => sign(delta, settings.get(delta.devEui) ?? {}, keyVersion));
    const path = `/arbitrator/v1/contract/${contractId}/coverage`;
    const call = { method: 'POST', path, json: { marks } } as const;
    const { answers } = parseInput(markAnswers, await neighbourCall(peers, provider, 'arbitrator', call));
    const signed: [string, SignedMark][] = [];
    for (const [i, mark] of marks.entries()) {
      const answer = answers[i];
      const { devEui } = mark.body;
      if (answer === undefined || 'refused' in answer) {
        refusedOnce.add(devEui);
        log.warn({ devEui, why: answer?.refused }, 'the provider does not sign how well it hears a device');
        continue;
      }
      const signatures = { ...mark.signatures, provider: answer.signature };
      if (!isMarkSigned({ body: mark.body, signatures }, terms)) continue;
      refusedOnce.delete(devEui);
      signed.push([coverageName(devEui), { body: mark.body, signatures }]);
    }
    store.putDocuments(contractId, signed);
    tally.marked(deltas);
  };

  const check = async (ask: AskBridge): Promise<boolean> => {
    const until = clock.monotonic() - HORIZON_MS;
    const moved = Math.abs(clock.now() - clock.monotonic() - offsetMs) > CLOCK_SLACK_MS;
    const secrets = ports.ownSecrets();
    const genuine = createGenuine(secrets, await counterFloors(peers, OWN));
    if (own === undefined || moved || book.overflown || !(await countOwn(ask, genuine, until))) {
      await begin(ask);
      return false;
    }
    offsetMs = clock.now() - clock.monotonic();
    await countTheirs(genuine);
    await ports.tellHearing(hearing.messages());
    const due = tally.due(until, ports.areKeysSealed());
    for (let i = 0; i < due.length; i += MARKS_AT_ONCE)
      await tell(due.slice(i, i + MARKS_AT_ONCE), secrets.keyVersion);
    return true;
  };

  return {
    heard(receipts) {
      if (receipts.contractId === contractId) book = noteReceipts(book, receipts, clock.monotonic());
    },
    async look() {
      const now = clock.monotonic();
      if (ours === undefined || now - lookedAt < everyMs || now - triedAt < TRY_AGAIN_MS) return 'rested';
      triedAt = now;
      // whatever began just now is looked at sooner
      lookedAt = (await check(ours)) ? now : now - everyMs + everyMs / 4;
      return 'worked';
    },
  };
}
