import {
  runDemo,
  shareProducts,
  type DemoOptionsInput,
  type DemoPorts,
  type DemoResult,
} from '@antirio/demo';
import { createTold, type Told } from './told.ts';

/** What became of a demo, and its story. */
export type Outcome = DemoResult & { readonly told: Told };

/** One demo to be run. */
export interface PlannedDemo extends DemoOptionsInput {
  readonly onServing?: DemoPorts['onServing'];
}

/** Demos that run side by side while tests wait for the one that each is about. */
export interface Demos {
  /** What became of a demo. Throws where it could not be run, with its story. */
  result(name: string): Promise<Outcome>;
  /** Ends those that still run, and everything that was built. */
  end(): Promise<void>;
}

/** So many at once: each is mostly waiting, but too many would starve the beats. */
const AT_ONCE = 3;

/**
 * Starts demos in the order in which they stand there.
 *
 * @param common what a plan is completed with, by its name
 */
export function startDemos(
  plans: Readonly<Record<string, PlannedDemo>>,
  common: (name: string) => PlannedDemo,
): Demos {
  const products = shareProducts();
  const interrupted = new AbortController();
  const start = async ({ onServing, ...options }: PlannedDemo): Promise<Outcome> => {
    const told = createTold();
    const ports: DemoPorts = {
      stage: told.stage,
      signal: interrupted.signal,
      build: products.build,
      ...(onServing === undefined ? {} : { onServing }),
    };
    try {
      interrupted.signal.throwIfAborted();
      return { ...(await runDemo(options, ports)), told };
    } catch (cause) {
      throw new Error(`${String(cause)}\n${told.text()}`, { cause });
    }
  };
  const results = new Map<string, PromiseWithResolvers<Outcome>>();
  for (const name of Object.keys(plans)) {
    const result = Promise.withResolvers<Outcome>();
    // Who waits for it is told; that nobody waits for it any more is no fault.
    result.promise.catch(() => undefined);
    results.set(name, result);
  }
  const waiting = [...results];
  const lane = async (): Promise<void> => {
    for (let turn = waiting.shift(); turn !== undefined; turn = waiting.shift()) {
      const [name, { resolve, promise }] = turn;
      resolve(start({ ...common(name), ...plans[name] }));
      await promise.catch(() => undefined);
    }
  };
  const lanes = Array.from({ length: AT_ONCE }, lane);
  return {
    result(name) {
      const outcome = results.get(name);
      if (outcome === undefined) throw new Error(`no demo ${name} is planned`);
      return outcome.promise;
    },
    async end() {
      interrupted.abort();
      await Promise.all(lanes);
      products.remove();
    },
  };
}
