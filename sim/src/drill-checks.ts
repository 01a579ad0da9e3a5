import type { ContractRecord } from '@antirio/ledger-machine';
import { keys } from '@antirio/ledger-machine';
import type { ContractTerms, Drill } from '@antirio/service-contract';
import type { Judge } from './checks.ts';
import { fullDrillsOf } from './full-drill-checks.ts';
import type { Link } from './network.ts';
import type { World } from './world.ts';

const LOOK_EVERY_MS = 250;

const isQuick = ({ latencyMs, jitterMs }: Link): boolean => latencyMs + jitterMs < 250;

function drillsOf({ ledger }: Pick<World, 'ledger'>, { contractId }: ContractTerms): Drill[] {
  const { drills } = ledger.read(keys.contract(contractId)) as ContractRecord;
  const count = drills?.started ?? 0;
  return Array.from({ length: count }, (_, i) => ledger.read(keys.drill(contractId, i + 1)) as Drill);
}

/** What the provider has paid for drills. */
export function paidInDrills(world: Pick<World, 'ledger'>, terms: ContractTerms): number {
  const all = [...drillsOf(world, terms), ...fullDrillsOf(world, terms)];
  return all.reduce((sum, { penalty = 0 }) => sum + penalty, 0);
}

/** What a drill may have cost at most. */
function mostFor({ state, counts }: Drill, { drills }: ContractTerms): number {
  return state === 'failed' && counts ? drills.penalty : 0;
}

/** One penalty for a failed drill, none for any other, and drills are passed at all. */
export function checkPenalties(world: World, judge: Judge): void {
  for (const { terms } of world.contracts) {
    if (terms.drills.perMonth === 0) continue;
    const drills = drillsOf(world, terms);
    for (const drill of drills) {
      const { number, state, penalty = 0 } = drill;
      const most = mostFor(drill, terms);
      if (penalty > most) judge.broken('money', `drill ${number} (${state}) cost ${penalty} of ${most}`);
    }
    if (!drills.some(({ state }) => state === 'passed'))
      judge.broken('converged', 'in the end no drill was ever passed');
  }
}

/** Whether a provider that paid could have done anything about it. */
export function watchDrills(world: World, judge: Judge, ledgerMs: number): void {
  const { engine, hosts, network, ledger, terms } = world;
  if (terms.drills.perMonth === 0) return;
  let wellSince = 0;
  let livesBefore = 0;
  const seen = new Set<number>();
  const askedAt = new Map<number, number>();
  const links = [network.link('B', 'central'), network.link('central', 'B')];
  const areGood = (): boolean =>
    links.every((link) => !link.cut && link.loss <= 0.2 && link.resets < 0.1 && isQuick(link));
  const isWell = (): boolean => hosts.B.running && hosts.central.running && ledger.isWhole() && areGood();
  const lookAtHealth = (): void => {
    const lives = hosts.B.incarnation + hosts.central.incarnation;
    if (!isWell() || lives !== livesBefore) wellSince = engine.now;
    livesBefore = lives;
  };
  const lookAt = ({ number, state, penalty = 0, reason = 'givenUp' }: Drill): void => {
    if (!askedAt.has(number)) askedAt.set(number, engine.now);
    if (state !== 'failed' || penalty === 0 || seen.has(number)) return;
    seen.add(number);
    // Who was well for as long as it takes, from the question on, was able to.
    if (ledgerMs <= 400 && wellSince < (askedAt.get(number) ?? 0))
      judge.broken('punished', `B was well all along, and paid ${penalty} for drill ${number} (${reason})`);
  };
  const look = (): void => {
    engine.after(LOOK_EVERY_MS, look);
    lookAtHealth();
    for (const drill of drillsOf(world, terms)) lookAt(drill);
  };
  engine.after(LOOK_EVERY_MS, look);
}
