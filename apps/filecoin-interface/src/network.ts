import type { Log } from '@antirio/host';
import type { BlockStore } from '@antirio/content-store';
import type { Clock, Random } from '@antirio/kernel';
import {
  embeddedNetwork,
  kuboNetwork,
  type StorageNetwork,
  type StorageRate,
} from '@antirio/storage-network';
import type { FilecoinInterfaceOptions } from './options.ts';

export interface NetworkPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly store: BlockStore;
  /** Where it keeps what it must know after a restart. */
  readonly folder: string;
}

/** The storage network that the options choose; what another one would need is not loaded. @throws AntirioError badConfig */
export async function openNetwork(
  { network, edgeId, price }: Pick<FilecoinInterfaceOptions, 'network' | 'edgeId' | 'price'>,
  ports: NetworkPorts,
): Promise<StorageNetwork> {
  const rate = rateOf(price);
  switch (network.kind) {
    case 'embedded':
      return embeddedNetwork({ ...ports, self: `/p2p/${edgeId}`, rate });
    case 'kubo':
      return kuboNetwork({ ...network, ...ports, owner: edgeId, rate });
    case 'filecoin': {
      const { kind: _, ...settings } = network;
      const { openFilecoinNetwork } = await import('@antirio/storage-filecoin');
      return openFilecoinNetwork({ ...ports, settings });
    }
  }
}

function rateOf({ numerator, denominator, ...rest }: FilecoinInterfaceOptions['price']): StorageRate {
  return { numerator: BigInt(numerator), denominator: BigInt(denominator), ...rest };
}

/** How the providers of a network are named beside edges and URLs. */
const NETWORK_PROVIDER = /^(kubo|pinning|filecoin):(.+)$/;

/** Whether a name is one of a provider in some storage network. */
export const isOfNetwork = (provider: string): boolean => NETWORK_PROVIDER.test(provider);

/** As the network itself names its provider: those of Filecoin are numbers. */
export function nameWithin(provider: string): string {
  const [, kind, rest = ''] = NETWORK_PROVIDER.exec(provider) ?? [];
  return kind === 'filecoin' ? rest : provider;
}

/** As everybody else is told of it. */
export function nameOutside(kind: StorageNetwork['kind'], provider: string): string {
  return kind === 'filecoin' ? `filecoin:${provider}` : provider;
}
