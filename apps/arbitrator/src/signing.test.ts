import { expect, test } from '@jest/globals';
import { generateIdentity, openIdentity } from '@antirio/kernel';
import type { ContractTerms } from '@antirio/service-contract';
import { createSigning } from './signing.ts';

type Parts = Parameters<typeof createSigning>;

test('terms of a contract without keys are not signed by either party: it could never be settled', async () => {
  const [ours, theirs] = [openIdentity(generateIdentity()), openIdentity(generateIdentity())];
  const ports = { identity: ours, clock: { now: () => 0 } } as Parts[0];
  const signing = createSigning(ports, {} as Parts[1], {} as Parts[2]);
  const relay = { confidentiality: 'relay' } as const;
  const asCustomer = { ...relay, customer: ours.edgeId, provider: theirs.edgeId } as ContractTerms;
  expect(() => signing.propose(asCustomer)).toThrow(/choose forward or process/);
  const asProvider = { ...relay, customer: theirs.edgeId, provider: ours.edgeId } as ContractTerms;
  const asked = signing.countersign(theirs.edgeId, { terms: asProvider, signature: '' });
  await expect(asked).rejects.toThrow(/choose forward or process/);
});
