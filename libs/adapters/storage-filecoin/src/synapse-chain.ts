import { readFile } from 'node:fs/promises';
import type { Chain } from '@filoz/synapse-core/chains';
import { AntirioError } from '@antirio/kernel';
import type { Account, Client, Transport } from 'viem';
import type {
  ChainDataSet,
  ChainHead,
  ChainProof,
  ChainProvider,
  FilecoinChain,
  Hex,
  ServiceFunds,
  ServicePrice,
  SpentNonce,
} from './chain.ts';
import type { Synapse } from './synapse.ts';

export type FilecoinChainName = 'mainnet' | 'calibration';

export interface SynapseChainOptions {
  readonly chain: FilecoinChainName;
  /** An Ethereum RPC endpoint of that chain. */
  readonly rpcUrl: string;
  /** A file with the payer's private key: 64 hexadecimal digits, with or without `0x`. */
  readonly keyFile: string;
  /** For one call (default 30000). */
  readonly timeoutMs?: number;
  /** Tries of one call beyond the first (default 3). */
  readonly retries?: number;
}

const KEY = /^(?:0x)?([0-9a-f]{64})$/i;
/** How many of a data set's pieces with one CID are looked at. */
const MAX_PIECE_IDS = 64n;

/** The chain by the network's own client over Ethereum RPC. @throws AntirioError badConfig */
export async function openSynapseChain(
  synapse: Synapse,
  options: SynapseChainOptions,
): Promise<FilecoinChain> {
  const { rpcUrl, timeoutMs = 30_000, retries = 3 } = options;
  if (!URL.canParse(rpcUrl)) throw new AntirioError('badConfig', 'the address of the Ethereum RPC is no URL');
  const account = synapse.privateKeyToAccount(await readKey(options.keyFile));
  const client = synapse.viem.createClient({
    chain: synapse.chains[options.chain],
    account,
    transport: synapse.viem.http(rpcUrl, { timeout: timeoutMs, retryCount: retries, retryDelay: 300 }),
  });
  return new SynapseChain(synapse, client);
}

/** The key's digits stay out of every message. */
async function readKey(path: string): Promise<Hex> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new AntirioError('badConfig', `cannot read the payer's key in ${path}`, { path }, cause);
  }
  const [, digits] = KEY.exec(text.trim()) ?? [];
  if (digits === undefined)
    throw new AntirioError('badConfig', `${path} holds no private key of 64 hexadecimal digits`, { path });
  return `0x${digits}`;
}

type ChainClient = Client<Transport, Chain, Account>;

class SynapseChain implements FilecoinChain {
  readonly account: Hex;
  readonly recordKeeper: Hex;
  readonly #synapse: Synapse;
  readonly #client: ChainClient;

  constructor(synapse: Synapse, client: ChainClient) {
    this.#synapse = synapse;
    this.#client = client;
    this.account = client.account.address;
    this.recordKeeper = client.chain.contracts.fwss.address;
  }

  async head(): Promise<ChainHead> {
    const { number } = await this.#ask('its head', () =>
      this.#synapse.actions.getBlock(this.#client, { blockTag: 'latest' }),
    );
    return { epoch: number, at: this.epochAt(number) };
  }

  epochAt(epoch: bigint): number {
    return (this.#client.chain.genesisTimestamp + Number(epoch) * 30) * 1000;
  }

  async provider(id: bigint): Promise<ChainProvider | undefined> {
    const registry = new this.#synapse.SPRegistryService({ client: this.#client });
    const found = await this.#ask(`provider ${id}`, () => registry.getProvider({ providerId: id }));
    if (found === null) return undefined;
    const { name, payee, isActive, pdp } = found;
    return {
      id,
      name,
      payee,
      isActive,
      url: requireServiceUrl(pdp.serviceURL, id),
      minPieceBytes: pdp.minPieceSizeInBytes,
      maxPieceBytes: pdp.maxPieceSizeInBytes,
    };
  }

  approvedProviders(): Promise<readonly bigint[]> {
    return this.#ask('the approved providers', () => this.#service.getApprovedProviderIds());
  }

  get #service(): InstanceType<Synapse['WarmStorageService']> {
    return new this.#synapse.WarmStorageService({ client: this.#client });
  }

  async dataSetsAt(providerId: bigint): Promise<readonly ChainDataSet[]> {
    const all = await this.#ask('our data sets', () =>
      this.#service.getClientDataSets({ address: this.account }),
    );
    const there = all.filter((set) => set.providerId === providerId && set.pdpEndEpoch === 0n);
    const found = await Promise.all(there.map((set) => this.dataSet(set.dataSetId)));
    return found.filter((set) => set !== undefined);
  }

  async dataSet(id: bigint): Promise<ChainDataSet | undefined> {
    const { warmStorage, verifier } = this.#synapse;
    const ask = { dataSetId: id };
    return this.#ask(`data set ${id}`, async () => {
      const info = await warmStorage.getDataSet(this.#client, ask);
      if (info === null) return undefined;
      const { providerId, payer, clientDataSetId, pdpEndEpoch } = info;
      const known = { id, providerId, payer, clientDataSetId };
      // Of one that has ended the contract tells no more, and reverts.
      const isKept = pdpEndEpoch === 0n && (await verifier.dataSetLive(this.#client, ask));
      if (!isKept) return { ...known, isLive: false, source: undefined };
      const [listener, metadata] = await Promise.all([
        verifier.getDataSetListener(this.#client, ask),
        warmStorage.getAllDataSetMetadata(this.#client, ask),
      ]);
      const isLive = listener !== null && this.#synapse.viem.isAddressEqual(listener, this.recordKeeper);
      return { ...known, isLive, source: metadata['source'] };
    });
  }

  async pieceIds(dataSetId: bigint, pieceCid: string): Promise<readonly bigint[]> {
    const { verifier, piece } = this.#synapse;
    return this.#ask(`the pieces of data set ${dataSetId}`, async () => {
      if (!(await verifier.dataSetLive(this.#client, { dataSetId }))) return [];
      const [ids, removals] = await Promise.all([
        verifier.findPieceIdsByCid(this.#client, {
          dataSetId,
          pieceCid: piece.parse(pieceCid),
          limit: MAX_PIECE_IDS,
        }),
        verifier.getScheduledRemovals(this.#client, { dataSetId }),
      ]);
      return ids.filter((id) => !removals.includes(id));
    });
  }

  async proof(dataSetId: bigint, pieceId: bigint): Promise<ChainProof> {
    const { pdp, fwssView } = this.#client.chain.contracts;
    const { readContract } = this.#synapse.actions;
    const client = this.#client;
    return this.#ask(`the proofs of data set ${dataSetId}`, async () => {
      const [last, none, range, isProvenNow, config] = await Promise.all([
        readContract(client, { ...pdp, functionName: 'getDataSetLastProvenEpoch', args: [dataSetId] }),
        readContract(client, { ...pdp, functionName: 'NO_PROVEN_EPOCH' }),
        readContract(client, { ...pdp, functionName: 'getChallengeRange', args: [dataSetId] }),
        readContract(client, { ...fwssView, functionName: 'provenThisPeriod', args: [dataSetId] }),
        this.#service.getPDPConfig(),
      ]);
      // The contract reverts where no period has begun.
      const isChallenged =
        range > 0n &&
        (await readContract(client, {
          ...pdp,
          functionName: 'pieceChallengable',
          args: [dataSetId, pieceId],
        }));
      return {
        lastEpoch: last === none ? undefined : last,
        isChallenged,
        isProvenNow,
        periodEpochs: config.maxProvingPeriod,
        windowEpochs: config.challengeWindowSize,
      };
    });
  }

  async spentNonce(nonce: bigint): Promise<SpentNonce | undefined> {
    const { fwssView } = this.#client.chain.contracts;
    const spent = await this.#ask('a nonce', () =>
      this.#synapse.actions.readContract(this.#client, {
        ...fwssView,
        functionName: 'clientNonces',
        args: [this.account, nonce],
      }),
    );
    if (spent === 0n) return undefined;
    return { dataSetId: spent & ((1n << 128n) - 1n), nextPieceId: spent >> 128n };
  }

  async price(): Promise<ServicePrice> {
    const price = await this.#ask('the price', () => this.#service.getServicePrice());
    return {
      perTiBMonth: price.pricePerTiBPerMonthNoCDN,
      minimumPerMonth: price.minimumPricePerMonth,
      epochsPerMonth: price.epochsPerMonth,
      currency: 'USDFC',
    };
  }

  async funds(): Promise<ServiceFunds> {
    const payments = new this.#synapse.PaymentsService({ client: this.#client });
    const [account, approval] = await this.#ask("the payer's funds", () =>
      Promise.all([payments.accountInfo(), payments.serviceApproval()]),
    );
    return {
      available: account.availableFunds,
      isApproved: approval.isApproved,
      rateLeft: approval.rateAllowance - approval.rateUsage,
      lockupLeft: approval.lockupAllowance - approval.lockupUsage,
    };
  }

  signCreateDataSet(ask: { clientDataSetId: bigint; payee: Hex; source: string }): Promise<Hex> {
    const { clientDataSetId, payee, source } = ask;
    return this.#synapse.typedData.signCreateDataSet(this.#client, {
      clientDataSetId,
      payee,
      metadata: [{ key: 'source', value: source }],
    });
  }

  signAddPiece(ask: {
    clientDataSetId: bigint;
    nonce: bigint;
    pieceCid: string;
    root: string;
  }): Promise<Hex> {
    const { clientDataSetId, nonce, pieceCid, root } = ask;
    const metadata = [{ key: 'ipfsRootCID', value: root }];
    return this.#synapse.typedData.signAddPieces(this.#client, {
      clientDataSetId,
      nonce,
      pieces: [{ pieceCid: this.#synapse.piece.parse(pieceCid), metadata }],
    });
  }

  signRemovePiece({ clientDataSetId, pieceId }: { clientDataSetId: bigint; pieceId: bigint }): Promise<Hex> {
    return this.#synapse.typedData.signSchedulePieceRemovals(this.#client, {
      clientDataSetId,
      pieceIds: [pieceId],
    });
  }

  /** The addresses of endpoints may hold tokens: what went wrong is told without them. */
  async #ask<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof AntirioError) throw cause;
      const { shortMessage, name } = (cause ?? {}) as { shortMessage?: unknown; name?: unknown };
      const why = typeof shortMessage === 'string' ? shortMessage : String(name);
      throw new AntirioError('unavailable', `the chain does not tell ${what}: ${why.slice(0, 300)}`);
    }
  }
}

/** Addresses are resolved against it, so it ends with a slash. @throws AntirioError unavailable */
function requireServiceUrl(text: string, id: bigint): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol))
    throw new AntirioError('unavailable', `provider ${id} gives no address that can be used`);
  url.search = url.hash = '';
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url.href;
}
