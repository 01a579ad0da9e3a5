import { setTimeout as sleep } from 'node:timers/promises';
import { AntirioError, sha256Hex, toHex, type Clock, type Random } from '@antirio/kernel';
import { parseDataFrame, type ReceiveWindow } from '@antirio/lorawan';
import { MAX_DOWNLINK_LEAD_MS } from '@antirio/service-contract';
import type { FenceKeeper } from '../fence/fence.ts';
import type { Reception } from '../frame.ts';
import { leafHash } from '../ring/frontier.ts';
import type { Ring } from '../ring/ring.ts';
import type { Rings } from '../ring/rings.ts';
import { tmstAfter } from '../semtech/gateway-clock.ts';
import type { DownlinkItem } from '../bus/command-down.ts';
import type { Downlinks, ItemOutcome } from './downlinks.ts';

/** A frame of its customer's that this edge's gateway is to send in the windows of an uplink that it heard. */
export interface LentDownlink {
  readonly offer: string;
  readonly epoch: number;
  /** The customer's blocks of counters. */
  readonly slot: number;
  readonly fcnt: number;
  readonly phyPayload: Uint8Array;
  readonly windows: readonly ReceiveWindow[];
}

/** Both sides of a drill downlink: the provider's, whose gateway sends it, and the customer's, whose fence lets it leave. */
export interface Lending {
  /**
   * Of the windows after an uplink that a ring's gateway heard just now; for one downlink, and for as long as it takes to send it.
   * @throws AntirioError notFound where it was not heard, busy
   */
  offer(ringId: string, uplink: Uint8Array): Promise<{ readonly offer: string; readonly gatewayId: string }>;
  /** @throws AntirioError gone where nothing of that name is offered */
  send(ringId: string, lent: LentDownlink): Promise<ItemOutcome>;
  /**
   * Brings an own frame past the fence, for another edge to send within that time; its counter is durably marked.
   * @throws AntirioError notFound where the device is not of the set, forbidden where the fence refuses
   */
  lend(
    setId: string,
    phyPayload: Uint8Array,
    aheadMs: number,
  ): Promise<{ readonly fcnt: number; readonly epoch: number; readonly hash: string }>;
}

export interface LendingPorts {
  readonly rings: Rings;
  readonly fence: FenceKeeper;
  readonly downlinks: Pick<Downlinks, 'sendLent'>;
  readonly clock: Clock;
  readonly random: Random;
}

interface Offer {
  readonly ringId: string;
  readonly devAddr: string;
  readonly offeredAt: number;
  readonly heard: Pick<Reception, 'gatewayId' | 'rx'>;
}

const MAX_OFFERS = 16;
/** Our gateway may be slower than the customer's by so much. */
const HEARD_WITHIN_MS = 300;
const LOOK_MS = 20;

function seqOf(ring: Ring, uplink: Uint8Array): number | undefined {
  const { devAddr, fcnt16: fcnt, mic } = parseDataFrame(uplink);
  const digest = toHex(leafHash(uplink).subarray(0, 8));
  return ring.find({ devAddr, fcnt, mic: toHex(mic), digest });
}

function itemOf({ heard }: Offer, phyPayload: Uint8Array, window: ReceiveWindow): DownlinkItem {
  const { frequency, power, bandwidth, spreadingFactor, delayUs } = window;
  const { tmst, board, antenna } = heard.rx;
  return {
    ...{ phyPayload, frequency, power, bandwidth, spreadingFactor, codeRate: '4/5' },
    ...{ invertPolarity: true, preamble: 0, noCrc: false, board: board ?? 0, antenna: antenna ?? 0 },
    timing: { kind: 'delay', tmst: tmstAfter(tmst, delayUs) },
    uplinkTmst: tmst,
  };
}

export function createLending({ rings, fence, downlinks, clock, random }: LendingPorts): Lending {
  const offers = new Map<string, Offer>();
  const forgetOld = (): void => {
    for (const [id, { offeredAt }] of offers)
      if (clock.monotonic() - offeredAt > MAX_DOWNLINK_LEAD_MS) offers.delete(id);
  };
  const find = async (ring: Ring, uplink: Uint8Array): Promise<number> => {
    const until = clock.monotonic() + HEARD_WITHIN_MS;
    for (;;) {
      const seq = seqOf(ring, uplink);
      if (seq !== undefined) return seq;
      if (clock.monotonic() > until)
        throw new AntirioError('notFound', 'our gateways did not hear this uplink');
      await sleep(LOOK_MS);
    }
  };
  return {
    async offer(ringId, uplink) {
      forgetOld();
      if (offers.size >= MAX_OFFERS) throw new AntirioError('busy', `${MAX_OFFERS} downlinks are offered`);
      const { ring } = rings.get(ringId);
      // from now on, not from when it was found: the customer's fence must have its say after this
      const offeredAt = clock.monotonic();
      const [frame] = await ring.framesOf([await find(ring, uplink)]);
      if (frame?.via !== 'radio') throw new AntirioError('notFound', 'our gateways did not hear this uplink');
      const offer = toHex(random.bytes(16));
      const { devAddr } = parseDataFrame(uplink);
      offers.set(offer, { ringId, devAddr, offeredAt, heard: frame });
      return { offer, gatewayId: frame.gatewayId };
    },
    async send(ringId, { offer: name, epoch, slot, fcnt, phyPayload, windows }) {
      const offer = offers.get(name);
      // for one downlink only, whatever becomes of it
      offers.delete(name);
      if (offer?.ringId !== ringId) throw new AntirioError('gone', 'nothing of that name is offered');
      if (parseDataFrame(phyPayload).devAddr !== offer.devAddr)
        throw new AntirioError('forbidden', 'the offer is for another device');
      const loan = { offeredAt: offer.offeredAt, epoch, slot, fcnt };
      const items = windows.map((window) => itemOf(offer, phyPayload, window));
      const outcomes = await downlinks.sendLent(offer.heard.gatewayId, items, loan);
      const told = outcomes.findLast(({ status }) => status !== 'IGNORED');
      return told ?? { status: 'IGNORED' };
    },
    async lend(setId, phyPayload, aheadMs) {
      const { devAddr, fcnt16 } = parseDataFrame(phyPayload);
      const set = fence.setOf(devAddr);
      if (set?.setId !== setId) throw new AntirioError('notFound', `no device ${devAddr} in a set ${setId}`);
      const until = clock.monotonic() + aheadMs;
      const passage = await fence.pass({
        ...{ devAddr, fcnt16, phyPayload },
        ahead: () => until - clock.monotonic(),
        // its time on air is the other edge's, which has so long from its offer on
        slot: () => Promise.resolve(),
        onAirWithinMs: MAX_DOWNLINK_LEAD_MS,
      });
      if (!passage.allowed) throw new AntirioError('forbidden', `the fence refuses it: ${passage.reason}`);
      return { fcnt: passage.fcnt, epoch: set.epoch, hash: sha256Hex(phyPayload) };
    },
  };
}
