import { monotonic } from '../clock.ts';
import { DemoError } from '../errors.ts';
import type { BuildProduct } from '../product.ts';
import { emptyStage, type Stage } from '../stage.ts';
import type { Waiter } from '../wait.ts';
import { openCast, type Cast } from './cast.ts';
import { flyRoute, raiseCast, settleLegs } from './journey.ts';
import { contractLegs } from './legs.ts';
import { completeDroneOptions, type DroneOptionsInput } from './options.ts';
import { judgeFlight, type DroneVerdict } from './verdict.ts';

export interface DronePorts {
  readonly stage?: Stage;
  /** Ends the demo early, as Ctrl-C does. */
  readonly signal?: AbortSignal;
  readonly build?: BuildProduct;
}

export interface DroneResult extends DroneVerdict {
  /** Logs and data; gone unless something went wrong. */
  readonly folder: string;
}

async function play(cast: Cast, waiter: Waiter): Promise<DroneVerdict> {
  const { stage } = waiter;
  const { options } = cast;
  stage.act(
    `central, the home edge and ${options.edges} edges along the route start, each a process of its own`,
  );
  await raiseCast(cast, waiter);
  const takeOffAt = Date.now() + options.lead * 1000;
  stage.act('the route is known beforehand: a demand for each leg, for its time and its place');
  const legs = await contractLegs(cast, waiter, takeOffAt);
  stage.act(`the drone flies, and streams over ${options.stream}`);
  const flown = await flyRoute(cast, waiter, legs, takeOffAt);
  stage.act('windows end, contracts are settled, events come home');
  await settleLegs(cast, waiter, legs);
  return judgeFlight(cast, legs, flown, takeOffAt);
}

/**
 * Runs the drone of use case 2. Everything that it starts is ended before it resolves or throws. Throws `DemoError` where it could not be
 * run to its end; a flight that failed is a result.
 */
export async function runDroneDemo(
  input: DroneOptionsInput,
  { stage = emptyStage, signal, build }: DronePorts = {},
): Promise<DroneResult> {
  const options = completeDroneOptions(input);
  const opened: { cast?: Cast } = {};
  const waiter: Waiter = {
    stage,
    now: monotonic,
    check: () => {
      if (signal?.aborted === true) throw new DemoError('interrupted', 'the demo was interrupted');
      opened.cast?.processes.check();
    },
  };
  stage.act('the setting');
  const cast = await openCast(options, waiter, build);
  opened.cast = cast;
  try {
    const verdict = await play(cast, waiter);
    await cast.end();
    if (verdict.report.ok) cast.strike();
    return { ...verdict, folder: cast.folder };
  } catch (error) {
    await cast.end();
    stage.note(`Logs and data: ${cast.folder}`);
    throw error;
  }
}
