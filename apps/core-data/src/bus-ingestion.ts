import { AntirioError, describeError, isAntirioError } from '@antirio/kernel';
import {
  createThrottle,
  parseInput,
  retry,
  sleep,
  type Bus,
  type SubscribeOptions,
  type Subscription,
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
  { commit, writer, measures, options, settings }: Room,
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
  const insert = (): Promise<Outcome> =>
    commit.run(payload.length, () => writer.insert(event), { bounded: true });
  const note = (outcome: Outcome): void =>
    outcome === 'stored' ? measures.persisted(readings) : measures.duplicate();
  return insert().then(note, async (error: unknown) => {
    if (!mayPass(error)) throw error;
    note(await retry({ ...STORE_FAILS, retryable: mayPass }, insert));
  });
}

const deviceDetails = z.object({ name: z.string() });

async function purge({ deletions, settings }: Room, payload: Uint8Array): Promise<void> {
  if (!settings.now.eventPurge) return;
  const change = parseInput(systemEventSchema, parseEnvelope(payload).payload);
  if (change.action !== 'delete') return;
  await deletions.accept({ device: parseInput(deviceDetails, change.details).name });
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
const BROKER_AWAY = { attempts: Infinity, firstDelayMs: 200, maxDelayMs: 5000 };

/**
 * The handler's promise resolves when the event is on the disk: with QoS 1 that is when the sender gets its PUBACK. Where no broker
 * answers yet, it goes on trying in the background.
 */
export async function createBusIngestion(room: Room, bus: Bus): Promise<BusIngestion> {
  const { log } = room.ports;
  const stopping = new AbortController();
  const subscriptions: Subscription[] = [];
  const subscribe = async (filter: string, work: Handler, options?: SubscribeOptions): Promise<void> => {
    await retry({ ...BROKER_AWAY, signal: stopping.signal }, async () => {
      subscriptions.push(await bus.subscribe(filter, counting(room, work), options));
    });
  };
  const storing: Handler = (topic, payload) => store(room, topic, payload);
  const wanted = [
    subscribe(DEVICE_EVENTS_FILTER, storing, EVENTS_AT_ONCE),
    subscribe(DEVICE_SYSTEM_EVENTS_FILTER, (_, payload) => purge(room, payload)),
  ];
  const subscribed = Promise.all(wanted).catch((error: unknown) => {
    if (!stopping.signal.aborted) log.error({ error: describeError(error) }, 'not subscribed');
  });
  await Promise.race([subscribed, sleep(FIRST_WAIT_MS, stopping.signal)]);
  return {
    async close() {
      stopping.abort();
      await subscribed;
      await Promise.all(subscriptions.map((subscription) => subscription.close()));
    },
  };
}
