import { sha256Hex, signDocument, utf8 } from '@antirio/kernel';
import { RING_ROOT_KIND } from '@antirio/ledger-machine';
import { identities } from './identities.ts';

/** A provider's signed word on its ring: nobody looks into it here. */
export function ringRootThrough(by: keyof typeof identities, contractId: string, through: number) {
  const body = { contractId, root: sha256Hex(utf8(String(through))), count: through, through };
  return { ...signDocument(identities[by], RING_ROOT_KIND, body), kind: RING_ROOT_KIND } as const;
}
