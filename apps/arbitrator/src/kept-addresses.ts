import { repeat, type HttpPeer, type HttpRim, type Log, type Ran } from '@antirio/host';
import { AntirioError, type Clock } from '@antirio/kernel';
import {
  areOfSet,
  keepsOnly,
  protectedDevice,
  type ContractTerms,
  type ProtectedDevice,
  type Standing,
} from '@antirio/service-contract';
import { z } from 'zod';
import type { ContractStore, StoredContract } from './contract-store.ts';
import { neighbourCall } from './peers.ts';
import { createPerContract } from './per-contract.ts';

/**
 * Who keeps a customer's frames without keys is told which addresses its devices have got by joining: other providers find them with the
 * keys.
 */

const ADDRESSES = 'addresses';
const MOST_ADDRESSES = 40_000;
const LOOK_EVERY_MS = 2000;
/** Its disk may be an older one since, which does not know what it was told. */
const TELL_AGAIN_MS = 600_000;
/** Phases in which the provider listens for us. */
const tells: ReadonlySet<string> = new Set(['arming', 'guarded', 'stated']);

/** As our customer told us last; undefined where it has not. */
export function toldAddresses(
  store: Pick<ContractStore, 'document'>,
  contractId: string,
): readonly ProtectedDevice[] | undefined {
  return store.document(contractId, ADDRESSES) as readonly ProtectedDevice[] | undefined;
}

export function keepAddresses(
  store: Pick<ContractStore, 'putDocument'>,
  contractId: string,
  addresses: readonly ProtectedDevice[],
): void {
  store.putDocument(contractId, ADDRESSES, addresses);
}

/** The customer's half: tells its provider whenever they have changed, once after each start, and now and then. */
export interface AddressTelling {
  drive(contract: Standing): void;
  leave(contractId: string): Promise<void>;
  stop(): Promise<void>;
}

export function createAddressTelling(ports: {
  readonly peers: Readonly<Record<string, HttpPeer>>;
  readonly log: Log;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Those that joins gave, within the contract's range. */
  readonly joined: (terms: ContractTerms) => readonly ProtectedDevice[];
}): AddressTelling {
  const { peers, log, clock, joined } = ports;
  const running = createPerContract();
  const telling = (contract: Standing) => {
    const { terms } = contract;
    const path = `/arbitrator/v1/contract/${terms.contractId}/addresses`;
    let told: string | undefined;
    let toldAt = -Infinity;
    return async (): Promise<Ran> => {
      const addresses = joined(terms);
      const now = JSON.stringify(addresses);
      const isKnown = now === told && clock.monotonic() - toldAt < TELL_AGAIN_MS;
      if (isKnown || !tells.has(contract.phase().at)) return 'rested';
      await neighbourCall(peers, terms.provider, 'arbitrator', { method: 'POST', path, json: { addresses } });
      told = now;
      toldAt = clock.monotonic();
      return 'worked';
    };
  };
  return {
    drive(contract) {
      const { terms, role } = contract;
      const { contractId, devAddrRange } = terms;
      if (role !== 'customer' || !keepsOnly(terms) || devAddrRange === undefined) return;
      const own = log.child({ contract: contractId, role });
      running.begin(contractId, () => repeat('telling addresses', LOOK_EVERY_MS, own, telling(contract)));
    },
    leave: (contractId) => running.leave(contractId),
    stop: () => running.stop(),
  };
}

const told = z.strictObject({ addresses: z.array(protectedDevice).max(MOST_ADDRESSES) });
const idParam = z.object({ id: z.uuid() });

/** The provider's half: its ring takes them, durably, before it says so. */
export function addAddressesRoute(
  rim: HttpRim,
  ports: {
    /** @throws AntirioError forbidden where the asker is not the contract's customer, or we not its provider */
    readonly fromCustomer: (id: string, request: { get(name: string): string | undefined }) => StoredContract;
    readonly take: (terms: ContractTerms, addresses: readonly ProtectedDevice[]) => Promise<void>;
  },
): void {
  rim.route(
    'post',
    '/arbitrator/v1/contract/:id/addresses',
    { summary: 'of a relay contract: addresses that devices got by joining', params: idParam, body: told },
    async ({ params, body, request }) => {
      const { terms } = ports.fromCustomer(params.id, request);
      if (!keepsOnly(terms)) throw new AntirioError('conflict', 'these addresses come with the keys');
      if (!areOfSet(terms, body.addresses))
        throw new AntirioError(
          'invalidInput',
          'these addresses are not in the range that the contract names',
        );
      await ports.take(terms, body.addresses);
      return { addresses: body.addresses.length };
    },
  );
}
