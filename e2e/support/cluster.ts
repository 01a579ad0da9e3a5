import path from 'node:path';
import { completeOptions, shareProducts, type DemoOptionsInput } from '@antirio/demo';
import {
  killParty,
  letMotesBeHeard,
  prepareSetting,
  raise,
  strike,
  waiterFor,
  waitFor,
  type Look,
  type PartyName,
  type Run,
} from '@antirio/demo/scenes';
import { configure } from './configure.ts';
import { createTold } from './told.ts';

/** Centre, two edges and motes, as the demo sets them up; what happens to them is the test's. */
export interface Cluster {
  readonly run: Run;
  readonly folder: string;
  folderOf(party: PartyName): string;
  /** Looks again and again. Throws what was seen last. */
  until<T>(subject: string, look: () => Look<T> | Promise<Look<T>>): Promise<T>;
  /** SIGKILL, and a start once it is gone. `meanwhile` happens while it is down. */
  killAndRestart(party: PartyName, meanwhile?: () => void): Promise<void>;
  /** A step of the test's story, told where it fails. */
  tell(text: string): void;
  story(): string;
  /** Ends every process; the folder stays where something went wrong. */
  end(wentWell: boolean): Promise<void>;
}

/** What happens here is about other things, and READY waits for none of it. */
const NO_DRILLS = { perMonth: 0 };

/** Who takes longer hangs: a slow machine has its time. */
const PATIENCE_MS = 240_000;

/**
 * Starts the cast, with the motes sending.
 *
 * @param terms what edge A demands, in place of the demo's terms
 * @param policy what edge B offers, in place of the demo's policy
 */
export async function openCluster(
  input: DemoOptionsInput,
  terms?: object,
  policy?: object,
): Promise<Cluster> {
  const products = shareProducts();
  const told = createTold();
  const setting = await prepareSetting(completeOptions(input), products.build);
  const end = async (wentWell: boolean): Promise<void> => {
    await setting.end();
    products.remove();
    if (wentWell) strike(setting);
  };
  try {
    const run = await setting.open(waiterFor(setting, told.stage, undefined));
    if (terms !== undefined)
      configure(path.join(setting.folder, 'a'), 'dmu', { terms: { drills: NO_DRILLS, ...terms } });
    if (policy !== undefined)
      configure(path.join(setting.folder, 'b'), 'dmu', { provider: { enabled: true, policy } });
    await raise(run);
    await letMotesBeHeard(run);
    return {
      run,
      folder: setting.folder,
      folderOf: (party) => path.join(setting.folder, party),
      until: (subject, look) => waitFor(run.waiter, { subject, withinMs: PATIENCE_MS, look }),
      async killAndRestart(party, meanwhile) {
        const failure = await killParty(run, run.nodes[party]);
        meanwhile?.();
        await failure.end();
      },
      tell: told.stage.note,
      story: () => `${told.text()}\n\nLogs and data: ${setting.folder}`,
      end,
    };
  } catch (error) {
    await end(false);
    throw new Error(`${String(error)}\n${told.text()}\nLogs and data: ${setting.folder}`, { cause: error });
  }
}
