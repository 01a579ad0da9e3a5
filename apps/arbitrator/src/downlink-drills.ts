import { z } from 'zod';
import { callJson, parseInput, repeat, type HttpPeer, type Log, type Repeating } from '@antirio/host';
import {
  describeError,
  fromUtf8,
  isAntirioError,
  signDocument,
  type Clock,
  type ErrorCode,
  type Identity,
} from '@antirio/kernel';
import {
  LENT_DOWNLINK_KIND,
  LENT_TOPIC,
  MAX_SAMPLED,
  answersForReady,
  hasTimeForDrills,
  lentResult,
  lentSend,
  motesThatAnswered,
  nextSample,
  nextSampleAt,
  noteDownlink,
  type ContractRecord,
  type ContractTerms,
  type LentOutcome,
  type LentSend,
  type Pace,
  type ProtectedDevice,
  type Standing,
} from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import { createDeafness, keptShare, keptShares, shareName } from './downlink-shares.ts';
import type { LedgerClient } from './ledger-client.ts';
import { createLentCounts, type LentCounts } from './lent-counts.ts';
import { SHARES_AT_ONCE } from './lent-routes.ts';
import type { ArbitratorPorts } from './options.ts';
import { neighbourCall, peerNamed } from './peers.ts';
import { createPerContract } from './per-contract.ts';

/** The customer's half of drill downlinks: whether its sensors hear the gateways of those that would serve them. */
export interface DownlinkDrills {
  drive(contract: Standing & { record(): ContractRecord | undefined }): void;
  /** A sample as soon as may be; false where the terms know none. */
  sampleNow(contractId: string): boolean;
  /** What the device service has to send: it is told what became of it. */
  readonly onSend: (topic: string, payload: Uint8Array) => void;
  readonly onResult: (topic: string, payload: Uint8Array) => void;
  readonly counts: LentCounts;
  leave(contractId: string): Promise<void>;
  stop(): Promise<void>;
}

export interface DownlinkDrillsPorts {
  readonly ports: ArbitratorPorts;
  readonly store: ContractStore;
  readonly ledger: Pick<LedgerClient, 'submit'>;
  readonly addresses: (terms: ContractTerms) => readonly ProtectedDevice[];
}

interface Sampled {
  readonly terms: ContractTerms;
  readonly devEui: string;
}

interface Running extends Repeating {
  sampleNow(): void;
}

const EVERY_MS = 1000;
/** The device service may have been started anew, and knows no sample then. */
const TELL_AGAIN_MS = 60_000;
const SAMPLED_AT = 'downlinkSampledAt';
const TOLD = 'downlinkTold';
/** Who answers so has sent nothing. */
const SURELY_NOT: ReadonlySet<ErrorCode> = new Set([
  'busy',
  'conflict',
  'forbidden',
  'gone',
  'invalidInput',
  'notFound',
  'unauthenticated',
]);

const offered = z.looseObject({ offer: z.string().regex(/^[0-9a-f]{32}$/) });
const lentPast = z.looseObject({ fcnt: z.int(), epoch: z.int(), hash: z.string() });
const sentBy = z.looseObject({ status: z.string(), refused: z.string().optional() });

type Outcome = Pick<LentOutcome, 'outcome' | 'why'>;
const notSent = (error: unknown): Outcome => ({ outcome: 'notSent', why: describeError(error) });

/** Offered by the provider first, past our own fence then, and only then to the provider's gateway. */
async function lend(
  { identity, peers }: { identity: Identity; peers: Readonly<Record<string, HttpPeer>> },
  { contractId, provider, set }: ContractTerms,
  { devAddr, uplink, phyPayload, windows, leftMs }: LentSend,
  clock: Pick<Clock, 'monotonic'>,
): Promise<Outcome> {
  const until = clock.monotonic() + leftMs;
  const theirs = (path: string, json: unknown): Promise<unknown> =>
    neighbourCall(peers, provider, 'arbitrator', {
      method: 'POST',
      path: `/arbitrator/v1/contract/${contractId}/lent/${path}`,
      json,
    });
  let loan: unknown;
  try {
    const { offer } = parseInput(offered, await theirs('offer', { uplink }));
    const path = `/api/v3/fence/${set.setId}/lend`;
    const json = { phyPayload, aheadMs: Math.max(0, until - clock.monotonic()) };
    const past = await callJson(peerNamed(peers, 'gatewayBridge'), { method: 'POST', path, json });
    const { fcnt, epoch, hash } = parseInput(lentPast, past);
    const body = { contractId, offer, setId: set.setId, epoch, devAddr, fcnt, hash };
    loan = signDocument(identity, LENT_DOWNLINK_KIND, body);
  } catch (error) {
    return notSent(error);
  }
  try {
    const { status, refused } = parseInput(sentBy, await theirs('send', { loan, phyPayload, windows }));
    if (status === 'OK') return { outcome: 'sent' };
    return { outcome: refused === 'noTxAck' ? 'unsure' : 'notSent', why: refused ?? status };
  } catch (error) {
    const isSure = isAntirioError(error) && SURELY_NOT.has(error.code);
    return isSure ? notSent(error) : { outcome: 'unsure', why: describeError(error) };
  }
}

export function createDownlinkDrills(given: DownlinkDrillsPorts): DownlinkDrills {
  const { ports, store, ledger } = given;
  const counts = createLentCounts();
  const { bus, clock, peers } = ports;
  const running = createPerContract<Running>();
  /** Whose next downlink goes through whose gateway, and until when; by DevAddr. */
  const samples = new Map<string, Sampled & { readonly until: number }>();
  /** Whose answer is waited for; by DevAddr. */
  const sent = new Map<string, Sampled>();

  /** What was tried of each contract, and what its provider does not know yet. */
  const books = new Map<string, { readonly tried: Map<string, number>; readonly untold: Set<string> }>();

  const forget = (id: string, from: Map<string, Sampled>): void => {
    for (const [devAddr, { terms }] of from) if (terms.contractId === id) from.delete(devAddr);
  };
  let toldAt = -Infinity;
  /** It was not heard while it had its turn: the next is for others, for it may never be heard. */
  const passOver = (devAddr: string, { terms, devEui }: Sampled): void => {
    samples.delete(devAddr);
    books.get(terms.contractId)?.tried.set(devEui, clock.now());
  };
  const lapse = (): void => {
    for (const [devAddr, one] of samples) if (one.until <= clock.monotonic()) passOver(devAddr, one);
  };
  /** All that are sampled now: the newest message is the only one that counts. */
  const tellSamples = async (): Promise<void> => {
    const now = clock.monotonic();
    toldAt = now;
    lapse();
    const forMs = Math.max(0, ...[...samples.values()].map(({ until }) => Math.floor(until - now)));
    await bus.publish(`${LENT_TOPIC}/sample`, JSON.stringify({ devAddrs: [...samples.keys()], forMs }));
  };
  const tellSamplesAgain = async (): Promise<void> => {
    if (samples.size > 0 && clock.monotonic() - toldAt > TELL_AGAIN_MS) await tellSamples();
  };
  /** When each had its turn last; all of them at once, for a set may be large. */
  const turnsOf = (
    { contractId }: ContractTerms,
    tried: ReadonlyMap<string, number>,
  ): ReadonlyMap<string, number> =>
    new Map([...keptShares(store, contractId).map(({ devEui, at }) => [devEui, at] as const), ...tried]);

  /** Sensors that another contract's provider does not sample now. */
  const freeOf = (terms: ContractTerms): ReadonlySet<string> => {
    lapse();
    const theirs = ({ devAddr }: ProtectedDevice): boolean => {
      const one = samples.get(devAddr);
      return one !== undefined && one.terms.contractId !== terms.contractId;
    };
    const all = given.addresses(terms);
    const taken = new Set(all.filter(theirs).map(({ devEui }) => devEui));
    return new Set(all.map(({ devEui }) => devEui).filter((devEui) => !taken.has(devEui)));
  };
  const sample = async (
    terms: ContractTerms,
    { pace, tried, free }: { pace: Pace; tried: ReadonlyMap<string, number>; free: ReadonlySet<string> },
  ): Promise<void> => {
    const { contractId, downlinkDrills, set } = terms;
    const now = clock.now();
    for (const [devAddr, one] of samples) if (one.terms.contractId === contractId) passOver(devAddr, one);
    const turns = turnsOf(terms, tried);
    const chosen = new Set(
      nextSample(
        terms,
        (devEui) => turns.get(devEui),
        (devEui) => free.has(devEui),
      ),
    );
    const until = clock.monotonic() + nextSampleAt(terms, pace, now) - now;
    const sampled = new Set<string>();
    for (const { devEui, devAddr } of given.addresses(terms)) {
      if (!chosen.has(devEui) || samples.size >= MAX_SAMPLED) continue;
      samples.set(devAddr, { terms, devEui, until });
      sampled.add(devEui);
    }
    counts.add('notSampled', Math.min(downlinkDrills.motes, set.devices.length) - sampled.size);
    store.putDocument(contractId, SAMPLED_AT, now);
    await tellSamples();
  };
  /** Told again after each start: the provider's disk may be older than our word. */
  const tellProvider = async (
    { contractId, provider }: ContractTerms,
    untold: Set<string>,
  ): Promise<void> => {
    const shares = [...untold]
      .slice(0, SHARES_AT_ONCE)
      .flatMap((one) => keptShare(store, contractId, one) ?? []);
    if (shares.length === 0) return;
    const path = `/arbitrator/v1/contract/${contractId}/lent/result`;
    await neighbourCall(peers, provider, 'arbitrator', { method: 'POST', path, json: { shares } });
    for (const { devEui } of shares) untold.delete(devEui);
  };
  /** What READY waits for. */
  const tellLedger = async (terms: ContractTerms): Promise<void> => {
    const { contractId } = terms;
    const shares = keptShares(store, contractId);
    const answered = motesThatAnswered(shares);
    if (answered === 0 || store.document(contractId, TOLD) === answered) return;
    await ledger.submit({ type: 'drill/downlinks', contractId, sampled: shares.length, answered });
    store.putDocument(contractId, TOLD, answered);
  };
  const start = (contract: Parameters<DownlinkDrills['drive']>[0], log: Log): Running => {
    const { terms } = contract;
    const { contractId, downlinkDrills, set } = terms;
    let isTold = false;
    let isWaiting = false;
    const areDeaf = createDeafness(store, terms, clock);
    const sampleInTurn = async (state: string): Promise<void> => {
      const pace = { state, areDeaf: areDeaf() };
      const last = store.document(contractId, SAMPLED_AT) as number | undefined;
      // a clock that was set back does not put it off
      const at = last === undefined ? undefined : Math.min(last, clock.now());
      if (!isTold && clock.now() < nextSampleAt(terms, pace, at)) return;
      const free = freeOf(terms);
      if (free.size > 0) {
        isTold = false;
        await sample(terms, { pace, tried, free });
      } else if (!isWaiting) counts.add('notSampled', Math.min(downlinkDrills.motes, set.devices.length));
      // its turn comes with the first sensor that has had its downlink
      isWaiting = free.size === 0;
    };
    const look = async (): Promise<void> => {
      if (!hasTimeForDrills('customer', contract.phase().at)) {
        forget(contractId, samples);
        return;
      }
      const state = contract.record()?.state ?? 'VALIDATED';
      await sampleInTurn(state);
      await tellSamplesAgain();
      await tellProvider(terms, untold);
      if (state === 'VALIDATED' && answersForReady(terms) > 0) await tellLedger(terms);
    };
    const tried = new Map<string, number>();
    const untold = new Set(keptShares(store, contractId).map(({ devEui }) => devEui));
    books.set(contractId, { tried, untold });
    const looking = repeat(`drill downlinks ${contractId}`, EVERY_MS, log, look);
    return {
      poke: () => looking.poke(),
      stop: () => looking.stop(),
      sampleNow() {
        isTold = true;
        looking.poke();
      },
    };
  };

  const send = async (request: LentSend): Promise<void> => {
    const { requestId, devAddr } = request;
    const found = samples.get(devAddr);
    samples.delete(devAddr);
    if (found !== undefined) books.get(found.terms.contractId)?.tried.set(found.devEui, clock.now());
    const outcome: Outcome =
      found === undefined
        ? { outcome: 'notSent', why: 'it is not sampled' }
        : await lend({ identity: ports.identity, peers }, found.terms, request, clock);
    if (found !== undefined && outcome.outcome === 'sent') sent.set(devAddr, found);
    counts.add(outcome.outcome);
    await bus.publish(`${LENT_TOPIC}/outcome`, JSON.stringify({ requestId, ...outcome }));
  };

  return {
    drive(contract) {
      const { terms, role } = contract;
      const { contractId, downlinkDrills, set } = terms;
      const isDrilled = role === 'customer' && downlinkDrills.motes > 0 && set.devices.length > 0;
      if (!isDrilled) return;
      running.begin(contractId, () => start(contract, ports.log.child({ contract: contractId, role })));
    },
    sampleNow(contractId) {
      const one = running.all.get(contractId);
      one?.sampleNow();
      return one !== undefined;
    },
    counts,
    onSend(_topic, payload) {
      // one that is slow holds up no other
      send(parseInput(lentSend, JSON.parse(fromUtf8(payload)))).catch((error: unknown) => {
        ports.log.warn({ error: describeError(error) }, 'a drill downlink failed');
      });
    },
    onResult(_topic, payload) {
      const { devAddr, answered, margin } = parseInput(lentResult, JSON.parse(fromUtf8(payload)));
      const found = sent.get(devAddr);
      sent.delete(devAddr);
      if (found === undefined) return;
      const { terms, devEui } = found;
      const { contractId } = terms;
      const one = { devEui, at: clock.now(), answered, margin };
      store.putDocument(
        contractId,
        shareName(devEui),
        noteDownlink(keptShare(store, contractId, devEui), one),
      );
      counts.add(answered ? 'answered' : 'unanswered');
      books.get(contractId)?.untold.add(devEui);
      running.all.get(contractId)?.poke();
    },
    async leave(contractId) {
      for (const from of [samples, sent]) forget(contractId, from);
      books.delete(contractId);
      await running.leave(contractId);
    },
    stop: () => running.stop(),
  };
}
