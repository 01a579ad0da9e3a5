import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { DemoError } from './errors.ts';
import { rest } from './rest.ts';
import { states, waitFollowing, type ContractedRun, type Run } from './run.ts';
import { followContract } from './timelines.ts';
import { openingOf } from './story-terms.ts';
import { waitFor, type Look } from './wait.ts';

export const IMAGE_NAME = 'LoRa-device-service';
export const ARCHIVE_NAME = 'LoRa-device-service.tar';
const DAYS = 7;

const CONTRACT_MS = 90_000;
/** An image of a hundred megabytes is a minute on its way between edges that six others keep from working. */
const READY_MS = 180_000;

const demandSchema = z.looseObject({
  id: z.string(),
  state: z.string(),
  progress: z.record(z.string(), z.unknown()),
  imageHash: z.string().optional(),
  contractId: z.string().optional(),
  error: z.string().optional(),
});
type Demand = z.output<typeof demandSchema>;
const contractSchema = z.looseObject({ state: z.string(), refused: z.string().optional() });

const RESOURCE = 'orchestrator/service_customer/contract/testing';

/** Asks edge A, as its operator would, to have its device service insured (the thesis's table 4.4). */
async function demand({ nodes, options }: Run): Promise<Demand> {
  const inWords = 'opening' in openingOf(options) ? { iTrustTheProviderWithMyKeys: true } : {};
  const json = { imageName: IMAGE_NAME, fileName: ARCHIVE_NAME, duration: DAYS, ...inWords };
  return rest(demandSchema, `${nodes.a.url('orchestrator')}/${RESOURCE}`, { method: 'POST', json });
}

/** What became of a demand. Throws `badAnswer` where it found nobody. */
async function demanded({ nodes }: Run, id: string): Promise<Demand> {
  const all = await rest(z.array(demandSchema), `${nodes.a.url('orchestrator')}/${RESOURCE}`);
  const found = all.find((one) => one.id === id);
  if (found === undefined) throw new DemoError('badAnswer', `edge A forgot its demand ${id}`);
  return found;
}

/** How far a demand is, in the words of the reader; in this order. */
const TOLD: readonly (readonly [progress: string, text: string])[] = [
  ['MATCHED', 'the market has matched edge A with edge B'],
  ['TRIAL', 'edge B shows by receipts that it hears the motes'],
  ['NEGOTIATING', 'the DMUs negotiate'],
  ['AGREED', 'the DMUs agree'],
];

/** Tells each step of a demand once, also those that were too short to be seen. */
function progressTeller({ stage }: Run['waiter']): (demand: Demand) => void {
  let told = 0;
  let stored = false;
  return ({ progress, imageHash, contractId }) => {
    if (!stored && imageHash !== undefined) {
      stored = true;
      stage.milestone(`edge A: image and configuration are in the content store (${imageHash})`);
    }
    const found = TOLD.findIndex(([name]) => name === progress['demand']);
    const at = contractId === undefined ? found : TOLD.length - 1;
    for (; told <= at; told++) stage.milestone(TOLD[told]?.[1] ?? '');
  };
}

async function contractOf(run: Run, id: string, tell: (demand: Demand) => void): Promise<Look<string>> {
  const found = await demanded(run, id);
  const { state, progress, contractId, error } = found;
  tell(found);
  const why = error === undefined ? '' : ` (${error})`;
  if (contractId === undefined) return { seen: `${state} ${Object.values(progress).join(' ')}${why}` };
  const url = `${run.nodes.a.url('arbitrator')}/arbitrator/v1/contract/${contractId}`;
  const contract = await rest(contractSchema, url);
  const signed = contract.state !== 'signing' && contract.state !== 'refused';
  return signed ? { found: contractId } : { seen: contract.refused ?? contract.state };
}

/**
 * From the demand to two signatures: market, coverage trial, negotiation.
 *
 * @param meanwhile what else happens from the demand on
 */
export async function agree(
  run: Run,
  meanwhile: () => Promise<void> = async () => undefined,
): Promise<ContractedRun> {
  const { nodes, waiter } = run;
  waiter.stage.act('edge A demands insurance for its device service');
  const { id } = await demand(run);
  const tell = progressTeller(waiter);
  const [contractId] = await Promise.all([
    waitFor<string>(waiter, {
      subject: 'market, coverage trial and negotiation',
      withinMs: CONTRACT_MS,
      everyMs: 100,
      look: () => contractOf(run, id, tell),
    }),
    meanwhile(),
  ]);
  waiter.stage.milestone(`contract ${contractId} is signed by both and validated: both stakes are held`);
  const timelines = followContract(contractId, { customer: nodes.a, provider: nodes.b }, waiter.stage);
  return { ...run, contractId, timelines };
}

/**
 * The provider has image, configuration, sealed keys and the service in standby, and the customer knows; or the provider has
 * taken over already, because the customer was away.
 */
export async function armed(run: ContractedRun): Promise<'armed' | 'takenOver'> {
  return waitFollowing<'armed' | 'takenOver'>(run, {
    subject: 'edge B is READY',
    withinMs: READY_MS,
    look: () => {
      const [customer, provider] = [
        run.timelines.view('customer')?.state,
        run.timelines.view('provider')?.state,
      ];
      if (customer === 'guarded' && provider === 'ready') return { found: 'armed' };
      const takenOver = run.timelines.find('provider', 'activated') !== undefined;
      return takenOver ? { found: 'takenOver' } : { seen: states(run) };
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
