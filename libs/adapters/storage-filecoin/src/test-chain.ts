import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AntirioError } from '@antirio/kernel';
import { calibration } from '@filoz/synapse-core/chains';
import { EIP712Types, getStorageDomain } from '@filoz/synapse-core/typed-data';
import { encodePDPCapabilities } from '@filoz/synapse-core/utils';
import {
  decodeAbiParameters,
  decodeFunctionData,
  encodeFunctionResult,
  isAddressEqual,
  keccak256,
  recoverTypedDataAddress,
  toFunctionSelector,
  toHex,
  type Abi,
  type AbiFunction,
  type Address,
  type Hex,
} from 'viem';
import type { TransactionState } from './provider.ts';

export interface TestDataSet {
  readonly id: bigint;
  readonly payer: Address;
  readonly providerId: bigint;
  readonly clientDataSetId: bigint;
  readonly keys: readonly string[];
  readonly values: readonly string[];
  readonly pieces: { readonly id: bigint; readonly cid: Hex; isRemoved: boolean }[];
  isEnded: boolean;
  /** Pieces below it are what the current period's proof is about. */
  challengeRange: bigint;
  lastProven: bigint;
  isProvenNow: boolean;
}

export interface TestRegistered {
  readonly id: bigint;
  readonly address: Address;
  readonly url: string;
}

const GENESIS = 1_667_326_380;
const TIB = 1n << 40n;
const contracts = calibration.contracts;
const domain = getStorageDomain({ chain: calibration });

const revert = (why: string): AntirioError => new AntirioError('failed', why);
const addressOf = (id: bigint): Address => toHex(id + 0x1000n, { size: 20 });

/**
 * The contracts that the adapter deals with, as a model in memory that is asked by Ethereum RPC over HTTP and answers in their ABI:
 * every signature is recovered, every nonce is taken once. No chain is behind it.
 */
export class TestChain {
  readonly providers: TestRegistered[] = [];
  readonly dataSets: TestDataSet[] = [];
  readonly #nonces = new Map<string, bigint>();
  readonly #transactions = new Map<Hex, { state: TransactionState; run: () => Promise<void> }>();
  readonly #server: Server;
  epoch = 1_000_000n;
  /** Whether what is sent is on the chain at once. */
  isMining = true;
  /** Whether calls fail. */
  isDown = false;
  isAllowed = true;
  /** Whether the next transaction fails, whatever is in it. */
  failNext = false;
  calls = 0;
  price = { perTiBMonth: 2_500_000_000_000_000_000n, minimum: 60_000_000_000_000_000n };
  url = '';

  constructor() {
    this.#server = createServer((incoming, answer) => {
      this.#serve(incoming).then(
        (body) => answer.writeHead(200, { 'content-type': 'application/json' }).end(body),
        () => answer.writeHead(502).end(),
      );
    });
  }

  static async open(): Promise<TestChain> {
    const chain = new TestChain();
    chain.#server.listen(0, '127.0.0.1');
    await new Promise((resolve) => chain.#server.once('listening', resolve));
    chain.url = `http://127.0.0.1:${(chain.#server.address() as AddressInfo).port}/secret-token`;
    return chain;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  register(url: string): TestRegistered {
    const id = BigInt(this.providers.length + 1);
    const registered = { id, address: addressOf(id), url };
    this.providers.push(registered);
    return registered;
  }

  async #send(run: () => Promise<void>): Promise<Hex> {
    const hash = keccak256(toHex(`transaction ${this.#transactions.size}`));
    this.#transactions.set(hash, { state: 'pending', run });
    if (this.isMining) await this.mine();
    return hash;
  }

  /** Takes up what was sent. */
  async mine(): Promise<void> {
    for (const transaction of this.#transactions.values()) {
      if (transaction.state !== 'pending') continue;
      try {
        if (this.failNext) throw revert('out of gas');
        await transaction.run();
        transaction.state = 'confirmed';
      } catch {
        transaction.state = 'rejected';
        this.failNext = false;
      }
    }
  }

  stateOf(hash: Hex): TransactionState {
    return this.#transactions.get(hash)?.state ?? 'unknown';
  }

  dataSet(id: bigint): TestDataSet | undefined {
    return this.dataSets.find((set) => set.id === id);
  }

  sendCreate(provider: TestRegistered, extraData: Hex): Promise<Hex> {
    return this.#send(async () => {
      const [payer, clientDataSetId, keys, values, signature] = decodeAbiParameters(
        [
          { type: 'address' },
          { type: 'uint256' },
          { type: 'string[]' },
          { type: 'string[]' },
          { type: 'bytes' },
        ],
        extraData,
      );
      const metadata = keys.map((key, i) => ({ key, value: values[i] ?? '' }));
      await requireSigned(payer, signature, 'CreateDataSet', {
        clientDataSetId,
        payee: provider.address,
        metadata,
      });
      const id = BigInt(this.dataSets.length + 11);
      this.#spend(payer, clientDataSetId, id);
      this.dataSets.push({
        id,
        payer,
        providerId: provider.id,
        clientDataSetId,
        keys,
        values,
        pieces: [],
        isEnded: false,
        challengeRange: 0n,
        lastProven: 0n,
        isProvenNow: false,
      });
    });
  }

  sendAdd(dataSetId: bigint, cids: readonly Hex[], extraData: Hex): Promise<Hex> {
    return this.#send(async () => {
      const set = this.#live(dataSetId);
      const [nonce, keys, values, signature] = decodeAbiParameters(
        [{ type: 'uint256' }, { type: 'string[][]' }, { type: 'string[][]' }, { type: 'bytes' }],
        extraData,
      );
      await requireSigned(set.payer, signature, 'AddPieces', {
        clientDataSetId: set.clientDataSetId,
        nonce,
        pieceData: cids.map((data) => ({ data })),
        pieceMetadata: keys.map((of, i) => ({
          pieceIndex: BigInt(i),
          metadata: of.map((key, j) => ({ key, value: values[i]?.[j] ?? '' })),
        })),
      });
      const first = BigInt(set.pieces.length);
      this.#spend(set.payer, nonce, ((first + BigInt(cids.length)) << 128n) | dataSetId);
      cids.forEach((cid, i) => set.pieces.push({ id: first + BigInt(i), cid, isRemoved: false }));
    });
  }

  sendRemove(dataSetId: bigint, pieceId: bigint, extraData: Hex): Promise<Hex> {
    return this.#send(async () => {
      const set = this.#live(dataSetId);
      const [signature] = decodeAbiParameters([{ type: 'bytes' }], extraData);
      const { clientDataSetId } = set;
      await requireSigned(set.payer, signature, 'SchedulePieceRemovals', {
        clientDataSetId,
        pieceIds: [pieceId],
      });
      const piece = set.pieces.find(({ id }) => id === pieceId);
      if (piece === undefined || piece.isRemoved) throw revert('no such piece');
      piece.isRemoved = true;
    });
  }

  /** A proving period begins: from now on the pieces that are there are challenged. */
  nextPeriod(dataSetId: bigint): void {
    const set = this.#live(dataSetId);
    set.challengeRange = BigInt(set.pieces.length);
    set.isProvenNow = false;
  }

  prove(dataSetId: bigint): void {
    const set = this.#live(dataSetId);
    set.lastProven = this.epoch;
    set.isProvenNow = true;
  }

  #live(id: bigint): TestDataSet {
    const set = this.dataSet(id);
    if (set === undefined || set.isEnded) throw revert('Data set not live');
    return set;
  }

  #spend(payer: Address, nonce: bigint, value: bigint): void {
    const key = `${payer}:${nonce}`;
    if (this.#nonces.has(key)) throw revert('ClientDataSetAlreadyRegistered');
    this.#nonces.set(key, value);
  }

  async #serve(incoming: IncomingMessage): Promise<string> {
    this.calls += 1;
    const parts: Buffer[] = [];
    for await (const part of incoming) parts.push(part as Buffer);
    const asked = JSON.parse(Buffer.concat(parts).toString()) as RpcCall | RpcCall[];
    if (this.isDown) throw revert('down');
    return JSON.stringify(
      Array.isArray(asked) ? asked.map((call) => this.#answer(call)) : this.#answer(asked),
    );
  }

  #answer({ id, method, params }: RpcCall): unknown {
    try {
      return { jsonrpc: '2.0', id, result: this.#result(method, params) };
    } catch (error) {
      return { jsonrpc: '2.0', id, error: { code: 3, message: `execution reverted: ${String(error)}` } };
    }
  }

  #result(method: string, params: readonly unknown[]): unknown {
    if (method === 'eth_chainId') return toHex(calibration.id);
    if (method === 'eth_blockNumber') return toHex(this.epoch);
    if (method === 'eth_getBlockByNumber')
      return {
        number: toHex(this.epoch),
        timestamp: toHex(GENESIS + Number(this.epoch) * 30),
        transactions: [],
      };
    if (method !== 'eth_call') throw revert(`no method ${method}`);
    const { to, data } = params[0] as { to: Address; data: Hex };
    return this.#call(to, data);
  }

  #call(to: Address, data: Hex): Hex {
    const contract = [
      contracts.pdp,
      contracts.fwss,
      contracts.fwssView,
      contracts.filecoinPay,
      contracts.serviceProviderRegistry,
    ].find(({ address }) => isAddressEqual(address, to));
    const abi = (contract?.abi ?? []) as Abi;
    const item = abi.find(
      (each): each is AbiFunction =>
        each.type === 'function' && toFunctionSelector(each) === data.slice(0, 10),
    );
    if (item === undefined) throw revert(`no function ${data.slice(0, 10)} at ${to}`);
    const { args } = decodeFunctionData({ abi: [item] as Abi, data });
    const result = this.#views[item.name]?.(...((args ?? []) as never[]));
    if (result === undefined) throw revert(`${item.name} is not modelled`);
    return encodeFunctionResult({ abi: [item] as Abi, functionName: item.name, result });
  }

  #info(set: TestDataSet | undefined): object {
    const zero = addressOf(0n);
    const none = { pdpRailId: 0n, cacheMissRailId: 0n, cdnRailId: 0n, payer: zero, payee: zero };
    const rest = { commissionBps: 0n, clientDataSetId: 0n, pdpEndEpoch: 0n, providerId: 0n, dataSetId: 0n };
    if (set === undefined) return { ...none, serviceProvider: zero, ...rest };
    const provider = addressOf(set.providerId);
    return {
      ...none,
      ...rest,
      pdpRailId: set.id + 500n,
      payer: set.payer,
      payee: provider,
      serviceProvider: provider,
      clientDataSetId: set.clientDataSetId,
      pdpEndEpoch: set.isEnded ? this.epoch : 0n,
      providerId: set.providerId,
      dataSetId: set.id,
    };
  }

  #registered(id: bigint): object {
    const found = this.providers.find((each) => each.id === id);
    if (found === undefined) throw revert('Provider not found');
    const [keys, values] = encodePDPCapabilities({
      serviceURL: found.url,
      minPieceSizeInBytes: 127n,
      maxPieceSizeInBytes: 1_065_353_216n,
      storagePricePerTibPerDay: 1n,
      minProvingPeriodInEpochs: 2880n,
      location: '/C=XX',
      paymentTokenAddress: addressOf(0n),
      ipniPiece: false,
      ipniIpfs: false,
    });
    return {
      providerId: id,
      providerInfo: {
        serviceProvider: found.address,
        payee: found.address,
        name: `provider ${id}`,
        description: '',
        isActive: true,
      },
      product: { productType: 0, capabilityKeys: keys, isActive: true },
      productCapabilityValues: values,
    };
  }

  readonly #views: Record<string, (...args: never[]) => unknown> = {
    // PDPVerifier
    dataSetLive: (id: bigint) => this.dataSet(id)?.isEnded === false,
    getDataSetListener: (id: bigint) => {
      this.#live(id);
      return contracts.fwss.address;
    },
    findPieceIdsByCid: (id: bigint, { data }: { data: Hex }) =>
      this.#live(id)
        .pieces.filter((piece) => piece.cid === data)
        .map((piece) => piece.id),
    getScheduledRemovals: (id: bigint) =>
      this.#live(id)
        .pieces.filter(({ isRemoved }) => isRemoved)
        .map((piece) => piece.id),
    getDataSetLastProvenEpoch: (id: bigint) => this.#live(id).lastProven,
    NO_PROVEN_EPOCH: () => 0n,
    getChallengeRange: (id: bigint) => this.#live(id).challengeRange,
    pieceChallengable: (id: bigint, pieceId: bigint) => pieceId < this.#live(id).challengeRange,
    // FilecoinWarmStorageService and its view
    provenThisPeriod: (id: bigint) => this.#live(id).isProvenNow,
    getPDPConfig: () => [2880n, 60n, 5n, 2820n],
    clientNonces: (payer: Address, nonce: bigint) => this.#nonces.get(`${payer}:${nonce}`) ?? 0n,
    getDataSet: (id: bigint) => this.#info(this.dataSet(id)),
    getClientDataSets: (payer: Address, offset: bigint, limit: bigint) =>
      this.dataSets
        .filter((set) => isAddressEqual(set.payer, payer))
        .slice(Number(offset), Number(offset + limit))
        .map((set) => this.#info(set)),
    getAllDataSetMetadata: (id: bigint) => [this.dataSet(id)?.keys ?? [], this.dataSet(id)?.values ?? []],
    getApprovedProviders: () => this.providers.map(({ id }) => id),
    getServicePrice: () => ({
      pricePerTiBPerMonthNoCDN: this.price.perTiBMonth,
      pricePerTiBCdnEgress: 0n,
      pricePerTiBCacheMissEgress: 0n,
      tokenAddress: contracts.usdfc.address,
      epochsPerMonth: 86_400n,
      minimumPricePerMonth: this.price.minimum,
    }),
    // Registry and payments
    getProviderWithProduct: (id: bigint) => this.#registered(id),
    accounts: () => [10n * TIB, 0n, 0n, this.epoch],
    operatorApprovals: () => [this.isAllowed, TIB, TIB, 0n, 0n, 86_400n],
  };
}

interface RpcCall {
  readonly id: number;
  readonly method: string;
  readonly params: readonly unknown[];
}

async function requireSigned(
  payer: Address,
  signature: Hex,
  primaryType: 'CreateDataSet' | 'AddPieces' | 'SchedulePieceRemovals',
  message: object,
): Promise<void> {
  const signer = await recoverTypedDataAddress({
    domain,
    types: EIP712Types,
    primaryType,
    message: message as never,
    signature,
  });
  if (!isAddressEqual(signer, payer)) throw revert('InvalidSignature');
}
