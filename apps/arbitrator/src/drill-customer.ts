import { z } from 'zod';
import { AntirioError, type Clock, type EdgeId, type Random } from '@antirio/kernel';
import {
  customerDrillTurn,
  deliverNext,
  drillAnswerHash,
  edgeId,
  nothingDelivered,
  signedDrillReceipt,
  wasDelivered,
  type ContractTerms,
  type DrillLedger,
  type KeyDelivery,
  type SignedDrillReceipt,
} from '@antirio/service-contract';
import { parseInput, type HttpPeer, type Log } from '@antirio/host';
import type { ContractStore } from './contract-store.ts';
import { makeDrillFrames, type DrillKeys } from './drill-keys.ts';
import type { DrillSide } from './drill-driver.ts';
import type { LedgerClient } from './ledger-client.ts';
import { createNotYet } from './not-yet.ts';
import { neighbourCall } from './peers.ts';

export interface DrillCustomerPorts {
  readonly terms: ContractTerms;
  readonly peers: Readonly<Record<string, HttpPeer>>;
  readonly ledger: Pick<LedgerClient, 'submit'>;
  readonly store: Pick<ContractStore, 'document' | 'putDocument'>;
  readonly random: Random;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Log;
  /** With the version of the keys in our files. */
  readonly keys: () => Promise<DrillKeys>;
}

const DELIVERED = 'drillDelivered';
/** The provider's, for the newest keys that it was given. */
const RECEIPT = 'drillReceipt';
const edges = z.array(edgeId);
const received = z.object({ receipt: signedDrillReceipt });
const informed = z.object({ held: z.boolean() });
const kept = z.object({ keyVersion: z.int().optional(), sharesWith: edges, withProvider: z.boolean() });

/** The customer's half: it delivers the drill keys, starts drills when they are due, and ends those that came to nothing. */
export function drillCustomer(ports: DrillCustomerPorts): DrillSide & { tell(): void } {
  const { terms, peers, ledger, store, random } = ports;
  const { contractId, provider, central } = terms;
  const notYet = createNotYet('a package of drill keys', ports.log, ports.clock);
  let told = false;

  const deliveryOf = (keyVersion: number): KeyDelivery => {
    const known = kept.safeParse(store.document(contractId, DELIVERED));
    const same = known.success && known.data.keyVersion === keyVersion;
    return same ? known.data : { ...nothingDelivered, keyVersion };
  };
  const receiptOf = (keyVersion: number): SignedDrillReceipt | undefined => {
    const known = signedDrillReceipt.safeParse(store.document(contractId, RECEIPT));
    return known.success && known.data.body.keyVersion === keyVersion ? known.data : undefined;
  };
  const keepReceipt = (answer: unknown, keyVersion: number): void => {
    const known = received.safeParse(answer);
    if (!known.success || known.data.receipt.body.keyVersion !== keyVersion) return;
    store.putDocument(contractId, RECEIPT, known.data.receipt);
  };
  const send = async ({ divided }: DrillKeys, to: EdgeId, holder: EdgeId | undefined): Promise<void> => {
    const share = divided.forHolders.find((one) => one.holder === holder)?.delivery;
    const [path, json] =
      holder === undefined
        ? [`contract/${contractId}/drill-keys`, divided.forProvider]
        : [`escrow/${contractId}/drill-share`, share];
    const peer = to === central ? 'central' : to;
    const call = { method: 'POST' as const, path: `/arbitrator/v1/${path}`, json };
    const answer = await neighbourCall(peers, peer, 'arbitrator', call);
    if (holder === undefined) keepReceipt(answer, divided.keyVersion);
  };
  /** A share with every holder first, then the package, as with the real keys. @throws AntirioError busy before its time */
  const deliver = async (keys: DrillKeys): Promise<void> => {
    const { keyVersion } = keys.divided;
    for (const { to, call } of deliverNext(terms, deliveryOf(keyVersion), true)) {
      const holder = 'holder' in call.args ? call.args.holder : undefined;
      await send(keys, to, holder);
      store.putDocument(contractId, DELIVERED, wasDelivered(deliveryOf(keyVersion), holder, { keyVersion }));
    }
  };
  const start = async (keys: DrillKeys, drill: number): Promise<void> => {
    const { session, divided } = keys;
    const { frames, answer } = makeDrillFrames(session, terms, drill, random);
    const { keyVersion } = divided;
    const hash = drillAnswerHash(answer);
    // It was delivered before there were receipts.
    if (receiptOf(keyVersion) === undefined) await send(keys, provider, undefined).catch(() => undefined);
    const receipt = receiptOf(keyVersion);
    const shown = receipt === undefined ? {} : { receipt };
    const drillStart = { type: 'drill/start', contractId, drill, keyVersion, frames, answer: hash } as const;
    await ledger.submit({ ...drillStart, ...shown });
    told = false;
  };
  /** Its disk may be older than our delivery: the package is sent again where it has none. */
  const inform = async (keys: DrillKeys, drill: number): Promise<void> => {
    const { keyVersion } = keys.divided;
    const path = `/arbitrator/v1/contract/${contractId}/drill`;
    const call = { method: 'POST' as const, path, json: { drill, keyVersion } };
    const { held } = parseInput(informed, await neighbourCall(peers, provider, 'arbitrator', call));
    if (!held) await notYet.done(() => send(keys, provider, undefined));
  };

  return {
    tell() {
      told = true;
    },
    async advance(phase: string, known: DrillLedger) {
      const keys = await ports.keys();
      const { withProvider } = deliveryOf(keys.divided.keyVersion);
      const view = { terms, phase, ledger: known, delivered: withProvider, secret: keys.secret, told };
      const next = customerDrillTurn(view);
      switch (next.turn) {
        case 'wait':
          return false;
        case 'deliver':
          return notYet.done(() => deliver(keys));
        case 'start':
          await start(keys, next.drill);
          await inform(keys, next.drill);
          return true;
        case 'tell':
          await inform(keys, next.drill);
          return false;
        case 'end': {
          const { drill, givenUp } = next;
          await ledger.submit({ type: 'drill/end', contractId, drill, givenUp });
          return true;
        }
        default:
          throw new AntirioError('internal', 'a turn that is none');
      }
    },
    finish: () => Promise.resolve(true),
  };
}
