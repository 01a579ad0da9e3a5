import { z } from 'zod';
import { AntirioError, describeError, fromUtf8 } from '@antirio/kernel';
import { createThrottle, parseInput, type Bus, type Log, type Subscription } from '@antirio/host';
import { ringsBehind, type Downlinks, type ItemOutcome } from '../downlink/downlinks.ts';
import type { Rings } from '../ring/rings.ts';
import { ringIdSchema } from '../ring/stored-ring.ts';
import { commandDownOf, envelopeOf, type CommandDown } from './command-down.ts';
import type { Delivery } from './delivery.ts';
import { decode, encode, encodingOf } from './encoding.ts';

export interface Commands {
  /** Listens for exactly these topic prefixes. */
  listen(prefixes: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

export interface CommandsPorts {
  readonly bus: Bus;
  readonly region: string;
  readonly rings: Rings;
  readonly delivery: Delivery;
  readonly downlinks: Downlinks;
  readonly log: Log;
}

interface Answer {
  readonly downlinkId: number;
  readonly items: readonly ItemOutcome[];
}

const MAX_REPLAY = 500;

const replaySchema = z.object({
  ring: ringIdSchema,
  after: z.int().min(0),
  limit: z.int().min(1),
  incarnation: z.string().max(64).optional(),
});

/** Replays and downlinks that readers ask for on the bus. */
export function createCommands(ports: CommandsPorts): Commands {
  const { bus, region, rings, downlinks, log } = ports;
  const subscriptions = new Map<string, Subscription>();
  const unreadable = createThrottle(60_000);

  /** What can be answered of a frame that cannot be read. */
  const refuseUnreadable = (gatewayId: string, frame: unknown, error: unknown): Answer | undefined => {
    unreadable((leftOut) =>
      log.warn({ gatewayId, error: describeError(error), leftOut }, 'a downlink that cannot be read'),
    );
    const refusal = downlinks.refuse('malformed');
    const envelope = envelopeOf(frame);
    return envelope && { ...envelope, items: Array.from({ length: envelope.items }, () => refusal) };
  };
  const answerTo = async (
    prefix: string,
    gatewayId: string,
    payload: Uint8Array,
  ): Promise<Answer | undefined> => {
    let frame: unknown;
    let command: CommandDown;
    try {
      frame = await decode('DownlinkFrame', payload);
      command = commandDownOf(frame);
    } catch (error) {
      return refuseUnreadable(gatewayId, frame, error);
    }
    const items = await downlinks.send(prefix, gatewayId, command);
    return { downlinkId: command.downlinkId, items };
  };
  const down = async (prefix: string, gatewayId: string, payload: Uint8Array): Promise<void> => {
    const answer = await answerTo(prefix, gatewayId, payload);
    if (answer === undefined) return;
    // in the language of whoever asked
    const encoded = await encode(encodingOf(payload), 'DownlinkTxAck', { gatewayId, ...answer });
    await bus.publish(`${prefix}${region}/gateway/${gatewayId}/event/ack`, encoded);
  };
  const replay = (prefix: string, payload: Uint8Array): void => {
    const wanted = parseInput(replaySchema, JSON.parse(fromUtf8(payload)));
    const found = ringsBehind(rings, prefix).find(({ ring }) => ring.id === wanted.ring);
    if (found === undefined) throw new AntirioError('notFound', `no ring ${wanted.ring} is delivered here`);
    ports.delivery.replay(found.ring, wanted.after, Math.min(wanted.limit, MAX_REPLAY), wanted.incarnation);
  };
  const onCommand = (prefix: string, topic: string, payload: Uint8Array): void => {
    const [gatewayId = '', , command] = topic.slice(`${prefix}${region}/gateway/`.length).split('/');
    if (command === 'replay')
      try {
        replay(prefix, payload);
      } catch (error) {
        log.warn({ topic, error: describeError(error) }, 'a replay that cannot be given');
      }
    else if (command === 'down' && /^[0-9a-f]{16}$/.test(gatewayId))
      // not awaited: the next command need not wait for the gateway's answer to this one
      down(prefix, gatewayId, payload).catch((error: unknown) => {
        log.error({ gatewayId, error: describeError(error) }, 'a downlink failed');
      });
  };

  return {
    async listen(prefixes) {
      for (const [prefix, subscription] of subscriptions)
        if (!prefixes.includes(prefix)) {
          subscriptions.delete(prefix);
          await subscription.close();
        }
      for (const prefix of prefixes)
        if (!subscriptions.has(prefix)) {
          const filter = `${prefix}${region}/gateway/+/command/+`;
          subscriptions.set(
            prefix,
            await bus.subscribe(filter, (topic, payload) => onCommand(prefix, topic, payload)),
          );
        }
    },
    async close() {
      downlinks.close();
      await Promise.all([...subscriptions.values()].map((subscription) => subscription.close()));
      subscriptions.clear();
    },
  };
}
