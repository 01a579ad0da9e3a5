import { repeat, type Repeating } from '@antirio/host';
import { describeError } from '@antirio/kernel';
import { advanceDemand, type CustomerParts } from './customer.ts';
import { isOver, type Demand } from './demand.ts';
import type { DmuStore } from './store.ts';

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5000;

interface Trouble {
  readonly failures: number;
  /** Monotonic. */
  readonly due: number;
  readonly error: string;
}

/** Runs every demand that is not over, each by itself: one that waits for its provider holds up no other. */
export class DemandWork {
  readonly #parts: CustomerParts;
  readonly #store: DmuStore;
  readonly #troubles = new Map<string, Trouble>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #looking: Repeating;

  constructor(parts: CustomerParts, store: DmuStore) {
    this.#parts = parts;
    this.#store = store;
    this.#looking = repeat('demands', parts.options.tickIntervalMs, parts.log, () => this.#look());
  }

  poke(): void {
    this.#looking.poke();
  }

  /** What is in the way of a demand just now. */
  trouble(id: string): string | undefined {
    return this.#troubles.get(id)?.error;
  }

  /** Changes a demand between two of its steps. */
  async change(id: string, how: (demand: Demand) => Demand): Promise<Demand | undefined> {
    await this.#inTurn(id, () => {
      const demand = this.#store.demand(id);
      if (demand !== undefined) this.#store.putDemand(how(demand));
    });
    this.#troubles.delete(id);
    this.poke();
    return this.#store.demand(id);
  }

  async stop(): Promise<void> {
    await this.#looking.stop();
    await Promise.all(this.#running.values());
  }

  #look(): void {
    const now = this.#parts.clock.monotonic();
    for (const demand of this.#store.underWay()) {
      if (this.#running.has(demand.id) || (this.#troubles.get(demand.id)?.due ?? 0) > now) continue;
      void this.#inTurn(demand.id, () => this.#advance(demand));
    }
  }

  /** Takes steps until one changes nothing, each durable before the next. */
  async #advance(demand: Demand): Promise<void> {
    try {
      let current = demand;
      let next = await this.#step(current);
      while (next.state !== current.state && !isOver(next)) {
        current = next;
        next = await this.#step(current);
      }
    } catch (error) {
      this.#pause(demand.id, error);
    }
  }

  async #step(demand: Demand): Promise<Demand> {
    const next = await advanceDemand(demand, this.#parts);
    const { id, state, error } = next;
    if (next !== demand) this.#store.putDemand(next);
    if (state !== demand.state) this.#parts.log.info({ demand: id, state, error }, 'demand');
    this.#troubles.delete(id);
    return next;
  }

  #pause(id: string, error: unknown): void {
    const before = this.#troubles.get(id);
    const text = describeError(error);
    if (before?.error !== text)
      this.#parts.log.warn({ demand: id, error: text }, 'a demand does not get on, will try again');
    const failures = (before?.failures ?? 0) + 1;
    const wait = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures - 1, 10));
    this.#troubles.set(id, { failures, due: this.#parts.clock.monotonic() + wait, error: text });
  }

  #inTurn(id: string, work: () => void | Promise<void>): Promise<void> {
    const result = (this.#running.get(id) ?? Promise.resolve()).then(work);
    const settled = result
      .catch(() => undefined)
      .finally(() => {
        if (this.#running.get(id) === settled) this.#running.delete(id);
      });
    this.#running.set(id, settled);
    return result;
  }
}
