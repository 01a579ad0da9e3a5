import { Gauge, type Registry } from 'prom-client';
import type { Bus, Log } from '@antirio/host';
import { describeError, type Clock } from '@antirio/kernel';
import { ALARMS, type AlarmName, type Trouble } from './alarm-rules.ts';

export interface Alarm extends Trouble {
  readonly since: number;
  /** The page that says what to do. */
  readonly runbook: string;
}

export const ALARM_TOPIC = 'antirio/alarm';

/** The one place for what is wrong at this edge: asked for, published as it begins and ends, counted. */
export interface AlarmBoard {
  all(): Alarm[];
  /** What the rules found just now: what is not among it is over. */
  found(troubles: readonly Trouble[]): void;
  /** Something that no rule finds; it lasts until it is cleared. */
  raise(trouble: Trouble): void;
  clear(name: AlarmName, about: string): void;
}

const ALARMS_KEPT = 1000;

export function createAlarmBoard(ports: {
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Registry;
}): AlarmBoard {
  const { bus, clock, log } = ports;
  const ruled = new Map<string, Alarm>();
  const raised = new Map<string, Alarm>();
  const gauge = new Gauge({
    name: 'antirio_alarm',
    help: 'alarms that are on, by name',
    labelNames: ['name'],
    registers: [ports.metrics],
  });
  const keyOf = ({ name, about }: Pick<Trouble, 'name' | 'about'>): string => `${name}/${about}`;
  const count = (): void => {
    for (const name of ALARMS)
      gauge.set({ name }, [...ruled.values(), ...raised.values()].filter((one) => one.name === name).length);
  };
  const tell = (alarm: Alarm, on: boolean): void => {
    log.warn({ alarm: alarm.name, about: alarm.about, detail: alarm.detail }, on ? 'alarm' : 'alarm is over');
    count();
    bus.publish(ALARM_TOPIC, JSON.stringify({ ...alarm, on, at: clock.now() })).catch((error: unknown) => {
      log.debug({ error: describeError(error) }, 'alarm not published');
    });
  };
  const put = (into: Map<string, Alarm>, trouble: Trouble): void => {
    const key = keyOf(trouble);
    const known = into.get(key);
    if (known === undefined && into.size >= ALARMS_KEPT) return;
    const since = known?.since ?? clock.now();
    const alarm = { ...trouble, since, runbook: `docs/runbooks/${trouble.name}.md` };
    into.set(key, alarm);
    if (known === undefined) tell(alarm, true);
  };
  const drop = (from: Map<string, Alarm>, key: string): void => {
    const known = from.get(key);
    from.delete(key);
    if (known !== undefined) tell(known, false);
  };
  return {
    all: () => [...raised.values(), ...ruled.values()].toSorted((a, b) => a.since - b.since),
    found(troubles) {
      const now = new Set(troubles.map(keyOf));
      for (const key of [...ruled.keys()]) if (!now.has(key)) drop(ruled, key);
      for (const trouble of troubles) put(ruled, trouble);
    },
    raise: (trouble) => {
      put(raised, trouble);
    },
    clear: (name, about) => {
      drop(raised, keyOf({ name, about }));
    },
  };
}
