import { keys, type ContractRecord } from '@antirio/ledger-machine';
import { drillWordMs, type ContractTerms, type FullDrill } from '@antirio/service-contract';
import type { Judge } from './checks.ts';
import type { Link } from './network.ts';
import type { World } from './world.ts';

const LOOK_EVERY_MS = 250;

export function fullDrillsOf({ ledger }: Pick<World, 'ledger'>, { contractId }: ContractTerms): FullDrill[] {
  const { fullDrills } = ledger.read(keys.contract(contractId)) as ContractRecord;
  const count = fullDrills?.started ?? 0;
  return Array.from({ length: count }, (_, i) => ledger.read(keys.fullDrill(contractId, i + 1)) as FullDrill);
}

/** One penalty for a failed drill that the terms demand, none for any other; and no drill is a takeover, nor a takeover a drill. */
export function checkFullDrills(world: World, judge: Judge): void {
  for (const { terms } of world.contracts) {
    const drills = fullDrillsOf(world, terms);
    for (const drill of drills) {
      const { number, state, counts, penalty = 0 } = drill;
      const most = state === 'failed' && counts ? terms.drills.penalty : 0;
      if (penalty > most) judge.broken('money', `full drill ${number} (${state}) cost ${penalty} of ${most}`);
      if (penalty > 0 && !wasCalledTwice(terms, drill))
        judge.broken('punished', `full drill ${number} cost ${penalty} without two words`);
      if (state === 'serving') judge.broken('converged', `in the end full drill ${number} is still served`);
    }
    checkPaid(world, terms, drills, judge);
  }
}

/** Who pays has had its time after two words. */
function wasCalledTwice(
  terms: ContractTerms,
  { askedAt, lastCallAt = askedAt, endedAt = askedAt }: FullDrill,
) {
  const ms = drillWordMs(terms);
  return lastCallAt - askedAt > ms && endedAt - lastCallAt > ms;
}

type Activation = NonNullable<ContractRecord['activation']>;

function activationsOf({ ledger }: World, { contractId, set }: ContractTerms): Activation[] {
  const { epoch } = ledger.read(keys.set(set.setId)) as { epoch: number };
  const all = Array.from({ length: epoch }, (_, i) => ledger.read(keys.activation(contractId, i + 1)));
  return all.filter((one) => one !== undefined) as Activation[];
}

/** What a drill is served under was let go by the customer, or had before by the provider; it is owed only where it was no drill in the end. */
function checkServed(
  { ledger }: World,
  { set }: ContractTerms,
  { epoch, owed, drill: number }: Activation,
  { drill, wasOurs }: { readonly drill: FullDrill | undefined; readonly wasOurs: boolean },
  judge: Judge,
): void {
  const letGo = wasOurs || ledger.read(keys.release(set.setId, epoch - 1)) !== undefined;
  if (number !== undefined && !letGo)
    judge.broken('money', `epoch ${epoch} was taken from a customer that had not let go, as a drill's`);
  if (drill === undefined) return;
  if (drill.state === 'passed' && owed)
    judge.broken('money', `epoch ${epoch}, of full drill ${drill.number}, is owed`);
  if (number !== drill.number)
    judge.broken('money', `epoch ${epoch} is no drill's, and drill ${drill.number} was served under it`);
}

/** Epochs that a provider had, and what of them is owed. */
function checkPaid(world: World, terms: ContractTerms, drills: readonly FullDrill[], judge: Judge): void {
  const { settlement } = world.ledger.read(keys.contract(terms.contractId)) as ContractRecord;
  const activations = activationsOf(world, terms);
  for (const one of activations) {
    const drill = drills.find(({ served }) => served?.epoch === one.epoch);
    const wasOurs = activations.some(({ epoch }) => epoch === one.epoch - 1);
    checkServed(world, terms, one, { drill, wasOurs }, judge);
  }
  if (settlement?.row === 'honoured' && !activations.some(({ owed }) => owed))
    judge.broken('money', 'the contract is paid for, and nothing but drills was served');
}

const isQuick = ({ latencyMs, jitterMs }: Link): boolean => latencyMs + jitterMs < 250;

/** Whether a provider that paid could have done anything about it: to open is all that is asked of it. */
export function watchFullDrills(world: World, judge: Judge, ledgerMs: number): void {
  const { engine, hosts, network, ledger, terms } = world;
  if (terms.drills.full === undefined) return;
  let wellSince = 0;
  let livesBefore = 0;
  const seen = new Set<number>();
  const askedAt = new Map<number, number>();
  const links = [network.link('B', 'central'), network.link('central', 'B')];
  const isWell = (): boolean =>
    hosts.B.running &&
    hosts.central.running &&
    ledger.isWhole() &&
    links.every((link) => !link.cut && link.loss <= 0.2 && link.resets < 0.1 && isQuick(link));
  const lookAt = ({ number, state, penalty = 0, reason = 'givenUp' }: FullDrill): void => {
    if (!askedAt.has(number)) askedAt.set(number, engine.now);
    if (state !== 'failed' || penalty === 0 || seen.has(number)) return;
    seen.add(number);
    if (ledgerMs <= 400 && wellSince < (askedAt.get(number) ?? 0))
      judge.broken(
        'punished',
        `B was well all along, and paid ${penalty} for full drill ${number} (${reason})`,
      );
  };
  const look = (): void => {
    engine.after(LOOK_EVERY_MS, look);
    const lives = hosts.B.incarnation + hosts.central.incarnation;
    if (!isWell() || lives !== livesBefore) wellSince = engine.now;
    livesBefore = lives;
    for (const drill of fullDrillsOf(world, terms)) lookAt(drill);
  };
  engine.after(LOOK_EVERY_MS, look);
}
