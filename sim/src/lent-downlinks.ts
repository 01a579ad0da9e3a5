import type { judgeLentDownlink, Loan } from '@antirio/service-contract';
import type { EdgeNode } from './edge.ts';
import type { SimFence } from './fence.ts';
import type { Frame } from './frames.ts';
import type { Host } from './host.ts';
import type { Network } from './network.ts';
import type { Dice } from './random.ts';

/** The checks of drill downlinks, which a mutant may leave out. */
export interface LentPieces {
  readonly judgeLentDownlink: typeof judgeLentDownlink;
  /** Whether what is lent has to pass the customer's own fence. */
  readonly fenceBeforeLending: boolean;
}

export interface LentPorts {
  readonly network: Network;
  readonly hosts: Readonly<Record<'A' | 'B', Host>>;
  readonly provider: () => EdgeNode;
  readonly dice: Dice;
  /** The customer's blocks of counters. */
  readonly slot: number;
  readonly pieces: LentPieces;
}

/** Sends a downlink of the customer's by way of the provider's gateway; false where it goes the usual way. `usual`: of what surely was not sent. */
export type Lend = (fence: SimFence, frame: Frame, fcnt: number, airAt: number, usual: () => void) => boolean;

const TIMEOUT_MS = 5000;
const NEARBY_MS = 3;
const SHARE = 0.3;
/** The provider's gateway may have heard a later copy of the uplink: a device repeats, and so does who recorded it. */
const REPEATED = 0.4;
const REPEATED_MS = 8000;

interface Offer {
  readonly offeredAt: number;
  readonly life: number;
  readonly laterMs: number;
}

/** Drill downlinks by the product's own rules: offered by the provider, past the customer's fence, and past the provider's. */
export function simulateLending({ network, hosts, provider, dice, slot, pieces }: LentPorts): Lend {
  const offers = new Map<number, Offer>();
  let count = 0;

  const offer = (): number => {
    const laterMs = dice.chance(REPEATED) ? dice.between(0, REPEATED_MS) : 0;
    offers.set(++count, { offeredAt: hosts.B.clock.monotonic(), life: hosts.B.incarnation, laterMs });
    return count;
  };
  /** At the provider: true where it went to the gateway. */
  const send = (
    name: number,
    epoch: number,
    { frame, fcnt, airAt }: { frame: Frame; fcnt: number; airAt: number },
    done: (sent: boolean) => void,
  ): void => {
    const found = offers.get(name);
    offers.delete(name);
    if (found?.life !== hosts.B.incarnation) {
      done(false);
      return;
    }
    const loan: Loan = { offeredAt: found.offeredAt, epoch, slot, fcnt };
    provider()
      .rooms()
      .fence.passLent(loan, pieces.judgeLentDownlink, frame, airAt + found.laterMs, (refusal) => {
        done(refusal === undefined);
      });
  };
  return (fence, frame, fcnt, airAt, usual) => {
    if (!dice.chance(SHARE)) return false;
    const toGateway = (name: number, epoch: number): void => {
      network.call<boolean>(
        hosts.A,
        hosts.B,
        TIMEOUT_MS,
        (reply) => {
          send(name, epoch, { frame, fcnt, airAt }, (sent) => {
            reply({ ok: true, value: sent });
          });
        },
        // where nobody says what became of it, it may be on air
        (result) => {
          if (result.ok && !result.value) usual();
        },
      );
    };
    network.call<number>(
      hosts.A,
      hosts.B,
      TIMEOUT_MS,
      (reply) => {
        hosts.B.after(NEARBY_MS, () => {
          reply({ ok: true, value: offer() });
        });
      },
      (result) => {
        if (!result.ok) usual();
        else
          fence.lend(frame, airAt, pieces.fenceBeforeLending, (epoch) => {
            // a slow process
            if (epoch !== undefined)
              hosts.A.after(dice.between(1, 200), () => {
                toGateway(result.value, epoch);
              });
          });
      },
    );
    return true;
  };
}
