import { SLOTS } from '@antirio/service-contract';
import type { Judge } from './checks.ts';
import type { EdgeName } from './scenario.ts';
import type { World } from './world.ts';

/** What was asked before, however slow the centre is, has come to nothing by then. */
const ASKED_WITHIN_MS = 6000;
const LOOK_EVERY_MS = 250;

/** Nobody asks for what it could not write down: neither an epoch, under which nobody would act, nor blocks of counters, which would be lost. */
export function watchFullDisks({ engine, hosts, terms, contracts }: World, judge: Judge) {
  const edges: readonly EdgeName[] = ['A', ...contracts.map(({ name }) => name)];
  const slots = new Map<number, EdgeName>([[terms.slots.customer, 'A']]);
  for (const one of contracts) slots.set(one.terms.slots.provider, one.name);
  const since = new Map<EdgeName, number>();
  let changedAt = 0;
  const look = (): void => {
    engine.after(LOOK_EVERY_MS, look);
    for (const edge of edges)
      if (hosts[edge].full) since.set(edge, since.get(edge) ?? engine.now);
      else since.delete(edge);
  };
  engine.after(LOOK_EVERY_MS, look);
  const check = (edge: EdgeName, what: string): void => {
    const fullMs = Math.round(engine.now - Math.max(since.get(edge) ?? Infinity, changedAt));
    if (fullMs >= ASKED_WITHIN_MS)
      judge.broken('full', `${edge} is given ${what}, and its disk is full for ${fullMs} ms`);
  };
  return {
    onChange(): void {
      changedAt = engine.now;
    },
    onTaken(by: string): void {
      if (by === terms.customer) check('A', 'an epoch');
    },
    onGiven(index: number): void {
      const edge = slots.get(index % SLOTS);
      if (edge !== undefined) check(edge, 'counters');
    },
  };
}
