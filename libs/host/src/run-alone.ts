import { describeError } from '@antirio/kernel';
import type { Log } from './log.ts';
import type { Service } from './service.ts';

/** How long an orderly end may take before the process ends anyway. */
const STOP_MS = 15_000;

/**
 * Runs a service as the whole of this process: SIGTERM and SIGINT end it in order, a second one at once. What nobody caught is logged
 * and ends the process with code 1: the next start continues from the disk, not from a state that nobody planned.
 * `startFailed` tells of a start that failed, in place of the log.
 */
export async function runAlone(
  log: Log,
  build: () => Service | Promise<Service>,
  startFailed?: (error: unknown) => void,
): Promise<Service> {
  let service: Service | undefined;
  let stopping = false;

  const die = (error: unknown, why: string): void => {
    log.fatal({ error: describeError(error), stack: error instanceof Error ? error.stack : undefined }, why);
    process.exit(1);
  };
  const stop = async (signal: string): Promise<void> => {
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => die(signal, 'did not stop in time'), STOP_MS).unref();
    await service?.leave?.().catch((error: unknown) => {
      log.error({ error: describeError(error) }, 'did not take its leave');
    });
    await service?.stop();
    process.exit(0);
  };
  process.on('uncaughtException', (error) => die(error, 'uncaught'));
  process.on('unhandledRejection', (error) => die(error, 'unhandled rejection'));
  for (const signal of ['SIGTERM', 'SIGINT'])
    process.on(signal, () => void stop(signal).catch((error: unknown) => die(error, 'did not stop')));
  try {
    service = await build();
    await service.start();
  } catch (error) {
    if (startFailed === undefined) die(error, describeError(error));
    else startFailed(error);
    process.exit(1);
  }
  return service;
}
