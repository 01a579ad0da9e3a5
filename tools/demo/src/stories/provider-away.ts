import { normalService } from '../acts.ts';
import { letPass } from '../contract.ts';
import { sendDownlinks } from '../downlinks.ts';
import { DemoError } from '../errors.ts';
import { freezeParty, killParty, type Failure } from '../failure.ts';
import { actAgain, settle, takeBack } from '../handback.ts';
import type { Progress } from '../progress.ts';
import { draw, type ContractedRun } from '../run.ts';
import { serve, takeOver } from '../takeover.ts';
import { fallsSilent } from './silence.ts';

/** Edge B goes without dying; the returned failure ends that. */
export type Away = (run: ContractedRun) => Promise<Failure>;

export const frozen: Away = (run) => freezeParty(run, run.nodes.b);

/** Cut off from everybody but its gateway: it hears on, and commands reach it. */
export async function cutOff(run: ContractedRun): Promise<Failure> {
  const { network, nodes, waiter } = run;
  const at = waiter.now();
  await network.cutOff(nodes.b.party);
  return { at, end: () => network.heal(nodes.b.party) };
}

/** With edge A dead: nobody else may act, and edge B goes on under its epoch when it is back. */
async function awayAlone(run: ContractedRun, goes: Away, servedFrom: number): Promise<void> {
  const { waiter, timelines, options } = run;
  const away = await goes(run);
  if (options.kill === 'provider-frozen') await letPass(run, draw(run, 'frozen', 1_000, 8_000));
  else await fallsSilent(run);
  await away.end();
  waiter.stage.milestone('edge B is back');
  await serve(run);
  const epochs = timelines.since('provider', servedFrom).filter(({ milestone }) => milestone === 'activated');
  if (epochs.length !== 1)
    throw new DemoError('badAnswer', `edge B took ${epochs.length} epochs for one failure`);
}

/** With edge A back: it takes its sensors by the end of edge B's lease, acts, and edge B learns of it late. */
async function awayForGood(run: ContractedRun, goes: Away, failure: Failure): Promise<void> {
  const { waiter, nodes } = run;
  // What edge B is told to send just before is to be sent by nobody later.
  await sendDownlinks(run, nodes.b, 'just before');
  const away = await goes(run);
  const goneAt = waiter.now();
  await failure.end();
  await takeBack(run, goneAt);
  await actAgain(run);
  await letPass(run, draw(run, 'late', 0, 3_000));
  await away.end();
  waiter.stage.milestone('edge B is back, and edge A has its sensors');
  await sendDownlinks(run, nodes.b, 'too late');
  await settle(run);
}

/** Edge B is away twice while it serves: once nobody is there besides, and once edge A is. */
export async function providerAway(run: ContractedRun, progress: Progress, goes: Away): Promise<void> {
  const { stage } = run.waiter;
  await normalService(run);
  const { failure, takeoverMs } = await takeOver(run, killParty);
  progress.takeoverMs = takeoverMs;
  await serve(run);
  stage.act('edge B is away while it serves, and edge A is dead');
  await awayAlone(run, goes, failure.at);
  stage.act('edge B is away again, and edge A comes back');
  await awayForGood(run, goes, failure);
}
