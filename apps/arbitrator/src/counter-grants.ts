import { z } from 'zod';
import { parseInput, type Bus } from '@antirio/host';
import { fromUtf8 } from '@antirio/kernel';
import { blockIndexOf, blockOf, leads, nextBlock, provenWithin } from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';

import type { Contracts } from './contracts.ts';

const counterRequest = z.object({
  requestId: z.string().max(64),
  devAddr: z.string().regex(/^[0-9a-f]{8}$/),
  /** The highest FCntDown that the device service knows to have been used. */
  above: z.int().min(-1).default(-1),
  /** The highest that the device surely heard, where the service knows one. */
  proven: z.int().min(-1).optional(),
});

type CounterRequest = z.output<typeof counterRequest>;

const OWN = 'own';

/**
 * Device services ask for blocks of FCntDown. For a protected sensor the machine under whose epoch we act asks the grantor;
 * for one of no set the counters are this edge's alone.
 */
export function createCounterGrants(
  bus: Bus,
  store: ContractStore,
  { drivers, addresses }: Pick<Contracts, 'drivers' | 'addresses'>,
) {
  const grantOwn = async (request: CounterRequest, above: number): Promise<void> => {
    const { requestId, devAddr } = request;
    const last = store.document(OWN, `block/${devAddr}`);
    const given = Math.max(above, typeof last === 'number' ? last : -1);
    const index = nextBlock(0, given);
    store.putDocument(OWN, `block/${devAddr}`, index);
    const known = store.document(OWN, `proven/${devAddr}`) as number | undefined;
    const heard = [known, request.proven].flatMap((one) => provenWithin(one, given) ?? []);
    const proven = heard.length === 0 ? undefined : Math.max(...heard);
    if (proven !== undefined && proven !== known) store.putDocument(OWN, `proven/${devAddr}`, proven);
    const answer = JSON.stringify({ requestId, devAddr, ...blockOf(index), proven });
    await bus.publish('antirio/fcntdown/grant', answer, { qos: 1 });
  };

  return async function onRequest(topic: string, payload: Uint8Array): Promise<void> {
    const request = parseInput(counterRequest, JSON.parse(fromUtf8(payload)));
    const { requestId, devAddr, above, proven } = request;
    const reserved = above < 0 ? -1 : blockIndexOf(above);
    const contractId = topic.startsWith('contract/') ? topic.split('/')[1] : undefined;
    const mine = [...drivers.values()].filter((driver) =>
      contractId === undefined
        ? driver.role === 'customer'
        : driver.role === 'provider' && driver.terms.contractId === contractId,
    );
    const protects = mine.filter((driver) =>
      addresses(driver.terms).some((device) => device.devAddr === devAddr),
    );
    const acting = protects.find((driver) => leads(driver, drivers.values()));
    if (acting !== undefined)
      acting.post({ type: 'counterAsked', requestId, devAddr, above: reserved, proven });
    else if (contractId === undefined) await grantOwn(request, reserved);
  };
}
