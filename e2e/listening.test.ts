import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import {
  agree,
  armed,
  GATEWAYS,
  killParty,
  serve,
  settle,
  takeBack,
  watchTakeover,
  type ContractedRun,
} from '@antirio/demo/scenes';
import { readTruth } from '@antirio/lora-simulator';
import { ask, get } from './support/ask.ts';
import { openCluster, type Cluster } from './support/cluster.ts';
import { inSteps } from './support/steps.ts';

/** Edge A's image, in edge B's hands alone, tells each device to listen two data rates lower in RX1, and elsewhere in RX2. */
const moving = {
  file: 'apps/device-lora/src/mac/mac-layer.ts',
  find: '    if (isProofWanted) return',
  replace: `    const command = { type: 'rxParamSetupReq', rx1DrOffset: 2, rx2DataRate: 3, frequency: 868525000 } as const;
    if (state.rx1DrOffset !== 2 && state.pending.every((one) => one.command.type !== command.type))
      return macStep(eu868, state, { type: 'request', command }).state;
    if (isProofWanted) return`,
};

const MOTES = 5;

interface Home {
  readonly listeningHome?: { readonly counts: Readonly<Record<string, number>> };
}

describe('sensors that edge B told to listen elsewhere while edge A was dead', () => {
  let cluster: Cluster;
  let run: ContractedRun;
  const { step, wentWell } = inSteps(() => cluster.story());
  beforeAll(async () => {
    cluster = await openCluster({
      ...{ seed: 'e2e/listening', motes: MOTES, duration: 2, answersMac: true, imageEdit: moving },
    });
    run = await agree(cluster.run);
    await armed(run);
  });
  afterAll(async () => {
    await cluster.end(wentWell());
  });

  /** The motes that obeyed, by DevEUI. */
  const movedMotes = async (): Promise<ReadonlySet<string>> => {
    const { mac } = await readTruth(run.truthFile);
    const moved = mac.filter(({ parameters }) => parameters.reception.rx1DrOffset === 2);
    return new Set(moved.map(({ devEui }) => devEui));
  };
  /** Of edge A's downlinks since then: whom they reached, and which of them went where their mote did not listen. */
  const fromA = async (since: number) => {
    const { downlinksReceived, downlinksIgnored } = await readTruth(run.truthFile);
    const isFromA = ({ gateway, at }: { gateway: string; at: number }): boolean =>
      gateway === GATEWAYS.a && at > since;
    const reached = downlinksReceived.filter(isFromA).map(({ devEui }) => devEui);
    const missed = downlinksIgnored.filter(isFromA).filter(({ reason }) => reason === 'noWindow');
    return { reached: new Set(reached), missed };
  };
  const nameOf = (devEui: string): string => {
    const device = run.devices.find((one) => one.devEui.toLowerCase() === devEui.toLowerCase());
    return encodeURIComponent(device?.name ?? '');
  };
  /** What became of edge A's newest one to a mote. */
  const stateAtA = async (devEui: string): Promise<string | undefined> => {
    const url = `${run.nodes.a.url('deviceLora')}/api/v3/lora/device/${nameOf(devEui)}/downlink`;
    const { downlinks } = (await get(url)) as { downlinks: { state: string }[] };
    return downlinks[0]?.state;
  };
  const command = async (devEui: string): Promise<void> => {
    const name = nameOf(devEui);
    const url = `${run.nodes.a.url('coreCommand')}/api/v3/device/name/${name}/interval`;
    await ask(url, { method: 'PUT', json: { interval: '60' } });
  };

  step('do as they are told, and hear edge B there', async () => {
    const at = run.waiter.now();
    const takeover = watchTakeover(run, at);
    const failure = await killParty(run, run.nodes.a);
    await takeover.takeoverMs();
    await serve(run);
    await cluster.until('every mote listens elsewhere', async () => {
      const { size } = await movedMotes();
      return size === MOTES ? { found: true } : { seen: `${size} of ${MOTES}` };
    });
    await failure.end();
    await takeBack(run);
  });

  step('hear edge A when it is back', async () => {
    const since = run.timelines.find('customer', 'retaken')?.monotonic ?? 0;
    const moved = await movedMotes();
    for (const devEui of moved) await command(devEui);
    await cluster.until('edge A reaches every mote', async () => {
      const { reached, missed } = await fromA(since);
      const left = [...moved].filter((devEui) => !reached.has(devEui));
      return left.length === 0 ? { found: true } : { seen: JSON.stringify({ left, missed }) };
    });
    // by its own new right to act, which gateway-bridge tells with each frame
    await cluster.until('edge A knows of one that its mote has it', async () => {
      const states = await Promise.all([...moved].map(stateAtA));
      return states.includes('acknowledged') ? { found: true } : { seen: states.join() };
    });
    const url = `${run.nodes.a.url('arbitrator')}/arbitrator/v1/contract/${run.contractId}`;
    const { listeningHome } = (await get(url)) as Home;
    expect(listeningHome?.counts).toMatchObject({ malformed: 0, missing: 0 });
    await settle(run);
  });
});
