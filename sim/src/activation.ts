import type { ContractTerms } from '@antirio/service-contract';
import { EPOCH } from './host.ts';
import type { Dice } from './random.ts';
import type { Fault } from './scenario.ts';

type Activation = ContractTerms['activation'];

/** Most contracts are about a customer that dies; some move by the clock, also where nobody dies, some on their customer's word only. */
export function drawActivation(dice: Dice, activeMs: number): Activation {
  const takeovers = dice.pick([1, 1, 3]);
  const kind = dice.below(20);
  if (kind === 0) return { events: ['manual'], windows: [], takeovers };
  if (kind === 4) {
    const overload = { cpuPermille: 900, forMs: 2000, calmPermille: 700, calmForMs: 2000, restMs: 8000 };
    return { events: ['offline', 'overload'], windows: [], overload, takeovers };
  }
  if (kind > 3) return { events: ['offline'], windows: [], takeovers: 1 };
  const from = Math.floor(EPOCH + dice.between(6000, activeMs * 0.5));
  const until = from + Math.floor(dice.between(3000, 15_000));
  return {
    events: kind === 1 ? ['schedule'] : ['offline', 'schedule'],
    windows: [{ from, until }],
    takeovers,
  };
}

/** A customer that gives its service away when it has too much to do has too much to do, now and then. */
export function drawBusy(dice: Dice, { overload }: Activation, activeMs: number): Fault[] {
  if (overload === undefined) return [];
  const times = 1 + dice.below(3);
  return Array.from({ length: times }, () => ({
    when: { at: dice.between(4000, activeMs) },
    kind: 'busy' as const,
    forMs: dice.between(1000, 12_000),
  }));
}

/** A window is by the ledger's time: where that jumps, so does the window. */
export function keepsTime({ windows }: Activation, fault: Fault): boolean {
  return windows.length === 0 || fault.kind !== 'wallJump' || fault.node !== 'central';
}
