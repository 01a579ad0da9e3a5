import { setTimeout as sleep } from 'node:timers/promises';
import { DemoError } from './errors.ts';
import type { Stage } from './stage.ts';

/** What a look showed: the thing waited for, or something else, in words. */
export type Look<T> = { readonly found: T } | { readonly seen: string };

export interface Wait<T> {
  /** What is waited for, for the reader: `B is READY`. */
  readonly subject: string;
  readonly withinMs: number;
  readonly everyMs?: number;
  /** A look that throws has seen the error: services come and go in a demo. */
  readonly look: () => Look<T> | Promise<Look<T>>;
}

/** Waits with a stage to tell it on, and a reason to give up at once. */
export interface Waiter {
  readonly stage: Stage;
  /** Monotonic ms. */
  readonly now: () => number;
  /** Throws where going on is pointless: a process died by itself, Ctrl-C. */
  readonly check: () => void;
}

const EVERY_MS = 100;

const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function looked<T>(wait: Wait<T>): Promise<Look<T>> {
  try {
    return await wait.look();
  } catch (error) {
    return { seen: describe(error) };
  }
}

/** Looks again and again. Throws `deadline` with what it waited for and what it last saw. */
export async function waitFor<T>({ stage, now, check }: Waiter, wait: Wait<T>): Promise<T> {
  const startedAt = now();
  for (;;) {
    check();
    const look = await looked(wait);
    if ('found' in look) return look.found;
    const waitedMs = now() - startedAt;
    if (waitedMs >= wait.withinMs) {
      const seconds = (waitedMs / 1000).toFixed(1);
      throw new DemoError('deadline', `waited ${seconds} s for: ${wait.subject}. Last seen: ${look.seen}`);
    }
    stage.waiting(`${wait.subject}: ${look.seen}`);
    await sleep(wait.everyMs ?? EVERY_MS);
  }
}
