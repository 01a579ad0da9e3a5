import { setTimeout as sleep } from 'node:timers/promises';
import { messageType, parseDataFrame, type DataFrame } from '@antirio/lorawan';
import { MAX_DOWNLINK_LEAD_MS, type LentRefusal, type Loan } from '@antirio/service-contract';
import { txpkOf, type CommandDown, type DownlinkItem } from '../bus/command-down.ts';
import type { FenceKeeper } from '../fence/fence.ts';
import type { JoinAnswer, Joins } from '../join/joins.ts';
import type { HeldRing, Rings } from '../ring/rings.ts';
import type { Forwarders, TxOutcome } from '../semtech/forwarders.ts';
import type { TxAckStatus } from '../semtech/tx-ack.ts';
import { AIR_STATUS, type AirRefusal, type Airwaves, type Slot } from './airwaves.ts';

/** Why a downlink was not even brought to the fence. */
export type CommandRefusal =
  | AirRefusal
  | 'malformed'
  | 'foreignDevAddr'
  | 'notDataDownlink'
  /** A JoinAccept for which this reader was given no JoinRequest that is still to be answered. */
  | 'joinWithoutRequest'
  | 'gatewayUnreachable'
  | 'tooMany';

/** What became of one way to send a downlink, in ChirpStack's words, and why in ours. */
export interface ItemOutcome {
  readonly status: TxAckStatus;
  readonly refused?: string;
}

export interface DownlinkCounters {
  /** Sent to a gateway that said OK, or cannot say. */
  readonly sent: number;
  /** Of those: with less power than was asked for. */
  readonly reducedPower: number;
  /** By the gateway's word, such as TOO_LATE; `unknown` where it said none. */
  readonly failed: Readonly<Record<string, number>>;
  readonly refused: Readonly<Partial<Record<CommandRefusal, number>>>;
}

/** Sends what readers ask for, behind the fence. */
export interface Downlinks {
  /** The first item that works is the only one. One outcome for each item. */
  send(prefix: string, gatewayId: string, command: CommandDown): Promise<readonly ItemOutcome[]>;
  /** What another edge has lent, in the first of these windows that works; the frame must be a data downlink. */
  sendLent(gatewayId: string, items: readonly DownlinkItem[], loan: Loan): Promise<readonly ItemOutcome[]>;
  refuse(reason: CommandRefusal, status?: TxAckStatus): ItemOutcome;
  counters(): DownlinkCounters;
  /** What waits for its time is given up. */
  close(): void;
}

export interface DownlinksPorts {
  readonly rings: Rings;
  readonly joins: Joins;
  readonly fence: FenceKeeper;
  readonly forwarders: Forwarders;
  readonly airwaves: Airwaves;
}

/** Downlinks under way at once behind one prefix: what one reader has held back keeps out no other. */
const MAX_DOWNLINKS = 64;
/** Ahead of its time by so much a downlink is brought to the fence, where it came earlier than the fence takes it. */
const LEAD_MS = 2000;
/** RX2 after the longest RX1 delay of LoRaWAN; ping slots are within 128 s. */
const LONGEST_HOLD_MS: Readonly<Record<string, number>> = { delay: 16_500, gps: 130_000 };
const JOIN_ACCEPT_LENGTHS = [17, 33];
const OWN = 'own';

const FENCE_STATUS: Readonly<Partial<Record<LentRefusal, TxAckStatus>>> = {
  tooLate: 'TOO_LATE',
  tooFarAhead: 'TOO_EARLY',
};

/** What an item carries, and by whose leave. */
type Load =
  | { readonly kind: 'data'; readonly frame: DataFrame }
  | { readonly kind: 'lent'; readonly frame: DataFrame; readonly loan: Loan }
  | { readonly kind: 'join'; readonly answer: JoinAnswer };

/** How one item gets its time on air, and goes at it. */
interface Leaving {
  readonly reserve: () => Slot | undefined;
  readonly ahead: () => number | undefined;
  /** Must follow the fence's last word without an await in between. */
  readonly leave: () => Promise<ItemOutcome>;
}

const isOutcome = (value: object): value is ItemOutcome => 'status' in value;
const mayBeOnAir = ({ status, refused }: ItemOutcome): boolean => status === 'OK' || refused === 'noTxAck';

/** Tries each until one may be on air. */
async function firstOf(
  items: readonly DownlinkItem[],
  send: (item: DownlinkItem) => Promise<ItemOutcome>,
): Promise<readonly ItemOutcome[]> {
  const outcomes: ItemOutcome[] = [];
  for (const item of items) {
    const outcome = await send(item);
    outcomes.push(outcome);
    // without a TX_ACK it may be on air: a second try would be a second transmission
    if (mayBeOnAir(outcome)) break;
  }
  const rest = items.slice(outcomes.length).map((): ItemOutcome => ({ status: 'IGNORED' }));
  return [...outcomes, ...rest];
}

function dataDownlink(phyPayload: Uint8Array): DataFrame | undefined {
  try {
    const frame = parseDataFrame(phyPayload);
    return frame.direction === 'down' ? frame : undefined;
  } catch {
    return undefined;
  }
}

function isJoinAccept(phyPayload: Uint8Array): boolean {
  try {
    return messageType(phyPayload) === 'joinAccept' && JOIN_ACCEPT_LENGTHS.includes(phyPayload.length);
  } catch {
    return false;
  }
}

/** The rings that are read behind a prefix. */
export function ringsBehind(rings: Rings, prefix: string): HeldRing[] {
  return rings.all().filter(({ ring }) => ring.settings.deliver && ring.settings.prefix === prefix);
}

export function createDownlinks({ rings, joins, fence, forwarders, airwaves }: DownlinksPorts): Downlinks {
  const refused: Partial<Record<CommandRefusal, number>> = {};
  const failed: Record<string, number> = {};
  const closing = new AbortController();
  let sent = 0;
  let reducedPower = 0;
  const underWay = new Map<string, number>();

  const refuse: Downlinks['refuse'] = (reason, status = 'INTERNAL_ERROR') => {
    refused[reason] = (refused[reason] ?? 0) + 1;
    return { status, refused: reason };
  };
  const refuseOnAir = (reason: AirRefusal): ItemOutcome => refuse(reason, AIR_STATUS[reason]);
  const refusedByFence = (reason: LentRefusal): ItemOutcome => ({
    status: FENCE_STATUS[reason] ?? 'INTERNAL_ERROR',
    refused: reason,
  });

  const settle = (outcome: TxOutcome): ItemOutcome => {
    if (outcome.kind === 'unanswered') {
      failed['unknown'] = (failed['unknown'] ?? 0) + 1;
      return { status: 'INTERNAL_ERROR', refused: 'noTxAck' };
    }
    if (outcome.kind === 'answered' && outcome.reducedPower !== undefined) reducedPower += 1;
    const status = outcome.kind === 'answered' ? outcome.status : 'OK';
    if (status === 'OK') sent += 1;
    else failed[status] = (failed[status] ?? 0) + 1;
    return { status };
  };
  /** Must follow the fence's last word without an await in between. */
  const transmit = (gatewayId: string, item: DownlinkItem): Promise<ItemOutcome> => {
    try {
      return forwarders.transmit(gatewayId, txpkOf(item), item).then(settle);
    } catch {
      return Promise.resolve(refuse('gatewayUnreachable'));
    }
  };

  /** Until the fence may be asked; a refusal where that would take too long. */
  const hold = async (gatewayId: string, { timing }: DownlinkItem): Promise<AirRefusal | undefined> => {
    const ahead = airwaves.aheadMs(gatewayId, timing);
    if (ahead === undefined || ahead <= MAX_DOWNLINK_LEAD_MS) return undefined;
    if (ahead > (LONGEST_HOLD_MS[timing.kind] ?? 0)) return 'tooFarAhead';
    // closed meanwhile: it is not sent, and its counter not used
    const waited = await sleep(ahead - LEAD_MS, true, { signal: closing.signal }).catch(() => false);
    return waited ? undefined : 'tooFarAhead';
  };
  const sendData = async (
    { phyPayload }: DownlinkItem,
    load: Exclude<Load, { kind: 'join' }>,
    { reserve, ahead, leave }: Leaving,
  ): Promise<ItemOutcome | undefined> => {
    const { devAddr, fcnt16 } = load.frame;
    const slot = (): Promise<void> | undefined => reserve()?.durable;
    const passing = { devAddr, fcnt16, phyPayload, ahead, slot };
    const passage = await (load.kind === 'data' ? fence.pass(passing) : fence.passLent(load.loan, passing));
    if (passage.allowed) return leave();
    return passage.reason === 'noSlot' ? undefined : refusedByFence(passage.reason);
  };
  const sendJoinAccept = async (
    { devEui, rings: behind }: JoinAnswer,
    { reserve, ahead, leave }: Leaving,
  ): Promise<ItemOutcome | undefined> => {
    // the own ring has devices of many sets and of none; a contract's ring has those of its set
    const devAddrs = behind.flatMap(({ id, settings }) => (id === OWN ? [] : settings.devAddrs));
    const first = fence.judgeJoin(devEui, devAddrs, ahead());
    if (first !== undefined) return refusedByFence(first);
    const slot = reserve();
    if (slot === undefined) return undefined;
    await slot.durable;
    const second = fence.judgeJoin(devEui, devAddrs, ahead());
    return second === undefined ? leave() : refusedByFence(second);
  };
  const onAir = async (gatewayId: string, item: DownlinkItem, load: Load): Promise<ItemOutcome> => {
    let slot: Slot | undefined;
    let refusal: AirRefusal = 'notTimed';
    const reserve = (): Slot | undefined => {
      const got = airwaves.reserve(gatewayId, item);
      if (typeof got === 'string') refusal = got;
      else slot = got;
      return slot;
    };
    const ahead = (): number | undefined => slot?.ahead() ?? airwaves.earliestMs(gatewayId, item);
    const leave = (): Promise<ItemOutcome> =>
      transmit(gatewayId, { ...item, timing: slot?.timing ?? item.timing });
    const leaving: Leaving = { reserve, ahead, leave };
    let outcome: ItemOutcome | undefined;
    try {
      outcome =
        load.kind === 'join'
          ? await sendJoinAccept(load.answer, leaving)
          : await sendData(item, load, leaving);
    } finally {
      if (outcome === undefined || !mayBeOnAir(outcome)) slot?.release();
    }
    return outcome ?? refuseOnAir(refusal);
  };

  const loadOf = (
    { phyPayload }: DownlinkItem,
    devAddrs: ReadonlySet<string>,
    answer: JoinAnswer | undefined,
  ): Load | ItemOutcome => {
    if (isJoinAccept(phyPayload))
      return answer === undefined ? refuse('joinWithoutRequest') : { kind: 'join', answer };
    const frame = dataDownlink(phyPayload);
    if (frame === undefined) return refuse('notDataDownlink');
    return devAddrs.has(frame.devAddr) ? { kind: 'data', frame } : refuse('foreignDevAddr');
  };
  const sendItem = async (
    gatewayId: string,
    item: DownlinkItem,
    devAddrs: ReadonlySet<string>,
    answer: JoinAnswer | undefined,
  ): Promise<ItemOutcome> => {
    const load = loadOf(item, devAddrs, answer);
    if (isOutcome(load)) return load;
    const refusal = airwaves.judge(item, gatewayId) ?? (await hold(gatewayId, item));
    return refusal === undefined ? onAir(gatewayId, item, load) : refuseOnAir(refusal);
  };
  const answerFor = (prefix: string, gatewayId: string, { items }: CommandDown): JoinAnswer | undefined => {
    const accept = items.find(({ phyPayload }) => isJoinAccept(phyPayload));
    // one answer for one JoinRequest: another context, or another message, within the command has none
    const isOne = items.every(
      ({ phyPayload, uplinkTmst }) => isJoinAccept(phyPayload) && uplinkTmst === accept?.uplinkTmst,
    );
    if (accept?.uplinkTmst === undefined || !isOne) return undefined;
    return joins.answer(prefix, gatewayId, accept.uplinkTmst);
  };
  const sendFirstPossible = async (
    prefix: string,
    gatewayId: string,
    command: CommandDown,
  ): Promise<readonly ItemOutcome[]> => {
    const devAddrs = new Set(ringsBehind(rings, prefix).flatMap(({ ring }) => ring.settings.devAddrs));
    const answer = answerFor(prefix, gatewayId, command);
    let outcomes: readonly ItemOutcome[] = [];
    try {
      outcomes = await firstOf(command.items, (item) => sendItem(gatewayId, item, devAddrs, answer));
    } finally {
      if (!outcomes.some(mayBeOnAir)) answer?.release();
    }
    return outcomes;
  };

  return {
    async send(prefix, gatewayId, command) {
      const others = underWay.get(prefix) ?? 0;
      if (others >= MAX_DOWNLINKS) return command.items.map(() => refuse('tooMany', 'QUEUE_FULL'));
      underWay.set(prefix, others + 1);
      try {
        return await sendFirstPossible(prefix, gatewayId, command);
      } finally {
        const left = (underWay.get(prefix) ?? 1) - 1;
        if (left === 0) underWay.delete(prefix);
        else underWay.set(prefix, left);
      }
    },
    sendLent: (gatewayId, items, loan) =>
      firstOf(items, async (item) => {
        const frame = dataDownlink(item.phyPayload);
        if (frame === undefined) return refuse('notDataDownlink');
        const refusal = airwaves.judge(item, gatewayId);
        return refusal === undefined
          ? onAir(gatewayId, item, { kind: 'lent', frame, loan })
          : refuseOnAir(refusal);
      }),
    refuse,
    counters: () => ({ sent, reducedPower, failed: { ...failed }, refused: { ...refused } }),
    close: () => closing.abort(),
  };
}
