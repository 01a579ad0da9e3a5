import { GATEWAYS } from './radio.ts';
import type { ContractedRun, Run } from './run.ts';
import type { PartyName } from './network.ts';
import type { PartyNode } from './nodes.ts';
import type { Disturbance } from './uplink-verdict.ts';

/** A failure under way. */
export interface Failure {
  /** When the signal or the cut took effect, monotonic ms. */
  readonly at: number;
  /** Starts, wakes or joins it again; resolves when it takes its gateway's frames again. */
  end(): Promise<void>;
}

const ANSWER_MS = 90_000;

/** While an edge is down, its gateway finds nobody; the returned function says when that was over. */
function disturb(run: Run, party: PartyName, from: number): (until: number) => void {
  if (party === 'central') return () => undefined;
  const open: { gateway: string; from: number; until: number } = {
    gateway: GATEWAYS[party],
    from,
    until: Infinity,
  };
  run.disturbances.push(open satisfies Disturbance);
  return (until) => (open.until = until);
}

/** Kills a party's process as an operating system does. */
export async function killParty(run: Run, node: PartyNode): Promise<Failure> {
  const { now } = run.waiter;
  const at = now();
  run.kills.push({ party: node.party, at });
  const over = disturb(run, node.party, at);
  await node.kill();
  return {
    at,
    async end() {
      await node.start();
      await node.answering(run.waiter, ANSWER_MS);
      over(now());
    },
  };
}

/** Ends a party's process as an operating system that shuts down does: what it says last comes before. */
export async function terminateParty(run: Run, node: PartyNode): Promise<Failure> {
  const { now } = run.waiter;
  const at = now();
  await node.terminate();
  // It acknowledged until it stopped, which was some time in between.
  const over = disturb(run, node.party, at);
  return {
    at,
    async end() {
      await node.start();
      await node.answering(run.waiter, ANSWER_MS);
      over(now());
    },
  };
}

function freeze(run: ContractedRun, node: PartyNode): Failure {
  const { now } = run.waiter;
  const at = now();
  const over = disturb(run, node.party, at);
  node.freeze();
  return {
    at,
    async end() {
      node.thaw();
      await node.answering(run.waiter, ANSWER_MS);
      over(now());
    },
  };
}

async function partition(run: ContractedRun, node: PartyNode): Promise<Failure> {
  const at = run.waiter.now();
  await run.network.cutOff(node.party);
  // Its gateway is on its side of the cut: nothing there may go unacknowledged.
  return { at, end: () => run.network.heal(node.party) };
}

/** The failure that the demo is about: of edge A, in the way the options say. */
export async function failEdgeA(run: ContractedRun): Promise<Failure> {
  const { a } = run.nodes;
  switch (run.options.kill) {
    case 'sigkill':
      return killParty(run, a);
    case 'freeze':
      return freeze(run, a);
    case 'partition':
      return partition(run, a);
  }
}
