import type { ReceiveWindow } from '@antirio/lorawan';
import type { Reception } from '../uplink/event-up.ts';
import { judgeOutcomes, type Verdict } from './plan.ts';
import type { Transmitter } from './transmitter.ts';

/** Time that a frame needs to its gateway before its window opens. */
export const LEAD_MS = 150;

/** A frame and the gateways that heard what it answers. */
export interface Sending {
  readonly bytes: Uint8Array;
  /** The strongest first. */
  readonly receptions: readonly Pick<Reception, 'gatewayId' | 'context'>[];
  readonly windows: readonly ReceiveWindow[];
  /** Ms since the uplink whose windows they are; `once`: the device listens with their settings at all times. */
  readonly at: 'once' | (() => number);
}

/** Through the gateway that heard the device best, or the next one where it surely did not send, while there is a window ahead. */
export async function throughGateways(
  transmitter: Pick<Transmitter, 'transmit'>,
  { bytes, receptions, windows, at }: Sending,
): Promise<Verdict> {
  const through = async ({ gatewayId, context }: Sending['receptions'][number], left: Sending['windows']) => {
    const when = at === 'once' ? { at } : {};
    const outcomes = await transmitter.transmit(bytes, { gatewayId, context, windows: left, ...when });
    return { verdict: judgeOutcomes(outcomes), isTold: outcomes.length > 0 };
  };
  const [best, ...others] = receptions;
  if (best === undefined) return { kind: 'again', why: 'no gateway heard it' };
  let { verdict, isTold } = await through(best, windows);
  for (const other of others) {
    const left = windows.filter(({ delayUs }) => at === 'once' || delayUs / 1000 - LEAD_MS > at());
    // a gateway that nothing is known of may have sent it
    if (!isTold || verdict.kind !== 'again' || left.length === 0) break;
    ({ verdict, isTold } = await through(other, left));
  }
  return verdict;
}
