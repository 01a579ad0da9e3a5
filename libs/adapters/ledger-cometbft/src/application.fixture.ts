// What the tests of this library share: three edges, a ledger that begins with their money, and CometBFT's part of the conversation.
import { Request } from 'cosmjs-types/tendermint/abci/types';
import { silentLog, systemRandom } from '@antirio/host';
import { generateIdentity, openIdentity, signDocument, utf8, type Identity } from '@antirio/kernel';
import { TX_KIND, genesis, signTx, type SignedTx } from '@antirio/ledger-machine';
import { TERMS_KIND, contractTerms, type ContractTerms } from '@antirio/service-contract';
import { LedgerApplication } from './application.ts';
import { Snapshots } from './snapshots.ts';
import { StateStore } from './state-store.ts';
import { encodeTx } from './transactions.ts';

export const central = openIdentity(generateIdentity());
export const ada = openIdentity(generateIdentity());
export const ben = openIdentity(generateIdentity());

export const testGenesis = genesis.parse({
  arbitrator: central.edgeId,
  balances: { [ada.edgeId]: 1000, [ben.edgeId]: 1000 },
});

export const START_MS = 1_800_000_000_000;

export function registration(edge: Identity): SignedTx {
  const addresses = { url: 'http://127.0.0.1:1', udp: { host: '127.0.0.1', port: 1 } };
  const { sealKey } = edge;
  return signTx(edge, systemRandom, 1000, { type: 'identity/register', name: 'edge', sealKey, addresses });
}

export const transfer = (amount: number, expiryHeight = 1000): SignedTx =>
  signTx(ada, systemRandom, expiryHeight, { type: 'account/transfer', to: ben.edgeId, amount });

export const terms = contractTerms.parse({
  version: 1,
  contractId: '00000000-0000-4000-8000-000000000001',
  ...{ customer: ada.edgeId, provider: ben.edgeId, central: central.edgeId },
  set: { setId: 'set', service: 'device-lora', devices: [] },
  image: { imageName: 'device-lora:1', imageCid: 'bafy-image', configCid: 'bafy-config' },
  ...{ confidentiality: 'process', opening: 'witnessed', standby: 'hot' },
  stakes: { customer: 100, provider: 100 },
  slots: { customer: 0, provider: 1 },
  expiresAt: START_MS + 86_400_000,
});

/** As these terms stand: with no default put in. */
export function validation(signed: Partial<ContractTerms>): SignedTx {
  const [customer, provider] = [ada, ben].map((by) => signDocument(by, TERMS_KIND, signed).signature);
  const payload = { type: 'contract/validate', terms: signed, signatures: { customer, provider } };
  const body = { nonce: '0'.repeat(32), expiryHeight: 1000, payload };
  return signDocument(central, TX_KIND, body) as SignedTx;
}

const timeOf = (millis: number) => ({
  seconds: BigInt(Math.floor(millis / 1000)),
  nanos: (millis % 1000) * 1_000_000,
});

/** An application in a folder, which may be opened again and again. */
export interface Driven {
  readonly application: LedgerApplication;
  readonly store: StateStore;
  readonly snapshots: Snapshots;
  close(): Promise<void>;
}

export function open(folder: string, { eventsKept = 1000, every = 0 } = {}): Driven {
  const store = new StateStore(`${folder}/ledger.db`, eventsKept);
  const snapshots = new Snapshots({ folder: `${folder}/snapshots`, every, log: silentLog });
  const application = new LedgerApplication({ store, snapshots, log: silentLog });
  const close = async (): Promise<void> => {
    await snapshots.close();
    store.close();
  };
  return { application, store, snapshots, close };
}

/** Some of the fields of a request; the others are empty. */
export type PartialRequest = { readonly [K in keyof Request]: Partial<NonNullable<Request[K]>> };

export const encodeRequest = (partial: PartialRequest): Uint8Array =>
  Request.encode(Request.fromPartial(partial)).finish();

/** A request as it is after its way over a socket. */
export const request = (partial: PartialRequest): Request => Request.decode(encodeRequest(partial));

export function begin({ application }: Driven): Uint8Array | undefined {
  const appStateBytes = utf8(JSON.stringify(testGenesis));
  const initChain = { time: timeOf(START_MS), chainId: 'test', appStateBytes, initialHeight: 1n };
  return application.handle(request({ initChain })).initChain?.appHash;
}

export const timeAt = (height: number): number => START_MS + height * 1000;

export const finalizeRequest = (height: number, txs: readonly Uint8Array[]): Request =>
  request({ finalizeBlock: { height: BigInt(height), time: timeOf(timeAt(height)), txs: [...txs] } });

/** One block, committed. */
export function block(driven: Driven, height: number, ...txs: readonly (SignedTx | Uint8Array)[]) {
  const bytes = txs.map((tx) => (tx instanceof Uint8Array ? tx : encodeTx(tx)));
  const { finalizeBlock } = driven.application.handle(finalizeRequest(height, bytes));
  driven.application.handle(request({ commit: {} }));
  return finalizeBlock;
}
