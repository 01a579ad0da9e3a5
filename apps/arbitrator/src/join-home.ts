import { Counter, type Registry } from 'prom-client';
import { z } from 'zod';
import { callJson, parseInput, type HttpPeer, type Log } from '@antirio/host';
import { describeError, type Clock } from '@antirio/kernel';
import { JOINS_IN_ALL, type ContractTerms } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import { airedJoin, JOINS_AT_ONCE, keptJoins, type AiredJoin } from './join-records.ts';
import { neighbourCall } from './peers.ts';

const { joinRequest, joinAccept } = airedJoin.shape;
/** What is no JoinRequest or JoinAccept is refused by itself, where the device service looks at each. */
const told = airedJoin.extend({ joinRequest: joinRequest.catch(''), joinAccept: joinAccept.catch('') });
const page = z.looseObject({ total: z.int().min(0), joins: z.array(told).max(JOINS_AT_ONCE) });
const counted = z.record(z.string(), z.int().min(0));
type Counts = z.output<typeof counted>;
const cameHome = z.object({ through: z.int().min(0), counts: counted });

const KIND = 'joinHome';
const DOCUMENT = 'joinsHome';
const CALL_MS = 1500;
const AGAIN_MS = 1000;
/** The device service looks at each of a page, and its ring takes the addresses. */
const TAKE_MS = 10_000;
/** More are no joins, and keep nothing from being read. */
const ALL_OF_THEM = Number.MAX_SAFE_INTEGER;

function added(one: Counts, other: Counts): Counts {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return Object.fromEntries([...names].map((name) => [name, (one[name] ?? 0) + (other[name] ?? 0)]));
}

/** Those that are in order, each above all before it. */
function rising(joins: readonly AiredJoin[], after: number): AiredJoin[] {
  let highest = after;
  return joins.filter(({ n }) => {
    const isNext = n > highest;
    highest = Math.max(highest, n);
    return isNext;
  });
}

/** What came home of joins; undefined where there was none. */
export function joinsHomeOf(
  store: Pick<ContractStore, 'document'>,
  contractId: string,
): z.output<typeof cameHome> | undefined {
  return cameHome.safeParse(store.document(contractId, DOCUMENT)).data;
}

export interface JoinHome {
  /** The provider's joins are known here up to this number; its ring's frames may be read where it tells of no higher one. */
  readonly known: (contractId: string) => number;
  /** The provider's ring tells of joins up to this number: what is not known here is fetched, and given to our device service. */
  readonly told: (terms: ContractTerms, upTo: number) => void;
  /** All that the provider has by now. @throws what the provider or our device service do */
  bring(terms: ContractTerms): Promise<void>;
  /** Those that are known here, for statements. */
  readonly joinsOf: (contractId: string) => readonly AiredJoin[];
  /** By what became of them, since the start. */
  counts(): Counts;
  readonly leave: (contractId: string) => void;
  stop(): Promise<void>;
}

export interface JoinHomePorts {
  readonly peers: Readonly<Record<string, HttpPeer>>;
  readonly store: ContractStore;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
}

/** As a customer: joins that a provider answered come home as the bytes that were on air, before any frame under their sessions is read. */
export function createJoinHome({ peers, store, clock, log }: JoinHomePorts): JoinHome {
  const { deviceLora } = peers;
  const kept = keptJoins(store, KIND, airedJoin);
  const underWay = new Map<string, Promise<void>>();
  /** By contract, when it was asked for last without getting any. */
  const inVainAt = new Map<string, number>();
  const failing = new Set<string>();
  let total: Counts = {};
  let isStopped = false;

  const throughOf = (contractId: string): number => joinsHomeOf(store, contractId)?.through ?? 0;
  const give = async (
    { devAddrRange: range }: ContractTerms,
    joins: readonly AiredJoin[],
  ): Promise<Counts> => {
    if (joins.length === 0 || deviceLora === undefined) return {};
    const aired = joins.map(({ at, joinRequest, joinAccept }) => ({ at, joinRequest, joinAccept }));
    const path = '/api/v3/lora/join';
    const json = { range, joins: aired };
    return parseInput(
      counted,
      await callJson(deviceLora, { method: 'POST', path, json, timeoutMs: TAKE_MS }),
    );
  };
  const settle = (
    { contractId }: ContractTerms,
    joins: readonly AiredJoin[],
    through: number,
    counts: Counts,
  ): void => {
    const before = joinsHomeOf(store, contractId)?.counts ?? {};
    kept.add(contractId, joins, [[DOCUMENT, { through, counts: added(before, counts) }]]);
    total = added(total, counts);
  };
  /** One page; whether there are more. */
  const bringSome = async (terms: ContractTerms): Promise<boolean> => {
    const { contractId, provider } = terms;
    const after = throughOf(contractId);
    const path = `/arbitrator/v1/contract/${contractId}/joins?after=${after}`;
    const answer = await neighbourCall(peers, provider, 'arbitrator', { path, timeoutMs: CALL_MS });
    const { total: last, joins } = parseInput(page, answer);
    const some = rising(joins, after).slice(0, JOINS_IN_ALL - kept.all(contractId).length);
    const through = some.at(-1)?.n;
    if (through === undefined) {
      inVainAt.set(contractId, clock.monotonic());
      return false;
    }
    // the device service first: what it has on its disk it knows again
    const counts = await give(terms, some);
    settle(terms, some, through, counts);
    log.info({ contract: contractId, through, ...counts }, 'joins that the provider answered came home');
    return through < last;
  };
  const bring = (terms: ContractTerms): Promise<void> => {
    const { contractId } = terms;
    const work =
      underWay.get(contractId) ??
      (async () => {
        while (!isStopped && (await bringSome(terms)));
      })().finally(() => underWay.delete(contractId));
    underWay.set(contractId, work);
    return work;
  };
  const known = (contractId: string): number =>
    kept.all(contractId).length >= JOINS_IN_ALL ? ALL_OF_THEM : throughOf(contractId);
  return {
    known,
    told(terms, upTo) {
      const { contractId } = terms;
      if (isStopped || upTo <= known(contractId) || underWay.has(contractId)) return;
      if (clock.monotonic() - (inVainAt.get(contractId) ?? -Infinity) < AGAIN_MS) return;
      const failed = (error: unknown): void => {
        inVainAt.set(contractId, clock.monotonic());
        // asked each second: said once, until it has worked again
        const level = failing.has(contractId) ? 'debug' : 'warn';
        failing.add(contractId);
        log[level](
          { contract: contractId, error: describeError(error) },
          'joins of the provider are not here yet',
        );
      };
      bring(terms).then(() => failing.delete(contractId), failed);
    },
    bring,
    joinsOf: kept.all,
    counts: () => total,
    leave: kept.forget,
    async stop() {
      isStopped = true;
      await Promise.allSettled(underWay.values());
    },
  };
}

export function countJoinHome(metrics: Registry, home: Pick<JoinHome, 'counts'>): void {
  new Counter({
    name: 'antirio_joins_home_total',
    help: 'joins that providers answered, by what became of them here, since the start',
    labelNames: ['what'],
    registers: [metrics],
    collect() {
      this.reset();
      for (const [what, value] of Object.entries(home.counts())) this.inc({ what }, value);
    },
  });
}
