import type { customerDesires, customerStep, providerDesires, providerStep } from '@antirio/service-contract';
import {
  createCustomer,
  createProvider,
  customerSibling,
  deedsOf,
  ledgerTime,
  providerSibling,
  type BlockBook,
  type BlockMark,
  type ContractTerms,
  type CustomerPhase,
  type CustomerState,
  type Desired,
  type PartyEffect,
  type PartyEvent,
  type ProviderPhase,
  type ProviderState,
  type Sibling,
} from '@antirio/service-contract';
import type { EdgeId } from '@antirio/kernel';
import type { Host } from './host.ts';
import type { Trace } from './trace.ts';

export type Phase = CustomerPhase | ProviderPhase;

/** One contract's machine with its clock, its disk and its hands: what the arbitrator's driver does on a real edge. */
export interface PartyHost {
  start(): void;
  post(event: PartyEvent): void;
  phase(): Phase;
  desires(): Desired;
  /** Whether the party may act now, as its machine sees it. */
  mayAct(): boolean;
  /** As the other machines of its set see it. */
  asSibling(): Sibling;
  /** Of a customer's: the ledger's time now, where the centre has told it. */
  ledgerTime(): number | undefined;
}

export interface PartyPieces {
  readonly customerStep: typeof customerStep;
  readonly customerDesires: typeof customerDesires;
  readonly providerStep: typeof providerStep;
  readonly providerDesires: typeof providerDesires;
}

export interface PartyPorts {
  readonly host: Host;
  readonly trace: Trace;
  readonly terms: ContractTerms;
  readonly role: 'customer' | 'provider';
  readonly disk: { phase: Phase; failures?: number };
  readonly pieces: PartyPieces;
  readonly tickMs: number;
  readonly observeMs: number;
  /** Everything but notes, and what is only kept or counted. */
  readonly execute: (effect: Exclude<PartyEffect, { type: 'note' | 'keepBlocks' | 'blocksRefused' }>) => void;
  /** The edge's, of the set's blocks. */
  readonly blocks: BlockBook;
  readonly keepBlocks: (by: EdgeId, marks: readonly BlockMark[]) => void;
  readonly setFence: (fence: Desired['fence']) => void;
  readonly observe: () => void;
  /** Those of this edge's contracts that are not over. */
  readonly providers: () => readonly EdgeId[];
  /** Its other machines. */
  readonly siblings: () => readonly Sibling[];
  /** It does nothing meanwhile: what comes waits in its sockets. */
  readonly isHung: () => boolean;
  /** The machine has come to a phase, and it is on the disk. */
  readonly onPhase: (phase: string) => void;
}

interface Machine {
  step(event: PartyEvent): readonly PartyEffect[];
  phase(): Phase;
  desires(): Desired;
  asSibling(): Sibling;
  ledgerTime(): number | undefined;
}

const FENCE_AGAIN_MS = 1000;
const UNREAD_KEPT = 256;

function isSame(a: Desired['fence'] | undefined, b: Desired['fence']): boolean {
  if (a?.state !== b.state) return false;
  if (a.state !== 'open' || b.state !== 'open') return true;
  return a.epoch === b.epoch && a.slot === b.slot && a.actFrom === b.actFrom && a.actUntil === b.actUntil;
}

function createMachine(ports: PartyPorts, bootId: string): Machine {
  const { host, terms, pieces, disk } = ports;
  const { clock, dice } = host;
  const { providers, siblings, blocks } = ports;
  const context = () => ({
    now: clock.monotonic(),
    wall: clock.wall(),
    random: dice.next,
    providers,
    siblings,
    blocks,
  });
  if (ports.role === 'customer') {
    // the role says which of the two kinds of phase the disk holds
    let state: CustomerState = createCustomer(
      terms,
      disk.phase as CustomerPhase,
      bootId,
      clock.monotonic(),
      disk.failures,
    );
    return {
      step(event) {
        const [next, effects] = pieces.customerStep(state, event, context());
        state = next;
        return effects;
      },
      phase: () => state.phase,
      desires: () => pieces.customerDesires(state, clock.monotonic()),
      asSibling: () => customerSibling(state),
      ledgerTime: () => ledgerTime(state, clock.monotonic()),
    };
  }
  let state: ProviderState = createProvider(terms, disk.phase as ProviderPhase, bootId, clock.monotonic());
  return {
    step(event) {
      const [next, effects] = pieces.providerStep(state, event, context());
      state = next;
      return effects;
    },
    phase: () => state.phase,
    desires: () => pieces.providerDesires(state, clock.monotonic()),
    asSibling: () => providerSibling(state),
    ledgerTime: () => undefined,
  };
}

export function createPartyHost(ports: PartyPorts): PartyHost {
  const { host, trace, disk } = ports;
  let machine = createMachine(ports, '');
  let fence: Desired['fence'] | undefined;
  let fenceAt = -Infinity;
  let unread: PartyEvent[] = [];

  const applyFence = (): void => {
    const wanted = machine.desires().fence;
    const now = host.clock.monotonic();
    if (isSame(fence, wanted) && now - fenceAt < FENCE_AGAIN_MS) return;
    fence = wanted;
    fenceAt = now;
    // the bridge is another room: it hears of it a little later, and in order
    host.after(1, () => {
      ports.setFence(wanted);
    });
  };
  const post = (event: PartyEvent): void => {
    if (ports.isHung()) {
      if (event.type !== 'tick' && unread.length < UNREAD_KEPT) unread.push(event);
      return;
    }
    const before = machine.phase();
    const effects = machine.step(event);
    for (const deed of deedsOf(before, machine.phase(), effects)) {
      if (deed.type === 'persist') {
        disk.phase = deed.phase;
        trace.note(host.name, `is ${deed.phase.at}`);
        ports.onPhase(deed.phase.at);
        host.wrote('phase');
      } else if (deed.type === 'note') {
        const { milestone, detail } = deed;
        trace.note(host.name, milestone, () =>
          JSON.stringify(detail, (key, value: unknown) => (key === 'statement' ? undefined : value)),
        );
      } else if (deed.type === 'keepBlocks') {
        trace.note(host.name, 'blocks', () => JSON.stringify(deed.marks), 'fine');
        ports.keepBlocks(deed.by, deed.marks);
      } else if (deed.type === 'blocksRefused') {
        trace.note(host.name, 'blocks refused', () => deed.reason);
      } else if (deed.type === 'failures') {
        disk.failures = deed.count;
        host.wrote('failures');
      } else {
        ports.execute(deed);
        host.stepped();
      }
    }
    applyFence();
  };
  const tick = (): void => {
    host.after(ports.tickMs, tick);
    if (!ports.isHung()) unread.splice(0).forEach(post);
    post({ type: 'tick' });
  };
  const observe = (): void => {
    host.after(ports.observeMs, observe);
    ports.observe();
  };
  return {
    start() {
      fence = undefined;
      fenceAt = -Infinity;
      unread = [];
      machine = createMachine(ports, host.dice.bits().toString(16));
      host.after(ports.tickMs, tick);
      host.after(5, observe);
    },
    post,
    phase: () => machine.phase(),
    desires: () => machine.desires(),
    asSibling: () => machine.asSibling(),
    ledgerTime: () => machine.ledgerTime(),
    mayAct() {
      const wanted = machine.desires().fence;
      const now = host.clock.monotonic();
      return wanted.state === 'open' && now >= wanted.actFrom && now < wanted.actUntil;
    },
  };
}
