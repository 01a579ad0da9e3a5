import { z } from 'zod';
import { fromUtf8 } from '@antirio/kernel';

const counted = z.looseObject({
  joinsUnserved: z.object({ requests: z.int().min(0), devices: z.int().min(0) }).optional(),
});
type Counted = NonNullable<z.output<typeof counted>['joinsUnserved']>;

/** JoinRequests of customers' devices that their services here, without root keys, could not answer, since each one's start. */
export interface UnservedJoins {
  of(contractId: string): Counted | undefined;
  /** What a contract's service tells on the bus. */
  onStatus(topic: string, payload: Uint8Array): void;
}

export const SERVICE_STATUS = 'contract/+/antirio/service/+/status';
const KEPT = 1000;

function parsed(payload: Uint8Array): unknown {
  try {
    return JSON.parse(fromUtf8(payload));
  } catch {
    return undefined;
  }
}

export function createUnservedJoins(): UnservedJoins {
  const known = new Map<string, Counted>();
  return {
    of: (contractId) => known.get(contractId),
    onStatus(topic, payload) {
      const [, contractId = ''] = topic.split('/');
      const found = counted.safeParse(parsed(payload)).data?.joinsUnserved;
      if (found === undefined || found.requests === 0) known.delete(contractId);
      else if (known.size < KEPT || known.has(contractId)) known.set(contractId, found);
    },
  };
}
