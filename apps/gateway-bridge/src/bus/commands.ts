import { z } from 'zod';
import { AntirioError, describeError, fromUtf8 } from '@antirio/kernel';
import { parseInput, type Bus, type Log, type Subscription } from '@antirio/host';
import { parseDataFrame, type DataFrame } from '@antirio/lorawan';
import type { FenceKeeper } from '../fence/fence.ts';
import type { DownlinkRefusal as Refusal } from '@antirio/service-contract';
import { ringIdSchema, type HeldRing, type Rings } from '../ring/rings.ts';
import type { Forwarders, TxOutcome } from '../semtech/forwarders.ts';
import type { TxAckStatus } from '../semtech/tx-ack.ts';
import { readCommandDown, txpkOf, type CommandDown, type DownlinkItem } from './command-down.ts';
import type { Delivery } from './delivery.ts';

/** Why a downlink was not even brought to the fence. */
export type CommandRefusal =
  'malformed' | 'foreignDevAddr' | 'notDataDownlink' | 'gatewayUnreachable' | 'tooMany';

export interface CommandCounters {
  /** Sent to a gateway that said OK. */
  readonly sent: number;
  /** By the gateway's word, such as TOO_LATE; `unknown` where it said none. */
  readonly failed: Readonly<Record<string, number>>;
  readonly refused: Readonly<Partial<Record<CommandRefusal, number>>>;
}

export interface Commands {
  /** Listens for exactly these topic prefixes. */
  listen(prefixes: readonly string[]): Promise<void>;
  counters(): CommandCounters;
  close(): Promise<void>;
}

export interface CommandsPorts {
  readonly bus: Bus;
  readonly region: string;
  readonly rings: Rings;
  readonly delivery: Delivery;
  readonly fence: FenceKeeper;
  readonly forwarders: Forwarders;
  readonly log: Log;
}

interface ItemOutcome {
  readonly status: TxAckStatus;
  readonly refused?: string;
}

/** Downlinks under way at once. */
const MAX_DOWNLINKS = 64;
const MAX_REPLAY = 500;

const replaySchema = z.object({
  ring: ringIdSchema,
  after: z.int().min(0),
  limit: z.int().min(1),
  incarnation: z.string().max(64).optional(),
});

// ChirpStack's words for the outcome.
const STATUS: Readonly<Partial<Record<Refusal, TxAckStatus>>> = {
  tooLate: 'TOO_LATE',
  tooFarAhead: 'TOO_EARLY',
};

function dataDownlink(phyPayload: Uint8Array): DataFrame | undefined {
  try {
    const frame = parseDataFrame(phyPayload);
    return frame.direction === 'down' ? frame : undefined;
  } catch {
    return undefined;
  }
}

/** Replays and downlinks that readers ask for on the bus. */
export function createCommands(ports: CommandsPorts): Commands {
  const { bus, region, rings, fence, forwarders, log } = ports;
  const subscriptions = new Map<string, Subscription>();
  const refused: Partial<Record<CommandRefusal, number>> = {};
  const failed: Record<string, number> = {};
  let sent = 0;
  let underWay = 0;

  const refuse = (reason: CommandRefusal, status: TxAckStatus = 'INTERNAL_ERROR'): ItemOutcome => {
    refused[reason] = (refused[reason] ?? 0) + 1;
    return { status, refused: reason };
  };
  const ringsOf = (prefix: string): HeldRing[] =>
    rings.all().filter(({ ring }) => ring.settings.deliver && ring.settings.prefix === prefix);

  const passFence = async (
    gatewayId: string,
    frame: DataFrame,
    item: DownlinkItem,
  ): Promise<ItemOutcome | undefined> => {
    const { tmst, phyPayload } = item;
    const ahead = (): number | undefined =>
      tmst === undefined ? undefined : forwarders.aheadMs(gatewayId, tmst);
    const passage = await fence.pass({ devAddr: frame.devAddr, fcnt16: frame.fcnt16, phyPayload, ahead });
    if (passage.allowed) return undefined;
    return { status: STATUS[passage.reason] ?? 'INTERNAL_ERROR', refused: passage.reason };
  };
  const settle = (outcome: TxOutcome): ItemOutcome => {
    if (outcome.kind === 'unanswered') {
      failed['unknown'] = (failed['unknown'] ?? 0) + 1;
      return { status: 'INTERNAL_ERROR', refused: 'noTxAck' };
    }
    const status = outcome.kind === 'answered' ? outcome.status : 'OK';
    if (status === 'OK') sent += 1;
    else failed[status] = (failed[status] ?? 0) + 1;
    return { status };
  };
  const sendItem = async (
    gatewayId: string,
    item: DownlinkItem,
    devAddrs: ReadonlySet<string>,
  ): Promise<ItemOutcome> => {
    const frame = dataDownlink(item.phyPayload);
    if (frame === undefined) return refuse('notDataDownlink');
    if (!devAddrs.has(frame.devAddr)) return refuse('foreignDevAddr');
    const stopped = await passFence(gatewayId, frame, item);
    if (stopped !== undefined) return stopped;
    // No await from the fence's last word to the socket.
    let transmission: Promise<TxOutcome>;
    try {
      transmission = forwarders.transmit(gatewayId, txpkOf({ ...item, tmst: item.tmst ?? 0 }), item);
    } catch {
      return refuse('gatewayUnreachable');
    }
    return settle(await transmission);
  };
  const sendFirstPossible = async (
    prefix: string,
    gatewayId: string,
    command: CommandDown,
  ): Promise<ItemOutcome[]> => {
    const devAddrs = new Set(ringsOf(prefix).flatMap(({ ring }) => ring.settings.devAddrs));
    const outcomes: ItemOutcome[] = [];
    for (const item of command.items) {
      const outcome = await sendItem(gatewayId, item, devAddrs);
      outcomes.push(outcome);
      // without a TX_ACK it may be on air: a second try would be a second transmission
      if (outcome.status === 'OK' || outcome.refused === 'noTxAck') break;
    }
    return outcomes;
  };
  const down = async (prefix: string, gatewayId: string, payload: Uint8Array): Promise<void> => {
    let command: CommandDown;
    try {
      command = readCommandDown(payload);
    } catch (error) {
      refuse('malformed');
      log.warn({ gatewayId, error: describeError(error) }, 'a downlink that cannot be read');
      return;
    }
    const { downlinkId, items } = command;
    let outcomes: ItemOutcome[];
    if (underWay >= MAX_DOWNLINKS) outcomes = items.map(() => refuse('tooMany', 'QUEUE_FULL'));
    else {
      underWay += 1;
      try {
        outcomes = await sendFirstPossible(prefix, gatewayId, command);
      } finally {
        underWay -= 1;
      }
    }
    const rest = items.slice(outcomes.length).map((): ItemOutcome => ({ status: 'IGNORED' }));
    const ack = { gatewayId, downlinkId, items: [...outcomes, ...rest] };
    await bus.publish(`${prefix}${region}/gateway/${gatewayId}/event/ack`, JSON.stringify(ack));
  };
  const replay = (prefix: string, payload: Uint8Array): void => {
    const wanted = parseInput(replaySchema, JSON.parse(fromUtf8(payload)));
    const found = ringsOf(prefix).find(({ ring }) => ring.id === wanted.ring);
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
    counters: () => ({ sent, failed: { ...failed }, refused: { ...refused } }),
    async close() {
      await Promise.all([...subscriptions.values()].map((subscription) => subscription.close()));
      subscriptions.clear();
    },
  };
}
