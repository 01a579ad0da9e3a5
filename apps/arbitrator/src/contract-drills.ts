import { z } from 'zod';
import type { HttpRim, Log } from '@antirio/host';
import { AntirioError, signDocument, type Identity } from '@antirio/kernel';
import { DRILL_RECEIPT_KIND, type Standing } from '@antirio/service-contract';
import type { ContractStore, StoredContract } from './contract-store.ts';
import { drillCustomer } from './drill-customer.ts';
import { driveDrills, type DrillDriver, type DrillsView } from './drill-driver.ts';
import { DRILL_VERSIONS_KEPT, drillKeysFor, drillTermsOf } from './drill-keys.ts';
import { DRILL_PACKAGES, drillPackageName, drillProvider } from './drill-provider.ts';
import { drillRooms } from './drill-rooms.ts';
import { checkVersion } from './kept-versions.ts';
import type { LedgerClient } from './ledger-client.ts';
import type { ArbitratorPorts } from './options.ts';
import type { PartyRooms } from './party-rooms.ts';
import { createPerContract } from './per-contract.ts';
import { sealKeysFor } from './seal-keys.ts';
import { checkPackage, keyPackage, type KeyPackage } from './sealed-keys.ts';

/** The drills of all contracts of this edge that demand any. */
export interface ContractDrills {
  drive(contract: Standing): void;
  /** A drill as soon as may be. @throws AntirioError conflict, forbidden */
  tell(contractId: string): void;
  /** The customer says that there is one. */
  heard(contractId: string): void;
  /** @throws AntirioError conflict */
  keep(given: KeyPackage, contractId: string): void;
  /** Whether we have the customer's drill keys of this version. */
  held(contractId: string, keyVersion: number): boolean;
  view(contractId: string): DrillsView | undefined;
  /** The contract is over. */
  leave(contractId: string): Promise<void>;
  stop(): Promise<void>;
}

export interface ContractDrillsPorts {
  readonly ports: ArbitratorPorts;
  readonly store: ContractStore;
  readonly ledger: LedgerClient;
  readonly rooms: PartyRooms;
  /** The customer's own service, as its file describes it. */
  readonly service: () => Readonly<Record<string, unknown>>;
  readonly ownKeyVersion: () => { readonly keyVersion?: number };
}

interface Running extends DrillDriver {
  readonly tell?: () => void;
}

export function createContractDrills(given: ContractDrillsPorts): ContractDrills {
  const { ports, store, ledger, rooms } = given;
  const { identity, random, peers, clock } = ports;
  const running = createPerContract<Running>();

  const customerSide = ({ terms }: Standing, log: Log) => {
    const keyPorts = {
      ...{ store, identity, random, service: given.service },
      sealKeysOf: (edges: Parameters<typeof sealKeysFor>[1]) => sealKeysFor(ledger, edges),
    };
    const keys = () => drillKeysFor(keyPorts, terms, given.ownKeyVersion().keyVersion ?? 1);
    return drillCustomer({ terms, peers, ledger, store, random, clock, log, keys });
  };
  const providerSide = ({ terms }: Standing, log: Log) =>
    drillProvider({
      ...{ terms, identity, clock, log, peers, ledger, store, rooms },
      drills: drillRooms(peers, terms),
    });

  const start = (contract: Standing): Running => {
    const { terms, role } = contract;
    const log = ports.log.child({ contract: terms.contractId, role });
    const phase = (): string => contract.phase().at;
    const common = { terms, role, clock, random, log, store, ledger, phase };
    if (role === 'provider') return driveDrills({ ...common, side: providerSide(contract, log) });
    const side = customerSide(contract, log);
    return { ...driveDrills({ ...common, side }), tell: () => side.tell() };
  };
  return {
    drive(contract) {
      const { contractId, drills } = contract.terms;
      if (drills.perMonth > 0) running.begin(contractId, () => start(contract));
    },
    tell(contractId) {
      const one = running.all.get(contractId);
      if (one === undefined) throw new AntirioError('forbidden', 'the terms of this contract know no drills');
      if (one.tell === undefined) throw new AntirioError('conflict', 'the customer asks for drills');
      one.tell();
      one.poke();
    },
    heard: (contractId) => running.all.get(contractId)?.poke(),
    keep(kept, contractId) {
      const { keyVersion } = kept;
      checkVersion(store, { contractId, kind: DRILL_PACKAGES, forgets: true }, keyVersion);
      store.putDocument(contractId, drillPackageName(keyVersion), kept);
      store.forgetVersions(contractId, DRILL_PACKAGES, keyVersion - DRILL_VERSIONS_KEPT);
    },
    held: (contractId, keyVersion) => store.document(contractId, drillPackageName(keyVersion)) !== undefined,
    view: (contractId) => running.all.get(contractId)?.view(),
    leave: (contractId) => running.leave(contractId, (one) => one.finish()),
    stop: () => running.stop(),
  };
}

const idParam = z.object({ id: z.uuid() });
const drillNotice = z.strictObject({ drill: z.int().min(1), keyVersion: z.int().min(1) });

/** What a customer says to its provider of drills. */
export function addDrillRoutes(
  rim: HttpRim,
  ports: {
    readonly identity: Identity;
    readonly drills: ContractDrills;
    /** @throws AntirioError forbidden where the asker is not the contract's customer, or we not its provider */
    readonly fromCustomer: (
      contractId: string,
      request: { get(name: string): string | undefined },
    ) => StoredContract;
    /** Nothing could be drilled of that contract yet: its service does not stand by. Its customer is to come again. */
    readonly isPreparing: (contractId: string) => boolean;
  },
): void {
  const { identity, drills, fromCustomer, isPreparing } = ports;
  const base = '/arbitrator/v1/contract/:id';
  const keys = { summary: 'sealed drill keys', params: idParam, body: keyPackage };
  rim.route('post', `${base}/drill-keys`, keys, ({ params, body, request }) => {
    const { terms } = fromCustomer(params.id, request);
    // our time in a drill does not begin while the image is still on its way: no drill is begun without our receipt
    if (isPreparing(params.id))
      throw new AntirioError('busy', 'the contract’s service does not stand by yet');
    checkPackage(identity, drillTermsOf(terms), body);
    drills.keep(body, params.id);
    const { keyVersion } = body;
    const receipt = { contractId: params.id, keyVersion };
    return { keyVersion, receipt: signDocument(identity, DRILL_RECEIPT_KIND, receipt) };
  });
  const notice = {
    summary: 'there is a drill on the ledger',
    params: idParam,
    body: drillNotice,
    status: 202,
  };
  rim.route('post', `${base}/drill`, notice, ({ params, body, request }) => {
    fromCustomer(params.id, request);
    drills.heard(params.id);
    return { drill: body.drill, held: drills.held(params.id, body.keyVersion) };
  });
}
