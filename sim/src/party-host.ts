import type {
  customerDesires,
  customerStep,
  mayGoUnwritten,
  providerDesires,
  providerStep,
} from '@antirio/service-contract';
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
  type Deed,
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
  readonly mayGoUnwritten: typeof mayGoUnwritten;
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
  /** Of their providers those that only keep frames. */
  readonly keepers: () => readonly EdgeId[];
  /** Its other machines. */
  readonly siblings: () => readonly Sibling[];
  /** It does nothing meanwhile: what comes waits in its sockets. */
  readonly isHung: () => boolean;
  /** The machine has come to a phase, and it is on the disk. */
  readonly onPhase: (phase: string) => void;
}

interface Machine {
  /** As if the last event had not come. */
  undo(): void;
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
  const { providers, keepers, siblings, blocks } = ports;
  const context = () => ({
    now: clock.monotonic(),
    wall: clock.wall(),
    random: dice.next,
    providers,
    keepers,
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
    let before = state;
    return {
      undo() {
        state = before;
      },
      step(event) {
        before = state;
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
  let before = state;
  return {
    undo() {
      state = before;
    },
    step(event) {
      before = state;
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
  let isOwed = false;

  /** What keeps nothing has nothing against a full disk. */
  const goesUnwritten = (deed: Deed<Phase>, before: Phase): boolean =>
    deed.type === 'persist' ? ports.pieces.mayGoUnwritten(before, deed.phase) : deed.type !== 'keepBlocks';
  const catchUp = (): void => {
    if (!isOwed || host.full) return;
    isOwed = false;
    disk.phase = machine.phase();
    host.wrote('phase');
  };
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
  const write = (phase: Phase): void => {
    isOwed = host.full;
    if (!isOwed) disk.phase = phase;
    trace.note(host.name, isOwed ? `is ${phase.at}, unwritten` : `is ${phase.at}`);
    ports.onPhase(phase.at);
    if (!isOwed) host.wrote('phase');
  };
  const countFailures = (count: number): void => {
    if (host.full) return;
    disk.failures = count;
    host.wrote('failures');
  };
  const perform = (deed: Deed<Phase>): void => {
    switch (deed.type) {
      case 'persist':
        write(deed.phase);
        return;
      case 'note':
        trace.note(host.name, deed.milestone, () =>
          JSON.stringify(deed.detail, (key, value: unknown) => (key === 'statement' ? undefined : value)),
        );
        return;
      case 'keepBlocks':
        trace.note(host.name, 'blocks', () => JSON.stringify(deed.marks), 'fine');
        ports.keepBlocks(deed.by, deed.marks);
        return;
      case 'blocksRefused':
        trace.note(host.name, 'blocks refused', () => deed.reason);
        return;
      case 'failures':
        countFailures(deed.count);
        return;
      default:
        ports.execute(deed);
        host.stepped();
    }
  };
  const post = (event: PartyEvent): void => {
    if (ports.isHung()) {
      if (event.type !== 'tick' && unread.length < UNREAD_KEPT) unread.push(event);
      return;
    }
    const before = machine.phase();
    const effects = machine.step(event);
    for (const deed of deedsOf(before, machine.phase(), effects)) {
      if (host.full && !goesUnwritten(deed, before)) {
        machine.undo();
        if (deed.type === 'keepBlocks') machine.step({ type: 'unkept', by: deed.by });
        return;
      }
      perform(deed);
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
    catchUp();
    ports.observe();
  };
  return {
    start() {
      fence = undefined;
      fenceAt = -Infinity;
      unread = [];
      isOwed = false;
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
