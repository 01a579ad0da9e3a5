import { AntirioError, describeError, isAntirioError } from '@antirio/kernel';
import { parseInput, retry, sleep, type Bus, type Subscription } from '@antirio/host';
import {
  addEventRequest,
  DEVICE_EVENTS_FILTER,
  DEVICE_SYSTEM_EVENTS_FILTER,
  levelNames,
  parseEnvelope,
  systemEventSchema,
  type Event,
} from '@antirio/edgex-contracts';
import { z } from 'zod';
import type { Room } from './core-data.ts';

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

/** While the store does not keep up, messages wait: the bus hands over the next one when this one is done. */
const WAIT_FOR_ROOM = { attempts: 20, firstDelayMs: 20, maxDelayMs: 1000 };

async function ingest(room: Room, topic: string, payload: Uint8Array): Promise<void> {
  const { commit, writer, measures, options } = room;
  if (payload.length > options.maxEventBytes)
    throw new AntirioError('tooLarge', `event over ${options.maxEventBytes} bytes`);
  const { event } = parseInput(addEventRequest, parseEnvelope(payload).payload);
  checkTopic(topic, event);
  const retryable = (error: unknown): boolean => isAntirioError(error, 'unavailable');
  const outcome = await retry({ ...WAIT_FOR_ROOM, retryable }, () =>
    commit.run(payload.length, () => writer.insert(event)),
  );
  if (outcome === 'stored') measures.persisted(event.readings.length);
  else measures.duplicate();
}

const deviceDetails = z.object({ name: z.string() });

async function purge({ deletions }: Room, payload: Uint8Array): Promise<void> {
  const change = parseInput(systemEventSchema, parseEnvelope(payload).payload);
  if (change.action !== 'delete') return;
  await deletions.accept({ device: parseInput(deviceDetails, change.details).name });
}

type Handler = (topic: string, payload: Uint8Array) => Promise<void>;

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
  const counted =
    (work: Handler): Handler =>
    async (topic, payload) => {
      try {
        await work(topic, payload);
      } catch (error) {
        room.measures.refusedMessage();
        log.warn({ topic, error: describeError(error) }, 'a message was refused');
      }
    };
  const subscribe = async (filter: string, handler: Handler): Promise<void> => {
    await retry({ ...BROKER_AWAY, signal: stopping.signal }, async () => {
      subscriptions.push(await bus.subscribe(filter, counted(handler)));
    });
  };
  const wanted = [subscribe(DEVICE_EVENTS_FILTER, (topic, payload) => ingest(room, topic, payload))];
  if (room.options.eventPurge)
    wanted.push(subscribe(DEVICE_SYSTEM_EVENTS_FILTER, (_, payload) => purge(room, payload)));
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
