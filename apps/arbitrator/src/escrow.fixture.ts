// What tests of sealed keys share: four edges, a contract with two holders, and where to seal to.
import {
  AntirioError,
  generateIdentity,
  openIdentity,
  type EdgeId,
  type Identity,
  type SealKey,
} from '@antirio/kernel';
import { contractTerms, type ContractTerms } from '@antirio/service-contract';

const edges = [1, 2, 3, 4].map(() => openIdentity(generateIdentity()));
export const [customer, provider, central, witness] = edges as [Identity, Identity, Identity, Identity];
export const contractId = '6f1b2b52-4a3d-4c86-9f0e-a7d1c45be02f';

export const terms: ContractTerms = contractTerms.parse({
  version: 1,
  contractId,
  customer: customer.edgeId,
  provider: provider.edgeId,
  central: central.edgeId,
  set: { setId: 'bridge', service: 'lora', devices: [{ devEui: '00000000000000aa', devAddr: '0000000a' }] },
  image: { imageName: 'lora', imageCid: 'i', configCid: 'c' },
  confidentiality: 'forward',
  opening: 'witnessed',
  standby: 'hot',
  stakes: { customer: 100, provider: 100 },
  slots: { customer: 0, provider: 1 },
  escrow: { threshold: 2, holders: [central.edgeId, witness.edgeId] },
  expiresAt: 10,
});

export function sealKeyOf(edge: EdgeId): SealKey {
  const found = edges.find(({ edgeId }) => edgeId === edge);
  if (found === undefined) throw new AntirioError('notFound', `no edge ${edge}`);
  return found.sealKey;
}
