import { toHex, type EdgeId } from '@antirio/kernel';
import {
  activeLeftMs,
  backoffLeftMs,
  createCustomer,
  createProvider,
  customerDesires,
  customerSibling,
  customerStep,
  keysDelivered,
  leaseBy,
  ledgerTime,
  onPromises,
  providerDesires,
  providerSibling,
  providerStep,
  roomsOutFor,
  type Acting,
  type BlockBook,
  type Context,
  type ContractRecord,
  type ContractTerms,
  type CustomerPhase,
  type Desired,
  type LeaseBy,
  type OnPromises,
  type PartyEffect,
  type PartyEvent,
  type ProviderPhase,
  type ProviderState,
  type Sibling,
  type VitalRoom,
} from '@antirio/service-contract';
import type { ArbitratorPorts } from './options.ts';

/** One party's machine, of either role, as who runs it sees it. */
export interface Machine {
  readonly step: (event: PartyEvent) => readonly PartyEffect[];
  /** As if the last event had not come. */
  readonly undo: () => void;
  readonly phase: () => CustomerPhase | ProviderPhase;
  readonly desires: () => Desired;
  /** As the other machines of its set see it. */
  readonly asSibling: () => Sibling;
  readonly record: () => ContractRecord | undefined;
  /** On whose word the lease stands under which we may act, where there is one. */
  readonly leaseBy: () => LeaseBy | undefined;
  /** Devices with blocks of counters that stand on the promises of the other parties alone. */
  readonly onPromises: () => readonly OnPromises[];
  /** How much longer the provider may act under the epoch that it has; undefined where it has none. */
  readonly activeLeftMs: () => number | undefined;
  /** Of a provider's: what its customer says of its store and gateways. */
  readonly customerTold?: () => ProviderState['told'];
  /** Of a provider's: when its customer was heard last, and whether a takeover is under way that does not read yet. */
  readonly customerHeardAt?: () => number;
  readonly isOpening?: () => boolean;
  /** Of a provider's: its service does not stand by yet, as its image or keys are on their way. */
  readonly isPreparing?: () => boolean;
  /** Of a customer's: how often it has failed in a row, and how long it still waits before it asks for its sensors, ms. */
  readonly comesBack?: () => { readonly failures: number; readonly backoffLeftMs: number | undefined };
  /** Of a customer's: the newest beat that it has sent, or was to send. */
  readonly beats?: () => { readonly bootId: string; readonly sequence: number; readonly epoch: number };
  /** Of a customer's: for how long its provider has not been heard. */
  readonly providerSilentMs?: () => number;
  /** Of a customer's: rooms of its edge that have been out for some seconds. */
  readonly roomsOut?: () => readonly VitalRoom[];
  /** Of a customer's: the newest version of its keys that its provider has acknowledged. */
  readonly keysDelivered?: () => number | undefined;
  readonly ledgerTime?: () => number | undefined;
}

/** What of it others of this edge go by, and what is shown of it. */
export type MachineView = Pick<
  Machine,
  | 'asSibling'
  | 'beats'
  | 'comesBack'
  | 'customerHeardAt'
  | 'isOpening'
  | 'isPreparing'
  | 'leaseBy'
  | 'onPromises'
  | 'providerSilentMs'
  | 'roomsOut'
>;

export type PartyContract =
  | { readonly terms: ContractTerms; readonly role: 'customer'; readonly phase: CustomerPhase }
  | { readonly terms: ContractTerms; readonly role: 'provider'; readonly phase: ProviderPhase };

/** What only the host knows. */
export interface MachineHost {
  /** A customer's failures in a row. */
  readonly failures: () => number;
  readonly mayBegin: () => boolean;
  /** Those of this edge's contracts over the set that are not over. */
  readonly providers: () => readonly EdgeId[];
  /** Of their providers those that only keep frames. */
  readonly keepers: () => readonly EdgeId[];
  /** The other machines over the same set in the same role. */
  readonly siblings: () => readonly Sibling[];
  /** What this edge has on its disk of the set's blocks. */
  readonly blocks: BlockBook;
}

/** A room that starts anew wakes nobody. */
const ROOM_PATIENCE_MS = 15_000;

type Ports = Pick<ArbitratorPorts, 'clock' | 'random'> & { readonly host: MachineHost };

interface AnyState {
  readonly acting: Acting;
  readonly phase: CustomerPhase | ProviderPhase;
  readonly terms: ContractTerms;
  readonly record: ContractRecord | undefined;
  readonly recordAt: number;
}

type Stepper<State> = (
  state: State,
  event: PartyEvent,
  context: Context,
) => readonly [State, readonly PartyEffect[]];

/** A machine, and a look at its state as it is now. */
function machineOf<State extends AnyState>(
  created: State,
  step: Stepper<State>,
  desires: (state: State, now: number) => Desired,
  asSibling: (state: State) => Sibling,
  self: EdgeId,
  ports: Ports,
): [Machine, () => State] {
  let state = created;
  let before = created;
  const machine: Machine = {
    step(event) {
      const [next, effects] = step(state, event, contextOf(ports));
      before = state;
      state = next;
      return effects;
    },
    undo: () => (state = before),
    phase: () => state.phase,
    desires: () => desires(state, ports.clock.monotonic()),
    asSibling: () => asSibling(state),
    record: () => state.record,
    leaseBy: () => leaseBy(state.acting, ports.clock.monotonic()),
    onPromises: () => onPromises(state.acting, self, ports.host.blocks),
    activeLeftMs: () => activeLeftMs(state, ports.clock.monotonic()),
  };
  return [machine, () => state];
}

export function createMachine(
  contract: PartyContract,
  { clock, random }: Pick<ArbitratorPorts, 'clock' | 'random'>,
  host: MachineHost,
): Machine {
  const ports = { clock, random, host };
  const now = ports.clock.monotonic();
  const bootId = toHex(ports.random.bytes(8));
  const { terms } = contract;
  if (contract.role === 'provider') {
    const provider = createProvider(terms, contract.phase, bootId, now);
    const its = [providerStep, providerDesires, providerSibling] as const;
    const [machine, seen] = machineOf(provider, ...its, terms.provider, ports);
    return {
      ...machine,
      customerTold: () => seen().told,
      customerHeardAt: () => seen().watch.detector.lastHeardAt,
      isOpening: () => opensNow(seen()),
      isPreparing: () => seen().phase.at === 'preparing' && seen().observed.service !== 'standby',
    };
  }
  const customer = createCustomer(terms, contract.phase, bootId, now, host.failures());
  const its = [customerStep, customerDesires, customerSibling] as const;
  const [machine, seen] = machineOf(customer, ...its, terms.customer, ports);
  const heardAt = (): number => Math.max(seen().providerHeardAt, seen().startedAt);
  return {
    ...machine,
    beats: () => ({
      ...{ bootId: seen().bootId, sequence: Math.max(0, seen().sequence - 1) },
      epoch: seen().acting.lease.epoch,
    }),
    providerSilentMs: () => clock.monotonic() - heardAt(),
    comesBack: () => ({
      failures: seen().flaps.failures,
      backoffLeftMs: backoffLeftMs(seen(), clock.monotonic()),
    }),
    roomsOut: () => roomsOutFor(seen().senses.rooms, Math.min(ROOM_PATIENCE_MS, terms.deaf.forMs)),
    keysDelivered: () => keysDelivered(seen()),
    ledgerTime: () => ledgerTime(seen(), clock.monotonic()),
  };
}

function opensNow({ phase, observed }: ProviderState): boolean {
  return phase.at === 'opening' || (phase.at === 'reading' && observed.service !== 'active');
}

function contextOf({ clock, random, host }: Ports): Context {
  const uniform = (): number => {
    const [a = 0, b = 0] = random.bytes(2);
    return (a * 256 + b) / 65_536;
  };
  return { now: clock.monotonic(), wall: clock.now(), random: uniform, ...host };
}
