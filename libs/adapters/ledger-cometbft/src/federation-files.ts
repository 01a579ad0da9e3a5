import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sha256, toBase64, toHex } from '@antirio/kernel';
import type { Genesis } from '@antirio/ledger-machine';

/** A validator's node: where its files are made, and the addresses of its configuration. */
export interface FederationNode {
  readonly home: string;
  /** `host:port` by which the other nodes dial it. */
  readonly dialled: string;
  /** As in config.toml: `tcp://host:port`. */
  readonly p2pLaddr: string;
  readonly rpcLaddr: string;
  /** Where its application is: `tcp://host:port` or `unix:///path`. */
  readonly proxyApp: string;
}

/** What a federation of validators of equal weight begins with. */
export interface FederationPlan {
  /** By their names. */
  readonly nodes: Readonly<Record<string, FederationNode>>;
  readonly chainId: string;
  /** ISO 8601; no block is older. */
  readonly genesisTime: string;
  readonly ledger: Genesis;
}

interface Key {
  readonly address: string;
  readonly pub: string;
  /** Seed and public key, as CometBFT keeps them. */
  readonly priv: string;
}

function makeKey(): Key {
  const { d = '', x = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const [seed, pub] = [Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')];
  const address = toHex(sha256(pub)).slice(0, 40);
  return { address, pub: toBase64(pub), priv: toBase64(Buffer.concat([seed, pub])) };
}

const pubKey = ({ pub }: Key) => ({ type: 'tendermint/PubKeyEd25519', value: pub });
const privKey = ({ priv }: Key) => ({ type: 'tendermint/PrivKeyEd25519', value: priv });

/** CometBFT's bounds, with room in a block for some of the largest transactions. */
const CONSENSUS = {
  block: { max_bytes: '4194304', max_gas: '-1' },
  evidence: { max_age_num_blocks: '100000', max_age_duration: '172800000000000', max_bytes: '1048576' },
  validator: { pub_key_types: ['ed25519'] },
  version: { app: '1' },
  abci: { vote_extensions_enable_height: '0' },
};

/**
 * What differs from CometBFT's own: empty blocks each second, for time stands still without blocks; a transaction is not checked again
 * after each block, for the application judges it in its own; requests have room for the largest transaction; nothing is indexed, for the
 * application is asked.
 */
function configOf(node: FederationNode, peers: readonly string[]): string {
  const quoted = (text: string): string => JSON.stringify(text);
  return `proxy_app = ${quoted(node.proxyApp)}
log_level = "error"
[rpc]
laddr = ${quoted(node.rpcLaddr)}
max_body_bytes = 2000000
[p2p]
laddr = ${quoted(node.p2pLaddr)}
persistent_peers = ${quoted(peers.join(','))}
addr_book_file = "data/addrbook.json"
addr_book_strict = false
allow_duplicate_ip = true
pex = false
flush_throttle_timeout = "10ms"
[mempool]
recheck = false
[consensus]
timeout_propose = "1s"
timeout_commit = "100ms"
create_empty_blocks = true
create_empty_blocks_interval = "1s"
[tx_index]
indexer = "null"
`;
}

/**
 * Makes the homes of the nodes of a new federation on this machine, for a lab and for tests: keys, and a genesis.json that is the same
 * for all. Organisations that trust each other no further make their keys each for itself, with `cometbft init`.
 */
export function writeFederation({ nodes, chainId, genesisTime, ledger }: FederationPlan): void {
  const made = Object.entries(nodes).map(([name, node]) => ({
    name,
    node,
    validator: makeKey(),
    own: makeKey(),
  }));
  const genesis = {
    genesis_time: genesisTime,
    chain_id: chainId,
    initial_height: '1',
    consensus_params: CONSENSUS,
    validators: made.map(({ name, validator }) => ({
      address: validator.address.toUpperCase(),
      pub_key: pubKey(validator),
      power: '10',
      name,
    })),
    app_hash: '',
    app_state: ledger,
  };
  for (const { node, validator, own } of made) {
    const others = made.filter((other) => other.node !== node);
    const peers = others.map((other) => `${other.own.address}@${other.node.dialled}`);
    writeHome(node.home, {
      'config/genesis.json': JSON.stringify(genesis, null, 2),
      'config/node_key.json': JSON.stringify({ priv_key: privKey(own) }),
      'config/priv_validator_key.json': JSON.stringify({
        address: validator.address.toUpperCase(),
        pub_key: pubKey(validator),
        priv_key: privKey(validator),
      }),
      'config/config.toml': configOf(node, peers),
      'data/priv_validator_state.json': JSON.stringify({ height: '0', round: 0, step: 0 }),
    });
  }
}

function writeHome(home: string, files: Readonly<Record<string, string>>): void {
  for (const folder of ['config', 'data']) mkdirSync(join(home, folder), { recursive: true });
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(home, name), content, { mode: 0o600 });
}
