import type { Log } from '@antirio/host';
import { describeError, isAntirioError, type Clock } from '@antirio/kernel';

/** An image of some hundred megabytes is on its way for minutes. */
const LONG_MS = 600_000;

/** Something that another edge has no room for before a time that it alone knows: asked again and again, and no failure. */
export interface NotYet {
  /** Whether it has done the work; false where it was told to come again. @throws whatever else the work throws */
  done(work: () => Promise<void>): Promise<boolean>;
}

/** That it waits is said once, and as a warning where it still does after ten minutes, and after every ten more. */
export function createNotYet(what: string, log: Log, clock: Pick<Clock, 'monotonic'>): NotYet {
  let since: number | undefined;
  let saidAt = 0;

  const forS = (): number => Math.round((clock.monotonic() - (since ?? 0)) / 1000);
  const say = (error: Error): void => {
    const now = clock.monotonic();
    if (since !== undefined && now - saidAt < LONG_MS) return;
    const level = since === undefined ? 'info' : 'warn';
    since ??= now;
    saidAt = now;
    log[level]({ forS: forS(), answer: describeError(error) }, `${what} is not taken yet`);
  };
  return {
    async done(work) {
      try {
        await work();
      } catch (error) {
        if (!isAntirioError(error, 'busy')) throw error;
        say(error);
        return false;
      }
      if (since !== undefined) log.info({ afterS: forS() }, `${what} is taken now`);
      since = undefined;
      return true;
    },
  };
}
