import { z } from 'zod';

/** Windows of time in which a service is to run at its provider. All times are the ledger's, days are those of UTC. */

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const WEEKDAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
/** 1 January 1970 was a Thursday. */
const FIRST_WEEKDAY = 4;

const at = z.int().min(0).max(8_640_000_000_000_000);
const timeOfDay = z.string().regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/, 'must be a time of day, as in "22:30"');

/** One stretch of time, milliseconds since the Unix epoch. */
const once = z
  .strictObject({ from: at, until: at })
  .refine(({ from, until }) => until - from >= 1000, 'a window lasts for a second or more');
/** Each day, or each of some days; one that ends no later than it begins ends on the next day. */
const daily = z
  .strictObject({
    from: timeOfDay,
    until: timeOfDay,
    days: z.array(z.enum(WEEKDAYS)).min(1).max(7).optional(),
  })
  .refine(({ from, until }) => from !== until, 'a window begins and ends at different times');

export const scheduleWindow = z.union([once, daily]);
export type ScheduleWindow = z.output<typeof scheduleWindow>;

/** A stretch of the ledger's time. */
export interface Stretch {
  readonly from: number;
  readonly until: number;
}

function msOf(time: string): number {
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  return (hours * 60 + minutes) * MINUTE_MS;
}

const isDaily = (window: ScheduleWindow): window is z.output<typeof daily> => typeof window.from === 'string';

/** A daily window as it begins on the day with this number since the epoch; undefined where it does not. */
function onDay({ from, until, days }: z.output<typeof daily>, day: number): Stretch | undefined {
  const weekday = WEEKDAYS[(FIRST_WEEKDAY + day) % WEEKDAYS.length];
  if (days !== undefined && (weekday === undefined || !days.includes(weekday))) return undefined;
  const begins = day * DAY_MS + msOf(from);
  const lasts = (msOf(until) - msOf(from) + DAY_MS) % DAY_MS;
  return { from: begins, until: begins + lasts };
}

/** The stretches of a window that begin between yesterday and a week from `time` on, in their order. */
function stretchesOf(window: ScheduleWindow, time: number): Stretch[] {
  if (!isDaily(window)) return [window];
  const today = Math.floor(time / DAY_MS);
  return Array.from({ length: 9 }, (_, i) => onDay(window, today - 1 + i)).filter((one) => one !== undefined);
}

/** The stretch that `time` is in; of several the one that ends last. */
export function windowAt(windows: readonly ScheduleWindow[], time: number): Stretch | undefined {
  return windows
    .flatMap((window) => stretchesOf(window, time))
    .filter(({ from, until }) => from <= time && time < until)
    .reduce<Stretch | undefined>(
      (last, one) => (last === undefined || one.until > last.until ? one : last),
      undefined,
    );
}

/** The next stretch to begin after `time`, within a week; undefined where there is none. */
export function windowAfter(windows: readonly ScheduleWindow[], time: number): Stretch | undefined {
  return windows
    .flatMap((window) => stretchesOf(window, time))
    .filter(({ from }) => from > time)
    .reduce<Stretch | undefined>(
      (first, one) => (first === undefined || one.from < first.from ? one : first),
      undefined,
    );
}
