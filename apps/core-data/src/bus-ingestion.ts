import { lastingSubscription, type LastingSubscription } from '@antirio/bus-request';
import { AntirioError, describeError, isAntirioError } from '@antirio/kernel';
import {
  createThrottle,
  parseInput,
  retry,
  sleep,
  type Bus,
  type Check,
  type SubscribeOptions,
} from '@antirio/host';
import {
  DEVICE_EVENTS_FILTER,
  DEVICE_SYSTEM_EVENTS_FILTER,
  levelNames,
  parseEnvelope,
  parseRoughEnvelope,
  systemEventSchema,
  type Event,
} from '@antirio/edgex-contracts';
import { z } from 'zod';
import type { Room } from './core-data.ts';
import type { Outcome } from './event-writer.ts';
import { eventRequestOf } from './request-body.ts';

/** Stores the events that device services publish. */
export interface BusIngestion {
  /** Whether the broker has taken its subscriptions. */
  health(): Check;
  close(): Promise<void>;
}

/** `edgex/events/device/<service>/<profile>/<device>/<source>` @throws AntirioError invalidInput */
function checkTopic(topic: string, event: Event): void {
  const levels = topic.split('/');
  if (levels.length < 6) throw new AntirioError('invalidInput', `invalid message topic ${topic}`);
  const named = { profileName: levels.at(-3), deviceName: levels.at(-2), sourceName: levels.at(-1) };
  for (const key of ['profileName', 'deviceName', 'sourceName'] as const)
    if (!levelNames(named[key] ?? '', event[key]))
      throw new AntirioError('invalidInput', `event's ${key} ${event[key]} mismatches the topic ${topic}`);
}

/** A store that fails may be about to take writes again, such as a full disk where deletions are under way. */
const STORE_FAILS = { attempts: 6, firstDelayMs: 50, maxDelayMs: 1000 };
const mayPass = (error: unknown): boolean =>
  isAntirioError(error, 'unavailable') || isAntirioError(error, 'storageFull');

/**
 * Events share transactions: so many are under way at once. With those that wait behind them they are what a kill may cost of
 * messages with QoS 0, less than 50 ms of the traffic that a Raspberry Pi takes.
 */
const EVENTS_AT_ONCE = { concurrency: 256, maxMessages: 256, maxBytes: 32 << 20, required: true } as const;

const DONE = Promise.resolve();

/**
 * Up to the commit nothing is waited for, so that events are stored in the order in which they came. No async function, and few
 * closures: thousands of these wait at once.
 * @throws AntirioError invalidInput, tooLarge; rejects with storageFull, unavailable: the event is not stored.
 */
function store(
  { store: events, measures, options, settings }: Room,
  topic: string,
  payload: Uint8Array,
): Promise<void> {
  if (payload.length > options.maxEventBytes)
    throw new AntirioError('tooLarge', `event over ${options.maxEventBytes} bytes`);
  const { payload: value, longs } = parseRoughEnvelope(payload);
  const { event } = eventRequestOf({ value, longs });
  checkTopic(topic, event);
  if (!settings.now.persistData) return DONE;
  const readings = event.readings.length;
  const insert = (): Promise<Outcome> => events.insert(event, payload.length, { bounded: true });
  const note = (outcome: Outcome): void =>
    outcome === 'stored' ? measures.persisted(readings) : measures.duplicate();
  return insert().then(note, async (error: unknown) => {
    if (!mayPass(error)) throw error;
    note(await retry({ ...STORE_FAILS, retryable: mayPass }, insert));
  });
}

const deviceDetails = z.object({ name: z.string() });

async function purge({ deletions, settings, holds }: Room, payload: Uint8Array): Promise<void> {
  if (!settings.now.eventPurge) return;
  const change = parseInput(systemEventSchema, parseEnvelope(payload).payload);
  if (change.action !== 'delete') return;
  const { name } = parseInput(deviceDetails, change.details);
  // a guest's devices go with its contract, and what they stored is still to come home
  if (!holds.isHeld(name)) await deletions.accept({ device: name });
}

type Handler = (topic: string, payload: Uint8Array) => Promise<void>;

const REPORT_EVERY_MS = 1000;

/**
 * What the sender did wrong would be wrong again: the message is counted and done with. What the store did not take is the sender's
 * still: the handler fails, so that a sender with QoS 1 gets no PUBACK.
 */
function counting({ measures, ports: { log } }: Room, work: Handler): Handler {
  const report = createThrottle(REPORT_EVERY_MS);
  return (topic, payload) => {
    const failed = (error: unknown): void => {
      const lost = mayPass(error);
      if (lost) measures.lostMessage();
      else measures.refusedMessage();
      report((others) => log.warn({ topic, error: describeError(error), others }, 'a message was refused'));
      if (lost) throw error;
    };
    try {
      return work(topic, payload).catch(failed);
    } catch (error) {
      failed(error);
      return DONE;
    }
  };
}

const FIRST_WAIT_MS = 1000;

/**
 * The handler's promise resolves when the event is on the disk: with QoS 1 that is when the sender gets its PUBACK where the broker is
 * in this process; any other broker has its own as soon as the message is queued here. Where none answers yet, or it refuses, it goes
 * on trying in the background.
 */
export async function createBusIngestion(room: Room, bus: Bus): Promise<BusIngestion> {
  const { log } = room.ports;
  const subscribe = (filter: string, work: Handler, options?: SubscribeOptions): LastingSubscription =>
    lastingSubscription(bus, filter, counting(room, work), {
      ...options,
      onFailure: (error) => log.error({ filter, error: describeError(error) }, 'not subscribed yet'),
    });
  const storing: Handler = (topic, payload) => store(room, topic, payload);
  const subscriptions = [
    subscribe(DEVICE_EVENTS_FILTER, storing, EVENTS_AT_ONCE),
    subscribe(DEVICE_SYSTEM_EVENTS_FILTER, (_, payload) => purge(room, payload)),
  ];
  const settled = new AbortController();
  const all = Promise.all(subscriptions.map((subscription) => subscription.settled));
  await Promise.race([all, sleep(FIRST_WAIT_MS, settled.signal)]);
  settled.abort();
  return {
    health() {
      const { lost } = room.measures;
      const missing = subscriptions.map((subscription) => subscription.health()).find(({ ok }) => !ok);
      if (missing !== undefined) return missing;
      return { ok: true, ...(lost === 0 ? {} : { detail: `${lost} messages the store did not take` }) };
    },
    async close() {
      await Promise.all(subscriptions.map((subscription) => subscription.close()));
    },
  };
}
