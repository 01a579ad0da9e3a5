import { allEvents } from '@antirio/demo';
import type { ContractedRun } from '@antirio/demo/scenes';
import { readTruth } from '@antirio/lora-simulator';
import { get } from './ask.ts';
import type { Cluster } from './cluster.ts';

export interface JoinedDevice {
  readonly name: string;
  readonly devAddr: string | null;
  readonly sealed: string | null;
  readonly disclosed: boolean | null;
}

export async function joinedDevices({ nodes }: Cluster['run']): Promise<readonly JoinedDevice[]> {
  const answer = await get(`${nodes.a.url('deviceLora')}/api/v3/lora/device`);
  return (answer as { devices: JoinedDevice[] }).devices;
}

export async function untilJoined(cluster: Cluster, motes: number): Promise<void> {
  await cluster.until('all have joined', async () => {
    const devices = await joinedDevices(cluster.run);
    const joined = devices.filter(({ devAddr }) => devAddr !== null);
    return joined.length === motes ? { found: true } : { seen: `${joined.length} have` };
  });
}

/** Uplinks in a core-data, by address and counter, which together no two frames of motes that join share. Of all its devices where none are named. */
export async function storedUplinks(
  node: ContractedRun['nodes']['a'],
  names: readonly string[],
): Promise<readonly string[]> {
  const events = await allEvents(node, names);
  return events.map(({ tags = {} }) => `${String(tags['devAddr'])}/${String(tags['fCnt'])}`);
}

/** What became of all uplinks. */
export async function joinedVerdict(run: ContractedRun) {
  const { nodes, devices, truthFile } = run;
  const truth = await readTruth(truthFile);
  const stored = await storedUplinks(
    nodes.a,
    devices.map(({ name }) => name),
  );
  const sent = new Map(truth.identities.map((one) => [`${one.devAddr}/${one.fcnt}`, one]));
  const there = new Set(stored);
  const covered = [...sent].filter(([, { ackedBy }]) => ackedBy.length > 0);
  return {
    uplinks: covered.length,
    lost: covered.filter(([name]) => !there.has(name)).map(([name]) => name),
    doubled: stored.length - there.size,
    forged: stored.filter((name) => !sent.has(name)),
  };
}
