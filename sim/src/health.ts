import type { Judge } from './checks.ts';
import type { Link } from './network.ts';
import { TAKEOVER_SLA_MS, type NodeName } from './scenario.ts';
import type { World } from './world.ts';

/** Within so long, four leases and some blocks, whatever happened before: a provider that can collects; somebody acts. */
const COLLECTS_WITHIN_MS = 9000;
const ACTS_WITHIN_MS = 12_000;
/** What a provider needs at a stretch to take over, besides: much less than the terms give it. */
const ABLE_MS = 12_000;
const LOOK_EVERY_MS = 250;

const idlePhases: ReadonlySet<string> = new Set(['ready', 'opening', 'stated']);

/**
 * Watches over time whether somebody serves the customer's sensors while the world does not change, and whether a provider
 * that is ruled to be in breach could have done anything about it.
 */
export function watchHealth(world: World, judge: Judge, ledgerMs: number) {
  const { engine, network, hosts, terms, A, B } = world;
  const patienceMs = 4 * terms.leaseMs + 8 * ledgerMs;
  let changedAt = 0;
  let customerSeenAt = 0;
  let actedAt = 0;
  let servedAt = 0;
  let wellSince: number | undefined;
  let customerWellSince: number | undefined;
  let longestAble = 0;

  const both = (one: NodeName, other: NodeName): Link[] => [
    network.link(one, other),
    network.link(other, one),
  ];
  const isCut = (one: NodeName, other: NodeName): boolean => both(one, other).some((link) => link.cut);
  /** A lease that is as short as a round trip is over when it comes. */
  const isQuick = ({ latencyMs, jitterMs }: Link): boolean => 4 * (latencyMs + jitterMs) < terms.leaseMs;
  const isGood = (one: NodeName, other: NodeName): boolean =>
    both(one, other).every((link) => !link.cut && link.loss <= 0.2 && link.resets < 0.1 && isQuick(link));
  const isGone = (): boolean => !hosts.A.up || hosts.A.frozen || (isCut('A', 'B') && isCut('A', 'central'));
  const isUnserved = (): boolean => isGone() || isCut('A', 'central');
  /** Who is held back by its operator does nothing about it. */
  const isHeld = (edge: 'A' | 'B'): boolean => world[edge].disk.held;
  const isWell = (edge: 'A' | 'B'): boolean =>
    hosts[edge].running && hosts.central.running && isGood(edge, 'central') && !isHeld(edge);

  const lookAtProvider = (calmMs: number): void => {
    const { party } = B.rooms();
    const { at } = party.phase();
    const collects = idlePhases.has(at) && party.desires().service !== 'active';
    const asks = terms.opening === 'witnessed' || at === 'stated';
    const able = asks ? isWell('B') : hosts.B.running && !isHeld('B');
    if (isGone() && able && collects)
      judge.broken(
        'takeover',
        `the customer is gone for ${Math.round(calmMs)} ms, and the provider is ${at}`,
      );
  };
  const lookAtActing = (): void => {
    const acts = [A, B].some((edge) => edge.host.running && edge.rooms().party.mayAct());
    const free = A.host.running && A.rooms().party.desires().fence.state === 'none';
    if (acts || free || !(isWell('A') || isWell('B'))) actedAt = engine.now;
    if (engine.now - Math.max(actedAt, changedAt) < ACTS_WITHIN_MS + patienceMs) return;
    const phases = [A, B].map((edge) => edge.rooms().party.phase().at).join(' and ');
    // before the contract begins nobody else may, and when it is over nobody has to
    if (/preparing|ended/.test(phases) && !isWell('A')) return;
    judge.broken('acting', `nobody acts for ${Math.round(engine.now - actedAt)} ms: ${phases}`);
  };
  const look = (): void => {
    engine.after(LOOK_EVERY_MS, look);
    const { now } = engine;
    if (isWell('B')) wellSince ??= now;
    else wellSince = undefined;
    if (isWell('A') && !isUnserved()) customerWellSince ??= now;
    else customerWellSince = undefined;
    if (!isGone()) customerSeenAt = now;
    if (!isUnserved()) servedAt = now;
    if (wellSince !== undefined) longestAble = Math.max(longestAble, now - Math.max(wellSince, servedAt));
    const calmMs = now - Math.max(changedAt, customerSeenAt);
    if (calmMs >= COLLECTS_WITHIN_MS + patienceMs) lookAtProvider(calmMs);
    lookAtActing();
  };
  engine.after(LOOK_EVERY_MS, look);
  return {
    onChange(): void {
      changedAt = engine.now;
    },
    onRuling(overMs: number): void {
      const able = Math.round(longestAble);
      const servedMs = engine.now - (customerWellSince ?? engine.now);
      // to be punished for what one could not do is what the takeover time in the terms is agreed for; a customer that has
      // just come back, or that the grantor cannot hear, does not make up for the time before
      if (able >= ABLE_MS + patienceMs || servedMs >= terms.leaseMs + 8 * ledgerMs)
        judge.broken(
          'punished',
          `ruled after ${Math.round(overMs)} ms of ${TAKEOVER_SLA_MS}; the provider was able for ${able} ms at a stretch`,
        );
    },
  };
}
