import type { EdgeId } from '@antirio/kernel';
import type { ContractRecord } from '@antirio/ledger-machine';
import { hasServedOut, keepsOnly, opensWhenOffline } from '@antirio/service-contract';
import type { Payload } from './ledger.ts';
import type { SetRecord } from './ledger-view.ts';
import { createAbleStretches } from './able.ts';
import { watchBridge } from './bridge-watch.ts';
import type { EdgeNode } from './edge.ts';
import type { Judge } from './checks.ts';
import type { Link } from './network.ts';
import type { PartyHost, Phase } from './party-host.ts';
import { TAKEOVER_SLA_MS, type EdgeName, type NodeName, type Scenario } from './scenario.ts';
import type { SimContract, World } from './world.ts';

/** Within so long, three leases and some blocks, whatever happened before, a provider that can collects. */
const COLLECTS_WITHIN_MS = 9000;
/** Somebody acts: a call of a centre that died may be waited for (5 s), a living customer without a lease is (7 s), and what may be on air. */
const ACTS_WITHIN_MS = 16_000;
/** What a provider needs at a stretch to take over, besides: much less than the terms give it. */
const ABLE_MS = 12_000;
const LOOK_EVERY_MS = 250;
/** Two clocks, each up to 2 % off. */
const CLOCKS_APART = 0.05;
/** The witness's word counts for 3 s, and is a while on its way. */
const WITNESSED_MS = 5000;
/** Probes are seldom lost, and answered in time. */
const WITNESS_LOSS = 0.05;
const WITNESS_ROUND_MS = 80;

const ownsIn: ReadonlySet<string> = new Set(['guarded', 'retaken', 'stating', 'stated']);
const comesBackIn: ReadonlySet<string> = new Set(['retaken', 'stating', 'stated']);
const idlePhases: ReadonlySet<string> = new Set(['ready', 'opening', 'stated']);

/**
 * Watches over time whether somebody serves the customer's sensors while the world does not change, and whether a provider
 * that is ruled to be in breach could have done anything about it.
 */
export function watchHealth(world: World, judge: Judge, { ledgerMs, attack, faithless }: Scenario) {
  const { engine, network, hosts, ledger, terms, A, contracts } = world;
  const names = contracts.map(({ name }) => name);
  /** Against being away. */
  const isInsured = contracts.some((one) => opensWhenOffline(one.terms));
  const patienceMs = 4 * terms.leaseMs + 8 * ledgerMs;
  let changedAt = 0;
  let customerSeenAt = 0;
  let actedAt = 0;
  let servedAt = 0;
  const wellSince = new Map<EdgeName, number>();
  const able = createAbleStretches();
  let customerWellSince: number | undefined;
  let reachableSince = Infinity;

  const both = (one: NodeName, other: NodeName): Link[] => [
    network.link(one, other),
    network.link(other, one),
  ];
  const isCut = (one: NodeName, other: NodeName): boolean => both(one, other).some((link) => link.cut);
  /** A lease that is as short as a round trip is over when it comes. */
  const isQuick = ({ latencyMs, jitterMs }: Link): boolean => 4 * (latencyMs + jitterMs) < terms.leaseMs;
  const isGood = (one: NodeName, other: NodeName): boolean =>
    both(one, other).every((link) => !link.cut && link.loss <= 0.2 && link.resets < 0.1 && isQuick(link));
  /** Whose disk holds the whole process up for a quarter of a lease at each write has no lease when it gets to it. */
  const isPrompt = (edge: EdgeName): boolean => 4 * hosts[edge].syncsInMs < terms.leaseMs;
  const isAlone = (): boolean => isCut('A', 'central') && names.every((name) => isCut('A', name));
  const edgeOf = (edge: EdgeName): EdgeNode => world.providers.get(edge) ?? A;
  /** All of it, its arbitrator too. */
  const isRunning = (edge: EdgeName): boolean => hosts[edge].running && !edgeOf(edge).disk.hung;
  const isGone = (): boolean => !hosts.A.up || hosts.A.frozen || A.disk.hung || isAlone();
  const isUnserved = (): boolean => isGone() || isCut('A', 'central');
  /** Who is held back by its operator does nothing about it. */
  const isHeld = (edge: EdgeName): boolean => edgeOf(edge).disk.held;
  /** An edge without its bridge, or room on its disk, does nothing for its sensors, and one that cannot keep a lease does so rarely. */
  const isWhole = (edge: EdgeName): boolean =>
    isRunning(edge) && isPrompt(edge) && !edgeOf(edge).disk.bridgeDead && !hosts[edge].full;
  const isWell = (edge: EdgeName): boolean =>
    isWhole(edge) &&
    hosts.central.running &&
    !world.centralDisk.mute &&
    ledger.isWhole() &&
    isGood(edge, 'central') &&
    !isHeld(edge);

  /** The centre has its answer to probes as soon as it asks. */
  const isReachable = (): boolean =>
    isRunning('A') &&
    !hosts.A.slow &&
    hosts.central.running &&
    !hosts.central.slow &&
    both('A', 'central').every(
      ({ cut, loss, latencyMs, jitterMs }) =>
        !cut && loss <= WITNESS_LOSS && 2 * (latencyMs + jitterMs) <= WITNESS_ROUND_MS,
    );

  /** A provider has served for `maxActiveS`, and nobody else has had the epoch since: nothing more is expected of it. */
  const isServedOut = (): boolean => {
    const set = ledger.read(`set/${terms.set.setId}`) as SetRecord;
    const live = contracts
      .map((one) => one.terms)
      .filter(({ contractId }) => set.contracts.includes(contractId));
    // by its own clock it may be there a little sooner, and gives back then
    return hasServedOut(set, live, hosts.central.clock.wall() + CLOCKS_APART * terms.maxActiveS * 1000);
  };

  /** No provider may begin any more. */
  const isOver = (): boolean => hosts.central.clock.wall() >= terms.expiresAt;
  const isDone = (): boolean => isServedOut() || isOver();

  /** The ledger gives its provider no epoch before both state the same, or the dispute has ended. */
  const isDisputed = ({ terms: { contractId } }: SimContract): boolean => {
    const { life, dispute } = ledger.read(`contract/${contractId}`) as ContractRecord;
    return life.state === 'HANDED_BACK' && dispute !== undefined;
  };
  /** Neither serves nor is kept from it by anything but itself. */
  const isIdle = ({ name, providerParty }: SimContract): boolean => {
    const { at } = providerParty().phase();
    const collects = idlePhases.has(at) && providerParty().desires().service !== 'active';
    const asks = terms.opening === 'witnessed' || at === 'stated';
    return collects && (asks ? isWell(name) : isRunning(name) && !isHeld(name));
  };
  const serves = ({ name, providerParty }: SimContract): boolean =>
    hosts[name].up && providerParty().desires().service === 'active';
  const lookAtProviders = (calmMs: number): void => {
    if (!isInsured || !isGone() || contracts.some(serves) || isDone()) return;
    const idle = contracts.find((one) => opensWhenOffline(one.terms) && isIdle(one) && !isDisputed(one));
    if (idle !== undefined)
      judge.broken(
        'takeover',
        `the customer is gone for ${Math.round(calmMs)} ms, and ${idle.name} is ${idle.providerParty().phase().at}`,
      );
  };
  /** Has nothing between itself and the sensors of a customer that gives its word. */
  const wouldServe = ({ name, providerParty }: SimContract): boolean =>
    !isOver() &&
    idlePhases.has(providerParty().phase().at) &&
    isWell(name) &&
    isGood('A', name) &&
    !edgeOf(name).gateway.dead;
  const mayGive = (): boolean => isRunning('A') && !isHeld('A') && isGood('A', 'central');
  const lookAtBridge = watchBridge(world, judge, {
    withinMs: terms.deaf.forMs + COLLECTS_WITHIN_MS + patienceMs,
    mayGive,
    serves,
    wouldServe,
  });
  const parties = (): PartyHost[] => [
    ...A.parties(),
    ...contracts.map(({ providerParty }) => providerParty()),
  ];
  /** Who is just back and has no room takes nothing in: its lease serves nobody. */
  const actsInVain = (party: PartyHost): boolean => hosts.A.full && comesBackIn.has(party.phase().at);
  const mayAct = (): boolean =>
    (A.host.running && A.parties().some((party) => party.mayAct() && !actsInVain(party))) ||
    contracts.some(({ name, providerParty }) => hosts[name].running && providerParty().mayAct());
  /** Whether all parties have each other, and agree with the ledger on who of them has the epoch: they need no grantor to act. */
  const areTogether = (): boolean => haveEachOther() && agreeOnHolder() && !isServedOut();
  const haveEachOther = (): boolean => {
    const edges: EdgeName[] = ['A', ...names];
    const isJoined = (one: EdgeName): boolean =>
      isWhole(one) && edges.every((other) => one === other || isGood(one, other));
    return edges.every(isJoined);
  };
  /** Those that are to promise the holder something have, each since its start. */
  const haveHeardLedger = (holder: string): boolean => {
    const others =
      holder === terms.customer ? contracts.map(({ providerParty }) => providerParty()) : A.parties();
    return others.every((party) => party.asSibling().promiser.newest > 0);
  };
  const agreeOnHolder = (): boolean => {
    const { holder, epoch, released } = ledger.read(`set/${terms.set.setId}`) as SetRecord;
    if (released?.epoch === epoch || !haveHeardLedger(holder)) return false;
    const own = A.parties().map((party) => party.phase());
    const theirs = contracts.map(({ providerParty }) => providerParty().phase());
    const isOurs = (phase: Phase): boolean => 'epoch' in phase && phase.epoch === epoch;
    if (holder === terms.customer)
      return (
        own.every((one) => isOurs(one) && ownsIn.has(one.at)) && theirs.every((one) => idlePhases.has(one.at))
      );
    const [first] = theirs;
    const serves = theirs.length === 1 && first?.at === 'active' && isOurs(first);
    return serves && own.every((one) => isOurs(one) && one.at === 'recovering');
  };
  const isLeftAlone = (): boolean => !isInsured && isUnserved();
  const mayTake = (one: SimContract): boolean =>
    isWell(one.name) && !keepsOnly(one.terms) && !isDisputed(one) && !isDone();
  /** It beats and answers between two writes, so that nobody takes over from it. */
  const isTooSlow = (): boolean => hosts.A.up && !hosts.A.frozen && !A.disk.hung && !isPrompt('A');
  const lookAtActing = (): void => {
    const anyWell = (): boolean => isWell('A') || (contracts.some(mayTake) && !isTooSlow());
    const canAct = (): boolean => areTogether() || (anyWell() && !isLeftAlone());
    if (mayAct() || !canAct()) actedAt = engine.now;
    if (engine.now - Math.max(actedAt, changedAt) < ACTS_WITHIN_MS + patienceMs) return;
    const phases = parties()
      .map((party) => party.phase().at)
      .join(' and ');
    // before the contract begins nobody else may, and when it is over nobody has to
    if (/preparing|ended/.test(phases) && !isWell('A')) return;
    judge.broken('acting', `nobody acts for ${Math.round(engine.now - actedAt)} ms: ${phases}`);
  };
  const lookAtWells = (now: number): void => {
    for (const name of names) {
      if (isWell(name)) wellSince.set(name, wellSince.get(name) ?? now);
      else wellSince.delete(name);
    }
  };
  const measureAble = (now: number): void => {
    for (const [name, since] of wellSince) able.saw(name, Math.max(since, servedAt), now);
  };
  const lookAtDuties = (now: number): void => {
    if (faithless !== undefined && now >= faithless.lazyFrom) return;
    const calmMs = now - Math.max(changedAt, customerSeenAt);
    if (calmMs >= COLLECTS_WITHIN_MS + patienceMs) lookAtProviders(calmMs);
    lookAtActing();
    lookAtBridge(now, changedAt);
  };
  const look = (): void => {
    engine.after(LOOK_EVERY_MS, look);
    const { now } = engine;
    lookAtWells(now);
    if (isWell('A') && !isUnserved()) customerWellSince ??= now;
    else customerWellSince = undefined;
    // before it is READY, a provider has nothing to take over with
    const unready = contracts.every(({ providerParty }) => providerParty().phase().at === 'preparing');
    if (!isGone() || unready) customerSeenAt = now;
    if (!isUnserved()) servedAt = now;
    measureAble(now);
    reachableSince = isReachable() ? Math.min(reachableSince, now) : Infinity;
    lookAtDuties(now);
  };
  engine.after(LOOK_EVERY_MS, look);
  const hidesProbes = attack.patient && attack.kinds.includes('probeReply');
  /** Without its customer's word: of whoever answers the witness for longer than its word counts no keys are opened. */
  const onOpened = (contractId: string): void => {
    const opened = contracts.find((one) => one.terms.contractId === contractId);
    const reachableMs = engine.now - Math.max(reachableSince, changedAt);
    if (opened?.terms.opening !== 'witnessed' || hidesProbes) return;
    if (reachableMs >= WITNESSED_MS + 3 * ledgerMs)
      judge.broken('escrow', `keys are opened of a customer that is there for ${Math.round(reachableMs)} ms`);
  };
  return {
    onRecorded(payload: Payload): void {
      if (payload.type === 'contract/open' && payload.evidence?.word === undefined)
        onOpened(payload.contractId);
    },
    onChange(): void {
      changedAt = engine.now;
    },
    /** Who may act between two looks, and is held up by its disk at each, is seen by what it sends. */
    onAir(): void {
      actedAt = engine.now;
    },
    onRuling(overMs: number, provider: EdgeId): void {
      if (faithless !== undefined) return;
      const ruled = contracts.find((one) => one.terms.provider === provider);
      // the outage that is ruled on begins about a lease before the customer's lease was over: in one before it the provider
      // may have been able for long, and have served, which makes nobody able who is dead in this one
      const beganAt = engine.now - overMs - terms.leaseMs;
      const ableMs = Math.round(able.longestAfter(ruled?.name ?? 'B', beganAt));
      const servedMs = engine.now - (customerWellSince ?? engine.now);
      // to be punished for what one could not do is what the takeover time in the terms is agreed for; a customer that has
      // just come back, or that the grantor cannot hear, does not make up for the time before
      if (ableMs >= ABLE_MS + patienceMs || servedMs >= terms.leaseMs + 8 * ledgerMs)
        judge.broken(
          'punished',
          `ruled after ${Math.round(overMs)} ms of ${TAKEOVER_SLA_MS}; the provider was able for ${ableMs} ms at a stretch`,
        );
    },
  };
}
