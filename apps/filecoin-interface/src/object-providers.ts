import { gatewayProvider, urlProvider, type BlockProvider } from '@antirio/content-store';
import type { HttpPeer } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { isOfNetwork } from './network.ts';

export interface OpenedProviders {
  readonly providers: BlockProvider[];
  readonly close: () => void;
}

export interface ProviderPorts {
  /** Which is not asked: it is this edge. */
  readonly edgeId: string;
  /** The way to other edges. */
  readonly edge2edge: HttpPeer | undefined;
}

/** Those of the names that are edges or gateways; providers of storage networks are asked by their networks. @throws AntirioError unavailable */
export function openProviders(
  names: readonly string[],
  { edgeId, edge2edge }: ProviderPorts,
): OpenedProviders {
  const own = `/p2p/${edgeId}`;
  const opened: { close(): void }[] = [];
  const providers = names
    .filter((name) => name !== own && !isOfNetwork(name))
    .map((name) => {
      const edge = /^\/p2p\/(.+)$/.exec(name)?.[1];
      if (edge !== undefined) return edgeProvider(name, edge, edge2edge);
      const provider = urlProvider(name, name);
      opened.push(provider);
      return provider;
    });
  return {
    providers,
    close() {
      for (const each of opened) each.close();
    },
  };
}

function edgeProvider(name: string, edge: string, edge2edge: HttpPeer | undefined): BlockProvider {
  if (edge2edge === undefined)
    throw new AntirioError(
      'unavailable',
      `no peer edge2edge is configured, through which ${name} is reached`,
    );
  return gatewayProvider(name, edge2edge, `/edge2edge/peer/${edge}/filecoin-interface`);
}
