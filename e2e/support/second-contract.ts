import { allEvents, judgeUplinks } from '@antirio/demo';
import {
  actAgain,
  armed,
  caughtUp,
  followContract,
  GATEWAYS,
  judgeRadio,
  killParty,
  serve,
  settle,
  takeBack,
  unguardedSince,
  watchTakeover,
  type ContractedRun,
} from '@antirio/demo/scenes';
import { readTruth } from '@antirio/lora-simulator';
import { ask, get } from './ask.ts';
import type { Cluster } from './cluster.ts';

interface KeptRing {
  readonly kept?: { readonly leftS: number };
  readonly devAddrs: readonly string[];
  readonly count: number;
}

/** How long a provider listens on here after a contract's end, s. */
export const LISTEN_ON_S = 2;

/**
 * Service, fetched image and source of an ended contract are gone at both edges; what happened can still be read, and what the
 * provider handed back, in a ring that takes nothing more.
 */
export async function nothingIsLeft(cluster: Cluster, contractId: string): Promise<void> {
  const { a, b } = cluster.run.nodes;
  const gone = [
    `${b.url('migration')}/migration/v1/fetch/${contractId}`,
    `${b.url('orchestrator')}/orchestrator/v1/service/${contractId}`,
    `${a.url('gatewayBridge')}/api/v3/ring/own/source`,
    `${a.url('migration')}/migration/v1/contracts/${contractId}`,
  ];
  await cluster.until('nothing is left of the contract', async () => {
    const still: string[] = [];
    for (const url of gone) if ((await ask(url)).status === 200) still.push(url);
    const devices = JSON.stringify(await get(`${b.url('coreMetadata')}/api/v3/device/all?limit=100`));
    if (devices.includes(`${contractId}.`)) still.push('devices at edge B');
    const ring = (await get(`${b.url('gatewayBridge')}/api/v3/ring/${contractId}`)) as KeptRing;
    const isKept = (ring.kept?.leftS ?? 0) > 6 * 86_400 && ring.devAddrs.length === 0 && ring.count > 0;
    if (!isKept) still.push(`a ring that is not only kept: ${JSON.stringify(ring)}`);
    return still.length === 0 ? { found: true } : { seen: still.join(' ') };
  });
  for (const node of [a, b]) {
    const url = `${node.url('arbitrator')}/arbitrator/v1/contract/${contractId}`;
    const { notes } = (await get(`${url}/timeline`)) as { notes: { milestone: string }[] };
    const state = (await get(url)) as { state: string };
    if (state.state !== 'ended' || !notes.some(({ milestone }) => milestone === 'ended'))
      throw new Error(`${node.title} forgot its contract: ${JSON.stringify({ state, notes })}`);
  }
}

async function radioFaults(before: ContractedRun, run: ContractedRun) {
  const truth = await readTruth(run.truthFile);
  const slots = run.timelines.view('customer')?.terms.slots;
  if (slots === undefined) throw new Error('edge A no longer shows its contract');
  const grants = [...before.timelines.grants(), ...run.timelines.grants()];
  const gateways = new Map([[GATEWAYS.a, 'customer'] as const, [GATEWAYS.b, 'provider'] as const]);
  const { downlinks, downlinksIgnored: ignored } = truth;
  const verdict = judgeRadio({ downlinks, ignored, gateways, slots, grants });
  if (verdict.faults.length > 0) throw new Error(verdict.faults.join('\n'));
  const epochs = run.timelines.grants().filter(({ holder }) => holder === 'provider');
  return verdict.onAir.filter(({ epoch }) => epochs.some((one) => one.epoch === epoch));
}

/** A takeover under a second contract of the same set, judged together with all that happened before. */
export async function secondContract(cluster: Cluster, before: ContractedRun, contractId: string) {
  const { nodes, waiter } = cluster.run;
  const signedAt = waiter.now();
  const timelines = followContract(contractId, { customer: nodes.a, provider: nodes.b }, waiter.stage);
  const run = { ...cluster.run, contractId, timelines };
  await armed(run);
  const failure = await killParty(run, nodes.a);
  timelines.failureAt(failure.at);
  await watchTakeover(run, failure.at).takeoverMs();
  await serve(run);
  await failure.end();
  await takeBack(run);
  await settle(run);
  await actAgain(run);
  await run.radio.stopTraffic();
  await caughtUp(run);
  const { devices, disturbances } = run;
  const events = await allEvents(
    nodes.a,
    devices.map(({ name }) => name),
  );
  const unguarded = [...unguardedSince(before, signedAt), ...unguardedSince(run)];
  const truth = await readTruth(run.truthFile);
  const { uplinks } = judgeUplinks({ truth, devices, events, disturbances, unguarded });
  const balanceOf = async (edgeId: string): Promise<unknown> => {
    const account = await get(`${nodes.central.url('ledger')}/ledger/v1/state/account/${edgeId}`);
    return (account as { value: { balance: number } }).value.balance;
  };
  const balances = { customer: await balanceOf(nodes.a.edgeId), provider: await balanceOf(nodes.b.edgeId) };
  const acted = await radioFaults(before, run);
  return { uplinks, balances, onAir: acted.reduce((sum, { count }) => sum + count, 0) };
}
