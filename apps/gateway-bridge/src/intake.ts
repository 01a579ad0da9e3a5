import type { Clock } from '@antirio/kernel';
import type { Log } from '@antirio/host';
import { messageType, parseDataFrame, type RegionPlan } from '@antirio/lorawan';
import type { Delivery } from './bus/delivery.ts';
import { createCounted } from './counted.ts';
import { RADIO, type Reception } from './frame.ts';
import type { Joins } from './join/joins.ts';
import type { Ring } from './ring/ring.ts';
import type { Rings } from './ring/rings.ts';

/** Puts what gateways heard into the rings. */
export interface Intake {
  /** Resolves when all of it is durable. What is `contested` is kept, but not told as heard just now. */
  take(receptions: readonly Reception[], contested: boolean): Promise<void>;
  /** Frames that belong to no ring, and frames that no ring takes, by kind. */
  unmatched(): Readonly<Record<string, number>>;
}

export interface IntakePorts {
  readonly rings: Rings;
  readonly plan: RegionPlan;
  readonly delivery: Delivery;
  readonly joins: Joins;
  readonly clock: Clock;
  readonly log: Log;
}

/** Frames of other people's motes are everywhere. */
const ORDINARY = ['unknownDevAddr', 'unknownDevEui'];

/** Which rings take a frame, whether it is one to join, or why none takes it. */
function ringsFor(rings: Rings, plan: RegionPlan, { phyPayload, rx }: Reception): readonly Ring[] | string {
  if (!plan.inPlan(rx)) return 'outOfPlan';
  try {
    const type = messageType(phyPayload);
    if (type !== 'unconfirmedDataUp' && type !== 'confirmedDataUp') return type;
    return rings.matching(parseDataFrame(phyPayload).devAddr);
  } catch {
    return 'malformed';
  }
}

/** Frames that only the neighbourhood takes are counted as unknown all the same. */
function strangeness(rings: readonly Ring[]): string | undefined {
  return rings.every((ring) => ring.settings.devAddrs.length === 0) ? 'unknownDevAddr' : undefined;
}

export function createIntake({ rings, plan, delivery, joins, clock, log }: IntakePorts): Intake {
  const unmatched = createCounted<string>({ what: 'frames for no ring', ordinary: ORDINARY, log, clock });

  const offer = async (ring: Ring, reception: Reception, contested: boolean): Promise<void> => {
    const heardAt = contested ? undefined : clock.monotonic() - (clock.now() - reception.receivedAt);
    const taken = ring.take({ ...reception, via: RADIO });
    if (taken.kind === 'dropped') return;
    await taken.durable;
    if (taken.kind === 'stored') delivery.first(ring, taken.frame, heardAt);
    else delivery.again(ring, taken.seq, reception, heardAt);
  };
  const refusalOf = (
    found: readonly Ring[] | string,
    reception: Reception,
    contested: boolean,
  ): string | undefined => {
    if (typeof found !== 'string') return strangeness(found);
    // a JoinRequest carries no reading: nothing of it is kept, and nobody waits for it
    return found === 'joinRequest' ? joins.heard(reception, contested) : found;
  };
  const take: Intake['take'] = async (receptions, contested) => {
    const { moving } = rings;
    if (moving !== undefined) await moving;
    const writes: Promise<void>[] = [];
    for (const reception of receptions) {
      const found = ringsFor(rings, plan, reception);
      const why = refusalOf(found, reception, contested);
      if (why !== undefined) {
        const { gatewayId, rx } = reception;
        unmatched.count(why, { gatewayId, frequency: rx.frequency, spreadingFactor: rx.spreadingFactor });
      }
      if (typeof found !== 'string') for (const ring of found) writes.push(offer(ring, reception, contested));
    }
    await Promise.all(writes);
  };
  return { take, unmatched: () => unmatched.counts() as Readonly<Record<string, number>> };
}
