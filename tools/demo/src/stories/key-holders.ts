import { failAndComeBack } from '../acts.ts';
import { DemoError } from '../errors.ts';
import { killParty, type Fail, type Failure } from '../failure.ts';
import { settle, takeBack } from '../handback.ts';
import type { Progress } from '../progress.ts';
import { draw, type ContractedRun } from '../run.ts';

/** One of the two holders besides the centre dies first, as the seed decides. */
async function killHolder(run: ContractedRun): Promise<Failure> {
  const { nodes, waiter } = run;
  const holder = draw(run, 'holder', 0, 1) < 0.5 ? nodes.c : nodes.d;
  if (holder === undefined) throw new DemoError('badAnswer', 'nobody else holds a share of the keys');
  waiter.stage.milestone(`${holder.title}, which holds a share of the keys, is killed`);
  return killParty(run, holder);
}

/** Any two of three holders open the keys: the centre and the one that is left. */
export async function keyHolders(run: ContractedRun, progress: Progress): Promise<void> {
  let holder: Failure | undefined;
  const fail: Fail = async (_, node) => {
    holder = await killHolder(run);
    return killParty(run, node);
  };
  await failAndComeBack(run, progress, async () => undefined, fail);
  await takeBack(run);
  await settle(run);
  await holder?.end();
}
