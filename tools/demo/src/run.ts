import type { Device } from '@antirio/lora-simulator';
import { drawn } from './clock.ts';
import type { LiveTruth } from './live-truth.ts';
import type { AnyParty, Network } from './network.ts';
import type { Nodes } from './nodes.ts';
import type { DemoOptions } from './options.ts';
import type { Radio } from './radio.ts';
import type { Timelines } from './timelines.ts';
import type { Disturbance } from './uplink-verdict.ts';
import { waitFor, type Wait, type Waiter } from './wait.ts';

/** One SIGKILL of a party's process. */
export interface Kill {
  readonly party: AnyParty;
  /** Monotonic ms. */
  readonly at: number;
}

/** Everything that a scene of the demo works with. */
export interface Run {
  readonly options: DemoOptions;
  readonly waiter: Waiter;
  readonly nodes: Nodes;
  readonly network: Network;
  readonly radio: Radio;
  readonly truth: LiveTruth;
  readonly truthFile: string;
  readonly devices: readonly Device[];
  /** When which gateway had no edge. Scenes add to it. */
  readonly disturbances: Disturbance[];
  /** Between a backup and the death of the disk that it was taken of: what only that edge acknowledged then is gone with it. */
  readonly restores: Disturbance[];
  /** Every SIGKILL so far. */
  readonly kills: Kill[];
}

/** A run with a contract between its edges. */
export interface ContractedRun extends Run {
  readonly contractId: string;
  readonly timelines: Timelines;
}

/** A draw from the run's seed, uniform from `low` to `high`. */
export function draw({ options }: Run, purpose: string, low: number, high: number): number {
  return low + drawn(options.seed, purpose) * (high - low);
}

/** Waits while both timelines are followed and told. */
export function waitFollowing<T>(run: ContractedRun, wait: Wait<T>): Promise<T> {
  return waitFor(run.waiter, {
    ...wait,
    look: async () => {
      await run.timelines.update();
      return wait.look();
    },
  });
}

/** What each edge is doing, in a few words. */
export function states({ timelines }: ContractedRun): string {
  const customer = timelines.view('customer')?.state ?? 'does not answer';
  const provider = timelines.view('provider')?.state ?? 'does not answer';
  return `A ${customer}, B ${provider}`;
}
