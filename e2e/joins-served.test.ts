import { afterAll, beforeAll, describe, expect } from '@jest/globals';
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
import { get } from './support/ask.ts';
import { openCluster, type Cluster } from './support/cluster.ts';
import { joinedDevices, joinedVerdict, storedUplinks, untilJoined } from './support/joined-motes.ts';
import { inSteps } from './support/steps.ts';

const MOTES = 3;

interface Contract {
  readonly joinsAnswered?: number;
  readonly joinsHome?: { readonly through: number; readonly counts: Readonly<Record<string, number>> };
  readonly rootKeysSeen?: readonly { readonly devEui: string }[];
}

const contractAt = async ({ nodes, contractId }: ContractedRun, party: 'a' | 'b'): Promise<Contract> =>
  (await get(`${nodes[party].url('arbitrator')}/arbitrator/v1/contract/${contractId}`)) as Contract;

const storedAt = ({ nodes, devices }: ContractedRun, party: 'a' | 'b'): Promise<readonly string[]> =>
  storedUplinks(nodes[party], party === 'a' ? devices.map(({ name }) => name) : []);

const addressesIn = (stored: readonly string[]): ReadonlySet<string> =>
  new Set(stored.map((name) => name.split('/')[0] ?? ''));

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
    await untilJoined(cluster, MOTES);
    run = await agree(cluster.run);
    await armed(run);
  });
  afterAll(async () => {
    await cluster.end(wentWell());
  });

  step('are answered by it, and their readings come home with their sessions', async () => {
    const before = new Set((await joinedDevices(run)).map(({ devAddr }) => devAddr));
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
      const own = (await joinedDevices(run)).filter(
        ({ devAddr, disclosed }) => devAddr !== null && !anew.includes(devAddr) && disclosed === false,
      );
      return own.length === MOTES ? { found: true } : { seen: `${own.length} have` };
    });
    await run.radio.stopTraffic();
    await caughtUp(run);
    const found = await joinedVerdict(run);
    expect(found).toMatchObject({ lost: [], doubled: 0, forged: [] });
    expect(found.uplinks).toBeGreaterThan(MOTES * 5);
  });
});
