import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFederation } from '@antirio/ledger-cometbft/federation';
import { genesis } from '@antirio/ledger-machine';

/** As docker/lab/cometbft.yml names them. */
const MEMBERS = ['1', '2', '3', '4'] as const;

/**
 * Writes what the four nodes of docker/lab/cometbft.yml begin with, into the lab's folder: the ledger of the centre's configuration, kept
 * by a federation.
 */
export function writeLabFederation(folder: string, centralEdgeId: string, now: Date): void {
  const central = JSON.parse(readFileSync(join(folder, 'central', 'antirio.jsonc'), 'utf8')) as {
    readonly ledger: { readonly genesis: object };
  };
  const homeOf = (name: string): string => join(folder, 'cometbft', name);
  rmSync(join(folder, 'cometbft'), { recursive: true, force: true });
  writeFederation({
    nodes: Object.fromEntries(
      MEMBERS.map((name) => [
        name,
        {
          home: homeOf(name),
          dialled: `cometbft-${name}:26656`,
          p2pLaddr: 'tcp://0.0.0.0:26656',
          rpcLaddr: 'tcp://0.0.0.0:26657',
          proxyApp: `tcp://ledger-app-${name}:26658`,
        },
      ]),
    ),
    chainId: 'antirio-lab',
    genesisTime: now.toISOString(),
    ledger: genesis.parse({ ...central.ledger.genesis, arbitrator: centralEdgeId }),
  });
  for (const name of MEMBERS) letContainerRead(homeOf(name));
}

/** The containers' user is another one than ours, and has no capability to read what is not its own. */
function letContainerRead(home: string): void {
  const config = ['genesis.json', 'node_key.json', 'priv_validator_key.json', 'config.toml'];
  for (const name of config) chmodSync(join(home, 'config', name), 0o644);
  chmodSync(join(home, 'data', 'priv_validator_state.json'), 0o644);
  for (const name of ['', 'config', 'data']) chmodSync(join(home, name), 0o755);
}
