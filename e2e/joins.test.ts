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
import { joinedDevices, joinedVerdict, untilJoined, type JoinedDevice } from './support/joined-motes.ts';
import { inSteps } from './support/steps.ts';

const MOTES = 5;

async function addressesAt({ nodes, contractId }: ContractedRun): Promise<readonly string[]> {
  const ring = await get(`${nodes.b.url('gatewayBridge')}/api/v3/ring/${contractId}`);
  return (ring as { devAddrs: string[] }).devAddrs;
}

/** What the ledger has of new keys. */
async function rekeyedOn({ nodes, contractId }: ContractedRun): Promise<unknown> {
  const answer = await get(`${nodes.a.url('arbitrator')}/arbitrator/v1/contract/${contractId}`);
  return (answer as { rekeying?: { counted?: unknown } }).rekeying?.counted;
}

async function listeningAt({ nodes, contractId }: ContractedRun): Promise<unknown> {
  return get(`${nodes.b.url('arbitrator')}/arbitrator/v1/contract/${contractId}`);
}

describe('motes that join', () => {
  let cluster: Cluster;
  let run: ContractedRun;
  const { step, wentWell } = inSteps(() => cluster.story());
  beforeAll(async () => {
    cluster = await openCluster({
      seed: 'e2e/joins',
      motes: MOTES,
      otaa: 1,
      duration: 1,
      periodMs: 1000,
      loss: 0,
    });
    await untilJoined(cluster, MOTES);
    run = await agree(cluster.run);
    await armed(run);
    // READY has waited for it
    expect(await listeningAt(run)).toMatchObject({ macLayersKnown: MOTES });
  });
  afterAll(async () => {
    await cluster.end(wentWell());
  });

  step(
    'are answered once edge B has their new sessions, and are read by edge B after a takeover',
    async () => {
      const before = new Set((await joinedDevices(run)).map(({ devAddr }) => devAddr));
      await run.radio.tool.ask({ cmd: 'rejoin' }, 'rejoin');
      const devices = await cluster.until<readonly JoinedDevice[]>('all have joined anew', async () => {
        const found = await joinedDevices(run);
        const anew = found.filter(({ devAddr }) => !before.has(devAddr));
        return anew.length === MOTES ? { found: anew } : { seen: `${anew.length} have` };
      });
      expect(devices.map(({ sealed }) => sealed)).toEqual(devices.map(() => 'sealed'));
      expect(await addressesAt(run)).toEqual(expect.arrayContaining(devices.map(({ devAddr }) => devAddr)));
      const status = (await get(`${run.nodes.a.url('deviceLora')}/api/v3/status`)) as {
        sealed: Record<string, number>;
      };
      // a JoinAccept that does not reach its mote is followed by another join
      expect(status.sealed['sealed']).toBeGreaterThanOrEqual(MOTES);
      expect(status.sealed['unsealed']).toBe(0);
      const at = run.waiter.now();
      const takeover = watchTakeover(run, at);
      const failure = await killParty(run, run.nodes.a);
      cluster.tell(JSON.stringify(await takeover.takeoverMs()));
      await serve(run);
      // edge B has no root keys: who joins now is counted, and back when edge A is
      await run.radio.tool.ask({ cmd: 'rejoin', mote: devices[0]?.name ?? '' }, 'rejoin');
      await cluster.until('an unserved join is shown', async () => {
        const { nodes, contractId } = run;
        const url = `${nodes.b.url('arbitrator')}/arbitrator/v1/contract/${contractId}`;
        const { unservedJoins } = (await get(url)) as { unservedJoins?: { requests: number } };
        return unservedJoins === undefined ? { seen: 'none' } : { found: true };
      });
      await failure.end();
      await takeBack(run);
      await cluster.until('edge A knows how they listen by now', async () => {
        const { nodes, contractId } = run;
        const url = `${nodes.a.url('arbitrator')}/arbitrator/v1/contract/${contractId}`;
        const { listeningHome: home } = (await get(url)) as {
          listeningHome?: { counts: Record<string, number>; why?: string };
        };
        const isAll = home?.counts['missing'] === 0 && home.why === undefined;
        return isAll ? { found: true } : { seen: JSON.stringify(home ?? 'nothing') };
      });
      await settle(run);
      await actAgain(run);
      // edge B has read with their keys: the settlement waited until all had joined anew
      await cluster.until('all have new keys', async () => {
        const seen = (await joinedDevices(run)).filter(({ disclosed }) => disclosed === false);
        return seen.length === MOTES ? { found: true } : { seen: `${seen.length} have` };
      });
      expect(await rekeyedOn(run)).toEqual({ rekeyed: MOTES, waiting: 0, disclosed: 0 });
      await run.radio.stopTraffic();
      await caughtUp(run);
      const found = await joinedVerdict(run);
      expect(found).toMatchObject({ lost: [], doubled: 0, forged: [] });
      expect(found.uplinks).toBeGreaterThan(MOTES * 5);
    },
  );
});
