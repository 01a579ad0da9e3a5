import { afterAll, beforeAll, describe, expect } from '@jest/globals';
import { GATEWAYS, agree, armed, killParty, letPass, type ContractedRun } from '@antirio/demo/scenes';
import { readTruth } from '@antirio/lora-simulator';
import { BLOCK_SIZE, SLOTS } from '@antirio/service-contract';
import { ask, get } from './support/ask.ts';
import { openCluster, type Cluster } from './support/cluster.ts';
import { inSteps } from './support/steps.ts';

const TERMS = { heartbeatIntervalMs: 200, missedBeats: 3, leaseMs: 3000, returnBackoffMs: 2000 };

interface OnPromises {
  readonly blocks: number;
  readonly limit: number;
  readonly waitsForGrantor: boolean;
}

describe('while the centre is away', () => {
  let cluster: Cluster;
  let run: ContractedRun;
  let centre: Awaited<ReturnType<typeof killParty>>;
  let device: { readonly name: string; readonly devEui: string };
  const { step, wentWell } = inSteps(() => cluster.story());
  beforeAll(async () => {
    cluster = await openCluster(
      { seed: 'e2e/blocks', motes: 3, duration: 3, periodMs: 1000, loss: 0 },
      TERMS,
    );
    run = await agree(cluster.run);
    await armed(run);
    const [first] = run.devices;
    if (first === undefined) throw new Error('no motes');
    device = { name: first.name, devEui: first.devEui.toLowerCase() };
  });
  afterAll(async () => {
    await cluster.end(wentWell());
  });

  /** FCntDown of what edge A's gateway has sent to the device, in its order. */
  const onAir = async (): Promise<readonly { readonly fcnt: number; readonly bytes: string }[]> => {
    const { downlinks } = await readTruth(run.truthFile);
    const { devAddr } = await shown();
    return downlinks
      .filter((one) => one.gateway === GATEWAYS.a && one.devAddr === devAddr && one.fcntDown !== null)
      .map(({ fcntDown, phyPayload }) => ({ fcnt: fcntDown ?? NaN, bytes: phyPayload }));
  };
  const shown = async (): Promise<{ readonly devAddr: string; readonly onPromises?: OnPromises }> => {
    const url = `${run.nodes.a.url('arbitrator')}/arbitrator/v1/why/${device.devEui}`;
    const why = (await get(url)) as {
      device: { devAddr: string; downlinkCounters?: { onPromises?: OnPromises } };
    };
    const onPromises = why.device.downlinkCounters?.onPromises;
    return { devAddr: why.device.devAddr, ...(onPromises === undefined ? {} : { onPromises }) };
  };
  const leaseBy = (word: 'grantor' | 'promises'): Promise<true> =>
    cluster.until<true>(`edge A acts by the word of: ${word}`, async () => {
      const url = `${run.nodes.a.url('arbitrator')}/arbitrator/v1/contract/${run.contractId}`;
      const { leaseBy: by = 'nobody' } = (await get(url)) as { leaseBy?: string };
      return by === word ? { found: true } : { seen: by };
    });
  const slotBlocks = async (): Promise<readonly number[]> => {
    const counters = await onAir();
    return [...new Set(counters.map(({ fcnt }) => Math.floor(fcnt / BLOCK_SIZE)))];
  };
  /** Commands to the device until that is on air which is wanted. */
  const sendUntil = async (what: string, isOver: () => Promise<boolean>): Promise<void> => {
    let askedAt = -Infinity;
    let value = 60;
    await cluster.until<true>(what, async () => {
      if (await isOver()) return { found: true };
      if (run.waiter.now() - askedAt >= 400) {
        askedAt = run.waiter.now();
        const url = `${run.nodes.a.url('coreCommand')}/api/v3/device/name/${device.name}/interval`;
        value = value === 90 ? 60 : value + 1;
        await ask(url, { method: 'PUT', json: { interval: String(value) } });
      }
      return { seen: JSON.stringify((await onAir()).map(({ fcnt }) => fcnt)) };
    });
  };
  const send = async (count: number): Promise<void> => {
    const before = (await onAir()).length;
    await sendUntil(
      `${count} downlinks more are on air`,
      async () => (await onAir()).length >= before + count,
    );
  };
  /** More than is left of the newest block. */
  const sendBeyondBlock = async (): Promise<void> => {
    const before = Math.max(...(await slotBlocks()));
    await sendUntil('a downlink under a higher block is on air', async () =>
      (await slotBlocks()).some((block) => block > before),
    );
  };
  const isEachOnce = async (): Promise<void> => {
    const all = await onAir();
    const bytes = new Map<number, string>();
    for (const one of all) {
      expect(bytes.get(one.fcnt) ?? one.bytes).toBe(one.bytes);
      bytes.set(one.fcnt, one.bytes);
    }
    const [first = NaN] = await slotBlocks();
    for (const block of await slotBlocks()) expect(block % SLOTS).toBe(first % SLOTS);
  };

  step('edge A sends more than a block holds to one device, by the promise of edge B', async () => {
    await send(2);
    centre = await killParty(run, run.nodes.central);
    await leaseBy('promises');
    await sendBeyondBlock();
    await isEachOnce();
    const { onPromises } = await shown();
    expect(onPromises).toMatchObject({ limit: 16, waitsForGrantor: false });
    expect(onPromises?.blocks).toBeGreaterThan(0);
  });

  step('after a SIGKILL it goes on above all that it may have used', async () => {
    const before = Math.max(...(await slotBlocks()));
    await cluster.killAndRestart('a');
    await leaseBy('promises');
    await send(3);
    expect(Math.max(...(await slotBlocks()))).toBeGreaterThan(before);
    await isEachOnce();
  });

  step('when the centre is back it records them, and gives what lies above', async () => {
    await centre.end();
    await leaseBy('grantor');
    await cluster.until<true>('nothing stands on promises', async () => {
      const { onPromises } = await shown();
      return onPromises === undefined ? { found: true } : { seen: JSON.stringify(onPromises) };
    });
    await letPass(run, 1000);
    await sendBeyondBlock();
    await isEachOnce();
  });
});
