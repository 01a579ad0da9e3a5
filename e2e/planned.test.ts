import path from 'node:path';
import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import {
  actAgain,
  agree,
  armed,
  caughtUp,
  downlinksOnAir,
  GATEWAYS,
  judge,
  killParty,
  letPass,
  serve,
  settle,
  takeBack,
  terminateParty,
  watchTakeover,
  type ContractedRun,
} from '@antirio/demo/scenes';
import { readTruth } from '@antirio/lora-simulator';
import { ask, get, type Answer } from './support/ask.ts';
import { runCommand } from './support/command.ts';
import { openCluster, type Cluster } from './support/cluster.ts';
import { inSteps } from './support/steps.ts';
import { watchUnread } from './support/unread.ts';

/** An uplink is read by asking over and over on a machine that does much else besides. */
const READ_WITHIN_MS = 3000;

const tell = (run: ContractedRun, act: string, json: object): Promise<Answer> =>
  ask(`${run.nodes.a.url('arbitrator')}/arbitrator/v1/operator/${run.contractId}/${act}`, {
    method: 'POST',
    json: { by: 'e2e', ...json },
  });

async function opened(run: ContractedRun): Promise<unknown> {
  const key = `opening/${run.contractId}/${'1'.padStart(12, '0')}`;
  return get(`${run.nodes.central.url('ledger')}/ledger/v1/state/${key}`);
}

const MAIN = path.resolve(import.meta.dirname, '../apps/edge/src/main.ts');
const PAYLOAD = 'c0ffee';
/** An FPort that nobody else sends to. */
const PORT = 77;

/** The application's downlink, while edge B has no AppSKey: asked for at edge A, which encrypts it. */
async function downlinkBy(run: ContractedRun, folder: string, device: string): Promise<unknown> {
  const { contractId, nodes } = run;
  const { code, stdout, stderr } = await runCommand('env', [
    ...['NODE_OPTIONS=', 'node', MAIN, 'lora', 'downlink', device, PAYLOAD, '--port', String(PORT)],
    ...['--contract', contractId, '--wait', '90', '--json', '--data-dir', folder],
    ...['--config', path.join(folder, 'antirio.jsonc'), '--port-offset', String(nodes.a.offset)],
  ]);
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout);
}

async function readyCluster(
  seed: string,
  confidentiality: 'forward' | 'process' = 'process',
): Promise<readonly [Cluster, ContractedRun]> {
  const cluster = await openCluster({ seed, duration: 3, confidentiality });
  const run = await agree(cluster.run);
  await armed(run);
  await downlinksOnAir(run, run.nodes.a, 'own');
  return [cluster, run];
}

async function verdict(
  run: ContractedRun,
  takeoverMs: Awaited<ReturnType<ReturnType<typeof watchTakeover>['takeoverMs']>>,
) {
  await letPass(run, 2000);
  await run.radio.stopTraffic();
  await caughtUp(run);
  return judge(run, takeoverMs, { early: false, quiet: false });
}

describe('a planned handover', () => {
  let cluster: Cluster;
  let run: ContractedRun;
  const { step, wentWell } = inSteps(() => cluster.story());
  beforeAll(async () => {
    [cluster, run] = await readyCluster('e2e/planned', 'forward');
  });
  afterAll(async () => {
    await cluster.end(wentWell());
  });

  step(
    'leaves no uplink unread: edge B reads before edge A lets go, and nothing comes back by itself',
    async () => {
      const unread = watchUnread(run);
      const began = run.waiter.now();
      await letPass(run, 4000);
      const normal = unread.longest(began, run.waiter.now() - 1000);
      const at = run.waiter.now();
      const takeover = watchTakeover(run, at);
      expect((await tell(run, 'handover', { planned: true })).status).toBe(202);
      const takeoverMs = await takeover.takeoverMs();
      const reads = run.timelines.find('provider', 'opened', at)?.monotonic ?? Infinity;
      const letGo = run.timelines.find('customer', 'yielded', at);
      expect(letGo?.detail).toMatchObject({ epoch: 1, providerReads: true });
      expect(reads).toBeLessThan(letGo?.monotonic ?? 0);
      const why = (await get(
        `${run.nodes.a.url('arbitrator')}/arbitrator/v1/why/${run.devices[0]?.devAddr ?? ''}`,
      )) as {
        contracts: { acts: { edge: string }; keys: { exposed: boolean }; fence: { refuses: string } }[];
      };
      expect(why.contracts[0]).toMatchObject({
        acts: { edge: run.nodes.b.edgeId, isThisEdge: false },
        keys: { exposed: true, newest: { lastBeat: { isGenuine: true, epoch: 1 } } },
        fence: { refuses: 'shut' },
      });
      expect(await opened(run)).toMatchObject({ value: { evidence: { yielded: 'planned' } } });
      await letPass(run, 4000);
      const during = unread.longest(at - 1000, run.waiter.now() - 1500);
      await unread.stop();
      const [sensor] = run.devices;
      // a frame on the air may be lost
      const read = await cluster.until('the sensor reads what was encrypted at edge A', async () => {
        const told = await downlinkBy(run, cluster.folderOf('a'), sensor?.name ?? '');
        expect(told).toMatchObject({ state: 'sent', isEncrypted: true });
        const { downlinksReceived } = await readTruth(run.truthFile);
        const found = downlinksReceived.find(({ fPort }) => fPort === PORT);
        return found === undefined ? { seen: JSON.stringify(told) } : { found };
      });
      expect(read).toMatchObject({ devEui: sensor?.devEui, gateway: GATEWAYS.b, payload: PAYLOAD });
      // the maintenance
      const away = await killParty(run, run.nodes.a);
      await serve(run);
      await away.end();
      await letPass(run, 4000);
      expect(run.timelines.view('customer')?.state).toBe('recovering');
      cluster.tell(`longest unread: ${JSON.stringify({ normal, during, takeoverMs })}`);
      expect(during.uplinks).toBeGreaterThan(0);
      expect(during.longestMs).toBeLessThan(Math.max(READ_WITHIN_MS, 3 * normal.longestMs));
      expect((await tell(run, 'return', {})).status).toBe(202);
      await takeBack(run);
      await settle(run);
      await actAgain(run);
      const { report, faults } = await verdict(run, takeoverMs);
      expect({ faults, ok: report.ok }).toEqual({ faults: [], ok: true });
    },
  );
});

describe('a last gasp', () => {
  let cluster: Cluster;
  let run: ContractedRun;
  const { step, wentWell } = inSteps(() => cluster.story());
  beforeAll(async () => {
    [cluster, run] = await readyCluster('e2e/gasp');
  });
  afterAll(async () => {
    await cluster.end(wentWell());
  });

  step('on SIGTERM gives the epoch away, and takes it back at the next start', async () => {
    const unread = watchUnread(run);
    const at = run.waiter.now();
    const takeover = watchTakeover(run, at);
    const failure = await terminateParty(run, run.nodes.a);
    const takeoverMs = await takeover.takeoverMs();
    expect(run.timelines.find('provider', 'suspected', at)).toBeUndefined();
    await serve(run);
    expect(await opened(run)).toMatchObject({ value: { evidence: { yielded: 'lastGasp' } } });
    const during = unread.longest(at - 1000, at + 6000);
    await unread.stop();
    cluster.tell(`longest unread: ${JSON.stringify({ during, takeoverMs })}`);
    expect(during.longestMs).toBeLessThan(READ_WITHIN_MS);
    await failure.end();
    await takeBack(run);
    await settle(run);
    await actAgain(run);
    const { report, faults } = await verdict(run, takeoverMs);
    expect({ faults, ok: report.ok }).toEqual({ faults: [], ok: true });
  });
});
