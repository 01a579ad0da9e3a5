import { AntirioError } from '@antirio/kernel';
import { z } from 'zod';
import { MOST_WINDOWS, activationEvent, activationTerms, type ActivationTerms } from './activation.ts';
import { overloadTerms, type OverloadTerms } from './overload.ts';
import { scheduleWindow, type ScheduleWindow } from './schedule.ts';

/** What of a configuration.json (thesis, Fig. 3.13 and Algorithm 2) becomes terms of a contract, and the other way. */

/** Algorithm 2 reads the fields under other names than Fig. 3.13 writes. */
const ALIASES: Readonly<Record<string, string>> = {
  event_type: 'activationEvent',
  event_conditions: 'event',
  service_name: 'serviceName',
};

/** The fields under the names of Fig. 3.13. */
export function inNamesOfFigure(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const out: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(value)) {
    const name = ALIASES[key] ?? key;
    // Where both names are given, the one of Fig. 3.13 counts.
    if (name === key || !(name in value)) out[name] = field;
  }
  return out;
}

/** The words of `activationEvent`. */
const wordsOf = (said: string): string[] => said.split(',').map((one) => one.trim().toLowerCase());

/**
 * A configuration.json that was stored already: `activationEvent` was any text once, and all contracts of then are of `offline`.
 * What a customer stores now is not to go through this.
 */
export function inWordsOfNow(value: unknown): unknown {
  const named = inNamesOfFigure(value);
  if (typeof named !== 'object' || named === null || !('activationEvent' in named)) return named;
  const { activationEvent: said } = named;
  if (typeof said !== 'string' || wordsOf(said).every((one) => activationEvent.safeParse(one).success))
    return named;
  return { ...named, activationEvent: 'offline' };
}

/** `event` of a configuration.json: texts, as in the thesis, and what we add for a schedule. */
const eventConditions = z.looseObject({
  interval: z
    .string()
    .regex(/^[1-9]\d{0,5}$/)
    .optional(),
  windows: z.array(scheduleWindow).max(MOST_WINDOWS).optional(),
  overload: overloadTerms.optional(),
  takeovers: z
    .union([z.int(), z.string().regex(/^[1-9]\d{0,4}$/)])
    .transform(Number)
    .optional(),
});

/** What a configuration.json says about the moving of its service (thesis, Fig. 3.13 and Algorithm 2). */
export const configuredActivation = z
  .looseObject({
    activationEvent: z
      .string()
      .max(64)
      .default('offline')
      .transform(wordsOf)
      .pipe(z.array(activationEvent).min(1)),
    event: eventConditions.prefault({}),
  })
  .transform(({ activationEvent: events, event }, context): ConfiguredActivation => {
    const { interval, windows, takeovers, overload } = event;
    const parsed = activationTerms.safeParse({ events, windows, takeovers, overload });
    if (!parsed.success) {
      for (const { message } of parsed.error.issues) context.addIssue({ code: 'custom', message });
      return z.NEVER;
    }
    return {
      activation: parsed.data,
      ...(interval === undefined ? {} : { silenceMs: Number(interval) * 1000 }),
    };
  });

export interface ConfiguredActivation {
  readonly activation: ActivationTerms;
  /** `event.interval`: no longer may the customer be silent before it is suspected. */
  readonly silenceMs?: number;
}

/** @throws AntirioError invalidInput naming what is wrong */
export function activationIn(configuration: unknown): ConfiguredActivation {
  const parsed = configuredActivation.safeParse(inNamesOfFigure(configuration));
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new AntirioError('invalidInput', `configuration.json: ${wrong.join('; ')}`);
}

/** The same in the words of a configuration.json: read again, they are the same terms. */
export function eventFieldsOf({ events, windows, takeovers, overload }: ActivationTerms): {
  readonly activationEvent: string;
  readonly event: {
    readonly windows?: readonly ScheduleWindow[];
    readonly overload?: OverloadTerms;
    readonly takeovers: string;
  };
} {
  const when = windows.length === 0 ? {} : { windows };
  const much = overload === undefined ? {} : { overload };
  return { activationEvent: events.join(','), event: { ...when, ...much, takeovers: String(takeovers) } };
}

/** Beats and how many of them may be missed. */
interface Patience {
  readonly heartbeatIntervalMs: number;
  readonly missedBeats: number;
}

const LEAST_INTERVAL_MS = 50;

/** Beats close enough that so many missed ones are no longer than the silence that the configuration bears. */
export function withinSilence(
  { heartbeatIntervalMs, missedBeats }: Patience,
  silenceMs: number | undefined,
): Patience {
  if (silenceMs === undefined || heartbeatIntervalMs * missedBeats <= silenceMs)
    return { heartbeatIntervalMs, missedBeats };
  const closer = Math.max(LEAST_INTERVAL_MS, Math.floor(silenceMs / missedBeats));
  return { heartbeatIntervalMs: closer, missedBeats };
}
