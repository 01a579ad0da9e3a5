import { normalService } from '../acts.ts';
import { agree, armed, letPass } from '../contract.ts';
import { downlinksOnAir } from '../downlinks.ts';
import { DemoError } from '../errors.ts';
import { killParty, type Failure } from '../failure.ts';
import { settle } from '../handback.ts';
import { START_MS } from '../nodes.ts';
import type { Progress } from '../progress.ts';
import { GATEWAYS } from '../radio.ts';
import { states, waitFollowing, type ContractedRun } from '../run.ts';
import { serve, watchTakeover } from '../takeover.ts';

const TAKEOVER_MS = 90_000;
const RETURN_MS = 120_000;
/** So long after one provider's epoch the other has had time for one of its own, if it took one. */
const OTHER_MS = 5_000;

/** Edge C comes onto the stage, and insures edge A's sensors as well. */
async function secondProvider(run: ContractedRun): Promise<ContractedRun> {
  const { nodes, waiter, disturbances } = run;
  const { c } = nodes;
  if (c === undefined) throw new DemoError('badAnswer', 'there is no edge C');
  waiter.stage.act('edge C starts, and edge A has the same sensors insured by it too');
  await c.start();
  await c.answering(waiter, START_MS);
  // Until now its gateway had nobody.
  disturbances.push({ gateway: GATEWAYS.c, from: -Infinity, until: waiter.now() });
  const second = await agree({ ...run, nodes: { ...nodes, b: c } });
  await armed(second);
  return second;
}

const hasEpoch = ({ timelines }: ContractedRun, after: number): boolean =>
  timelines.find('provider', 'activated', after) !== undefined;

/** One of the two has the epoch. */
async function takenBy(both: readonly ContractedRun[], after: number): Promise<ContractedRun> {
  const [one] = both;
  if (one === undefined) throw new DemoError('badAnswer', 'nobody insures edge A');
  return waitFollowing<ContractedRun>(one, {
    subject: 'one of the two providers has the epoch',
    withinMs: TAKEOVER_MS,
    look: async () => {
      await Promise.all(both.map(({ timelines }) => timelines.update()));
      const found = both.find((run) => hasEpoch(run, after));
      return found === undefined ? { seen: both.map(states).join('; ') } : { found };
    },
  });
}

/** Edge A has its sensors again, by whichever of its contracts, and both are settled. */
async function allHome(both: readonly ContractedRun[]): Promise<void> {
  for (const run of both)
    await waitFollowing<true>(run, {
      subject: `edge A has its sensors back, and both state, with ${run.nodes.b.title}`,
      withinMs: RETURN_MS,
      look: () =>
        run.timelines.view('customer')?.state === 'ended' ? { found: true } : { seen: states(run) },
    });
  for (const run of both) await settle(run);
}

/** Edge A dies: exactly one takes its sensors. That one dies too: the other does. */
export async function twoProviders(first: ContractedRun, progress: Progress): Promise<void> {
  const { waiter, nodes } = first;
  const second = await secondProvider(first);
  progress.second = second;
  const both = [first, second];
  await normalService(first);
  waiter.stage.act('edge A dies, and both insure it');
  const customer = await killParty(first, nodes.a);
  for (const { timelines } of both) timelines.failureAt(customer.at);
  const watched = both.map((run) => ({ run, possible: watchTakeover(run, customer.at) }));
  const server = await takenBy(both, customer.at);
  for (const { run, possible } of watched)
    if (run === server) progress.takeoverMs = await possible.takeoverMs();
    else possible.dismiss();
  await letPass(server, OTHER_MS);
  const other = both.find((run) => run !== server) ?? second;
  await other.timelines.update();
  if (hasEpoch(other, customer.at)) throw new DemoError('badAnswer', 'both providers took an epoch');
  await serve(server);
  await thenTheOther(server, other, customer);
  await allHome(both);
}

async function thenTheOther(server: ContractedRun, other: ContractedRun, customer: Failure): Promise<void> {
  const { waiter, nodes } = server;
  waiter.stage.act(`${nodes.b.title} serves, and dies as well`);
  const died = await killParty(server, nodes.b);
  await takenBy([other], died.at);
  await downlinksOnAir(other, other.nodes.b, 'serving next');
  waiter.stage.act(`${other.nodes.b.title} serves; ${nodes.b.title} and edge A come back`);
  await died.end();
  await letPass(other, other.options.duration * 500);
  await customer.end();
}
