import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { rest } from './rest.ts';
import { states, waitFollowing, type ContractedRun, type Run } from './run.ts';
import { followContract } from './timelines.ts';
import { waitFor } from './wait.ts';

export const IMAGE_NAME = 'LoRa-device-service';
export const ARCHIVE_NAME = 'LoRa-device-service.tar';
const DAYS = 7;

const CONTRACT_MS = 60_000;
const READY_MS = 90_000;
const DEMAND_RETRY_MS = 1_000;

const anything = z.unknown();
const contracts = z.array(z.looseObject({ contractId: z.string(), role: z.string(), state: z.string() }));

/** Asks edge A, as its operator would, to have its device service insured (the thesis's table 4.4). */
async function demand({ nodes, waiter }: Run): Promise<void> {
  const url = `${nodes.a.url('orchestrator')}/orchestrator/service_customer/contract/testing`;
  const json = { imageName: IMAGE_NAME, fileName: ARCHIVE_NAME, duration: DAYS };
  await waitFor<true>(waiter, {
    subject: 'edge A takes the demand',
    withinMs: 20_000,
    everyMs: DEMAND_RETRY_MS,
    look: async () => {
      await rest(anything, url, { method: 'POST', json, timeoutMs: 15_000 });
      return { found: true };
    },
  });
}

/** From the demand to two signatures: market, coverage trial, negotiation. */
export async function agree(run: Run): Promise<ContractedRun> {
  const { nodes, waiter } = run;
  waiter.stage.act('edge A demands insurance for its device service');
  await demand(run);
  const contractId = await waitFor<string>(waiter, {
    subject: 'two edges agree on a contract',
    withinMs: CONTRACT_MS,
    everyMs: 200,
    look: async () => {
      const found = await rest(contracts, `${nodes.a.url('arbitrator')}/arbitrator/v1/contract`);
      const own = found.find(({ role }) => role === 'customer');
      if (own === undefined) return { seen: 'no contract at edge A yet' };
      return own.state === 'signing' || own.state === 'refused'
        ? { seen: own.state }
        : { found: own.contractId };
    },
  });
  waiter.stage.milestone(`contract ${contractId} is signed by both and validated: both stakes are held`);
  const timelines = followContract(contractId, { customer: nodes.a, provider: nodes.b }, waiter.stage);
  return { ...run, contractId, timelines };
}

/** The provider has image, configuration, sealed keys and the service in standby; the customer knows. */
export async function armed(run: ContractedRun): Promise<void> {
  await waitFollowing<true>(run, {
    subject: 'edge B is READY',
    withinMs: READY_MS,
    look: () => {
      const [customer, provider] = [
        run.timelines.view('customer')?.state,
        run.timelines.view('provider')?.state,
      ];
      return customer === 'guarded' && provider === 'ready' ? { found: true } : { seen: states(run) };
    },
  });
}

/** Time passes, with everybody at work and the timelines followed. */
export async function letPass(run: ContractedRun, ms: number): Promise<void> {
  const until = run.waiter.now() + ms;
  while (run.waiter.now() < until) {
    run.waiter.check();
    await run.timelines.update();
    await sleep(Math.max(0, Math.min(200, until - run.waiter.now())));
  }
}
