import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { GATEWAYS, agree, armed, killParty, watchTakeover, type ContractedRun } from '@antirio/demo/scenes';
import { drillIdOf, type Drill } from '@antirio/service-contract';
import { ask, get, type Answer } from './support/ask.ts';
import { openCluster, type Cluster } from './support/cluster.ts';
import { inSteps } from './support/steps.ts';

const TERMS = {
  ...{ heartbeatIntervalMs: 200, missedBeats: 3, leaseMs: 3000, returnBackoffMs: 2000 },
  drills: { perMonth: 4, maxMs: 30_000, penalty: 7 },
  // a sample as soon as the one before is over
  downlinkDrills: { motes: 4, everyS: 10, forReady: 2, degradedBelow: 100 },
};

describe('a drill', () => {
  let cluster: Cluster;
  let run: ContractedRun;
  const { step, wentWell } = inSteps(() => cluster.story());
  beforeAll(async () => {
    cluster = await openCluster({ seed: 'e2e/drill', duration: 3, answersMac: true }, TERMS);
  });
  afterAll(async () => {
    await cluster.end(wentWell());
  });

  const onLedger = async (key: string): Promise<Record<string, unknown>> => {
    const answer = await get(`${run.nodes.central.url('ledger')}/ledger/v1/state/${key}`);
    return (answer as { value: Record<string, unknown> }).value;
  };
  const tellDrill = (): Promise<Answer> =>
    ask(`${run.nodes.a.url('arbitrator')}/arbitrator/v1/operator/${run.contractId}/drill`, {
      method: 'POST',
      json: { by: 'e2e' },
    });
  const newest = async (): Promise<Drill | undefined> => {
    const url = `${run.nodes.a.url('arbitrator')}/arbitrator/v1/contract/${run.contractId}`;
    return ((await get(url)) as { drills?: { newest?: Drill } }).drills?.newest;
  };
  const until = (number: number, state: Drill['state']): Promise<Drill> =>
    cluster.until<Drill>(`drill ${number} is ${state}`, async () => {
      const drill = await newest();
      return drill?.number === number && drill.state === state
        ? { found: drill }
        : { seen: JSON.stringify(drill) };
    });

  step('is passed before the contract is READY, without the contract’s own keys', async () => {
    run = await agree(cluster.run);
    await armed(run);
    expect(await until(1, 'passed')).toMatchObject({ reason: 'read', counts: false });
    expect(await onLedger(`contract/${run.contractId}`)).toMatchObject({
      ...{ life: { state: 'READY' }, openings: 0, drills: { passed: 1, failed: 0 } },
    });
    expect(await onLedger(`keys/${run.contractId}`)).not.toHaveProperty('exposedAt');
  });

  step(
    'is also passed by sensors that have answered downlinks of edge B’s gateway, which edge A lent it',
    async () => {
      const { downlinks } = await onLedger(`contract/${run.contractId}`);
      expect((downlinks as { answered: number }).answered).toBeGreaterThanOrEqual(2);
      run.truth.update();
      expect(run.truth.downlinksFrom(GATEWAYS.b)).toBeGreaterThanOrEqual(2);
      type Shown = {
        downlinks: { sensorsThatAnswered: number; devices: { devEui: string; atLeast: number }[] };
      };
      const shownAt = async (party: 'a' | 'b'): Promise<Shown['downlinks']> => {
        const url = `${run.nodes[party].url('arbitrator')}/arbitrator/v1/contract/${run.contractId}/coverage`;
        return ((await get(url)) as Shown).downlinks;
      };
      const atA = await shownAt('a');
      cluster.tell(`drill downlinks: ${JSON.stringify(atA)}`);
      expect(atA.sensorsThatAnswered).toBeGreaterThanOrEqual(2);
      expect(atA.devices.some(({ atLeast }) => atLeast > 0)).toBe(true);
      await cluster.until('edge B knows as much', async () => {
        const atB = await shownAt('b');
        return atB.sensorsThatAnswered >= 2 ? { found: true } : { seen: JSON.stringify(atB) };
      });
      const [first] = atA.devices;
      const why = await get(`${run.nodes.a.url('arbitrator')}/arbitrator/v1/why/${first?.devEui}`);
      expect(why).toMatchObject({ contracts: [{ hearsProvider: { sent: expect.any(Number) } }] });
    },
  );

  step('told by the operator is read and undone, and edge A acts all the while', async () => {
    expect((await tellDrill()).status).toBe(202);
    const drill = await until(2, 'passed');
    cluster.tell(`drill: ${JSON.stringify(drill.times)}`);
    expect(drill.counts).toBe(true);
    const { b } = run.nodes;
    const id = drillIdOf(run.contractId);
    const gone = [
      `${b.url('gatewayBridge')}/api/v3/ring/${id}`,
      `${b.url('orchestrator')}/orchestrator/v1/service/${id}`,
    ];
    await cluster.until('nothing of the drill is left', async () => {
      const still: string[] = [];
      for (const url of gone) if ((await ask(url)).status !== 404) still.push(url);
      return still.length === 0 ? { found: true } : { seen: still.join(' ') };
    });
    const events = await ask(`${b.url('coreData')}/api/v3/event/device/name/${id}.drill`);
    expect(JSON.stringify(events.json)).not.toContain(id);
    expect(await onLedger(`contract/${run.contractId}`)).toMatchObject({
      openings: 0,
      drills: { passed: 2 },
    });
    expect(run.timelines.view('customer')?.state).toBe('guarded');
  });

  step('that edge A dies in is given up, and edge A’s sensors are served', async () => {
    await tellDrill();
    await cluster.until('the drill is under way', async () => {
      const drill = await newest();
      return drill?.number === 3 ? { found: true } : { seen: JSON.stringify(drill) };
    });
    const failure = await killParty(run, run.nodes.a);
    run.timelines.failureAt(failure.at);
    const takeoverMs = await watchTakeover(run, failure.at).takeoverMs();
    cluster.tell(`takeover: ${JSON.stringify(takeoverMs)}`);
    expect(await onLedger(`contract/${run.contractId}`)).toMatchObject({ openings: 1 });
    await failure.end();
    await until(3, 'void');
    expect(await onLedger(`contract/${run.contractId}`)).toMatchObject({
      escrow: { provider: expect.any(Number) },
    });
  });
});
