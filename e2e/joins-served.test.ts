import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { allEvents } from '@antirio/demo';
import {
  actAgain,
  agree,
  armed,
  caughtUp,
  killParty,
  serve,
  settle,
  takeBack,
  watchTakeover,
  type ContractedRun,
} from '@antirio/demo/scenes';
import { readTruth } from '@antirio/lora-simulator';
import { get } from './support/ask.ts';
import { openCluster, type Cluster } from './support/cluster.ts';
import { inSteps } from './support/steps.ts';

const MOTES = 3;

interface Device {
  readonly name: string;
  readonly devEui: string;
  readonly devAddr: string | null;
  readonly disclosed: boolean | null;
}

interface Contract {
  readonly joinsAnswered?: number;
  readonly joinsHome?: { readonly through: number; readonly counts: Readonly<Record<string, number>> };
  readonly rootKeysSeen?: readonly { readonly devEui: string }[];
}

const devicesOf = async ({ nodes }: Cluster['run']): Promise<readonly Device[]> => {
  const answer = await get(`${nodes.a.url('deviceLora')}/api/v3/lora/device`);
  return (answer as { devices: Device[] }).devices;
};

const contractAt = async ({ nodes, contractId }: ContractedRun, party: 'a' | 'b'): Promise<Contract> =>
  (await get(`${nodes[party].url('arbitrator')}/arbitrator/v1/contract/${contractId}`)) as Contract;

/** Uplinks in a core-data, by address and counter, which together no two frames of these motes share. */
async function storedAt({ nodes, devices }: ContractedRun, party: 'a' | 'b'): Promise<readonly string[]> {
  const names = party === 'a' ? devices.map(({ name }) => name) : [];
  const events = await allEvents(nodes[party], names);
  return events.map(({ tags = {} }) => `${String(tags['devAddr'])}/${String(tags['fCnt'])}`);
}

const addressesIn = (stored: readonly string[]): ReadonlySet<string> =>
  new Set(stored.map((name) => name.split('/')[0] ?? ''));

async function verdict(run: ContractedRun) {
  const truth = await readTruth(run.truthFile);
  const stored = await storedAt(run, 'a');
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

describe('motes that join while a provider with their root keys serves', () => {
  let cluster: Cluster;
  let run: ContractedRun;
  const { step, wentWell } = inSteps(() => cluster.story());
  beforeAll(async () => {
    cluster = await openCluster({
      seed: 'e2e/joins-served',
      motes: MOTES,
      otaa: 1,
      rootKeys: true,
      duration: 1,
      periodMs: 1000,
      loss: 0,
    });
    await cluster.until('all have joined', async () => {
      const devices = await devicesOf(cluster.run);
      const joined = devices.filter(({ devAddr }) => devAddr !== null);
      return joined.length === MOTES ? { found: true } : { seen: `${joined.length} have` };
    });
    run = await agree(cluster.run);
    await armed(run);
  });
  afterAll(async () => {
    await cluster.end(wentWell());
  });

  step('are answered by it, and their readings come home with their sessions', async () => {
    const before = new Set((await devicesOf(run)).map(({ devAddr }) => devAddr));
    const takeover = watchTakeover(run, run.waiter.now());
    const failure = await killParty(run, run.nodes.a);
    cluster.tell(JSON.stringify(await takeover.takeoverMs()));
    await serve(run);
    await run.radio.tool.ask({ cmd: 'rejoin' }, 'rejoin');
    const anew = await cluster.until<readonly string[]>(
      'edge B reads under sessions that it made',
      async () => {
        const found = [...addressesIn(await storedAt(run, 'b'))].filter((one) => !before.has(one));
        return found.length >= MOTES ? { found } : { seen: `${found.length} new addresses` };
      },
    );
    const { joinsAnswered = 0 } = await contractAt(run, 'b');
    expect(joinsAnswered).toBeGreaterThanOrEqual(MOTES);
    // what it made is on its disk, and it reads on under it
    const heard = async (): Promise<number> =>
      (await storedAt(run, 'b')).filter((one) => anew.includes(one.split('/')[0] ?? '')).length;
    const then = await heard();
    await cluster.killAndRestart('b');
    await cluster.until('edge B reads on after its end', async () => {
      const now = await heard();
      return now >= then + MOTES * 3 ? { found: true } : { seen: `${now - then} more` };
    });
    await failure.end();
    await takeBack(run);
    await settle(run);
    const { joinsHome, rootKeysSeen } = await contractAt(run, 'a');
    expect(joinsHome?.through).toBeGreaterThanOrEqual(MOTES);
    expect(joinsHome?.counts).toMatchObject({
      badMic: 0,
      badAccept: 0,
      replay: 0,
      badNonce: 0,
      outOfRange: 0,
    });
    expect(rootKeysSeen).toHaveLength(MOTES);
    expect([...addressesIn(await storedAt(run, 'a'))]).toEqual(expect.arrayContaining([...anew]));
    await actAgain(run);
    // edge B has made their sessions: by edge A's downlink they join anew, and go on
    await cluster.until('all have sessions of edge A again', async () => {
      const own = (await devicesOf(run)).filter(
        ({ devAddr, disclosed }) => devAddr !== null && !anew.includes(devAddr) && disclosed === false,
      );
      return own.length === MOTES ? { found: true } : { seen: `${own.length} have` };
    });
    await run.radio.stopTraffic();
    await caughtUp(run);
    const found = await verdict(run);
    expect(found).toMatchObject({ lost: [], doubled: 0, forged: [] });
    expect(found.uplinks).toBeGreaterThan(MOTES * 5);
  });
});
