import { z } from 'zod';
import type { HttpPeer, HttpRim } from '@antirio/host';
import { AntirioError, type Clock, type Identity } from '@antirio/kernel';
import {
  contractTerms,
  keepsOnly,
  neverTakesOver,
  signedBackAsk,
  type ContractTerms,
} from '@antirio/service-contract';
import { keepBackAsk } from './asked-back.ts';
import type { ContractStore, StoredContract } from './contract-store.ts';
import { addDrillRoutes } from './contract-drills.ts';
import { addJoinDeskRoute } from './join-desk.ts';
import { joinsHomeOf } from './join-home.ts';
import { addMacHandbackRoute } from './mac-handback.ts';
import { cameHomeWith } from './mac-home.ts';
import { downlinkTotals } from './downlink-shares.ts';
import { addAddressesRoute } from './kept-addresses.ts';
import { addLentRoutes } from './lent-routes.ts';
import { addMacRoute, snapshotsKept } from './mac-snapshots.ts';
import type { Contracts } from './contracts.ts';
import { holdOf } from './operator.ts';
import type { PartyDriver } from './party-driver.ts';
import { endingOf } from './retirement.ts';
import { genuineWord, keepGenuine } from './genuine-sample.ts';
import { checkVersion } from './kept-versions.ts';
import { genuineName } from './keys-truth.ts';
import { checkPackage, keyPackage, plainKeys, secretsFor } from './sealed-keys.ts';
import type { UnservedJoins } from './unserved-joins.ts';
import { signRequest } from './signing.ts';

const proposal = z.strictObject({ terms: contractTerms, match: z.unknown().optional() });
const idParam = z.object({ id: z.uuid() });
const returnRequest = z.strictObject({ epoch: z.int().min(0), ask: signedBackAsk.optional() });

interface Asked {
  get(name: string): string | undefined;
}

const peerOf = (request: Asked): string => request.get('x-antirio-peer') ?? '';

/** Only the customer of a contract in which we are the provider. */
function fromCustomer(contract: StoredContract, request: Asked): StoredContract {
  if (contract.role === 'provider' && peerOf(request) === contract.terms.customer) return contract;
  throw new AntirioError('forbidden', 'only the customer asks this of its provider');
}

/** Statements are long, and of interest to the ledger only. */
function publicPhase(phase: object): unknown {
  return Object.fromEntries(Object.entries(phase).filter(([key]) => key !== 'statement'));
}

/** What its machine knows and wants: the contract's life and keys as the ledger said last. */
function liveView(driver: PartyDriver): Record<string, unknown> {
  const { state: life, keys, rekeying, rent } = driver.record() ?? {};
  return {
    ...{ fence: driver.desires().fence, life, keys, rekeying, rent },
    ...{ customer: driver.customerTold(), comesBack: driver.seen.comesBack?.() },
    providerActsForMs: driver.activeLeftMs(),
    leaseBy: driver.seen.leaseBy(),
  };
}

/** What of our keys the provider lacks, and what others have seen and is still in use; nothing where all is well. */
function keysOnView(
  contracts: Contracts,
  role: StoredContract['role'],
  { contractId, set }: ContractTerms,
): Record<string, unknown> {
  if (role === 'provider') return {};
  const { unsealed, disclosed = [], rootKeysSeen = [] } = contracts.sealing();
  const ours = new Set(set.devices.map(({ devEui }) => devEui));
  const lacking = unsealed.filter((one) => one.contractId === contractId);
  const seen = disclosed.filter(({ devEui }) => ours.has(devEui));
  const roots = rootKeysSeen.filter(({ devEui }) => ours.has(devEui));
  return {
    ...(lacking.length === 0 ? {} : { unsealed: lacking }),
    ...(seen.length === 0 ? {} : { disclosed: seen }),
    ...(roots.length === 0 ? {} : { rootKeysSeen: roots }),
  };
}

/** Joins that the provider answers; nothing where the terms give it no root keys. */
function joinsView(
  { joins }: Contracts,
  store: ContractStore,
  role: StoredContract['role'],
  { contractId, rootKeys }: ContractTerms,
): Record<string, unknown> {
  if (rootKeys !== true) return {};
  if (role === 'customer') return { joinsHome: joinsHomeOf(store, contractId) };
  return { joinsAnswered: joins.desk.joinsOf(contractId).length };
}

const LACKING_SHOWN = 16;

/** Of how many of a customer's devices it is known here how they listen; of our own, what of it came home last. */
function macView(
  store: ContractStore,
  role: StoredContract['role'],
  terms: ContractTerms,
): Record<string, unknown> {
  if (role === 'customer') return { listeningHome: cameHomeWith(store, terms.contractId) };
  // who only keeps frames is told of none
  if (keepsOnly(terms)) return {};
  const { known, lacking, isAll } = snapshotsKept(store, terms);
  return {
    macLayersKnown: known,
    macLayersLacking:
      lacking.length === 0
        ? undefined
        : { count: lacking.length, devices: lacking.slice(0, LACKING_SHOWN), untold: !isAll },
  };
}

export function addEdgeRoutes(
  rim: HttpRim,
  contracts: Contracts,
  store: ContractStore,
  identity: Identity,
  bridge: HttpPeer,
  { poke, unserved, clock }: { poke: () => void; unserved: UnservedJoins; clock: Clock },
): void {
  const base = '/arbitrator/v1/contract';
  const show = (contract: StoredContract): unknown => {
    const driver = contracts.drivers.get(contract.terms.contractId);
    const { terms, role, refused } = contract;
    const phase = driver?.phase() ?? contract.phase;
    const { letGo } = endingOf(store, terms.contractId);
    return {
      contractId: terms.contractId,
      role,
      terms,
      state: refused === undefined ? (phase?.at ?? 'signing') : 'refused',
      phase: phase === undefined ? undefined : publicPhase(phase),
      refused,
      neverTakesOver: neverTakesOver(terms),
      ...(driver === undefined ? {} : liveView(driver)),
      letGo: letGo || undefined,
      held: holdOf(store, terms.contractId),
      waitsForItsTurn: contracts.waitingForTurn().includes(terms.contractId) || undefined,
      drills: contracts.drills.view(terms.contractId),
      fullDrills: contracts.fullDrills.view(terms.contractId),
      downlinkDrills: downlinkTotals(store, terms),
      ...keysOnView(contracts, role, terms),
      unservedJoins: unserved.of(terms.contractId),
      ...joinsView(contracts, store, role, terms),
      ...macView(store, role, terms),
    };
  };
  rim.route(
    'post',
    base,
    { summary: 'take on terms that the DMUs agreed', body: proposal, status: 202 },
    ({ body, request }) => {
      if (peerOf(request) !== '')
        throw new AntirioError('forbidden', 'only this edge proposes its own contracts');
      contracts.admit();
      contracts.checkProtected();
      if (body.terms.rootKeys === true) plainKeys(secretsFor(body.terms, contracts.ownSecrets()));
      const contract = contracts.signing.propose(body.terms);
      poke();
      return show(contract);
    },
  );
  rim.route('get', base, { summary: 'all contracts of this edge' }, () => store.all().map(show));
  rim.route('get', `${base}/:id`, { summary: 'one contract', params: idParam }, ({ params }) =>
    show(contracts.get(params.id)),
  );
  rim.route(
    'get',
    `${base}/:id/timeline`,
    { summary: 'what happened, with its evidence', params: idParam },
    ({ params }) => ({
      contractId: contracts.get(params.id).terms.contractId,
      notes: store.notes(params.id),
    }),
  );
  rim.route(
    'post',
    `${base}/:id/sign`,
    { summary: 'countersign agreed terms', params: idParam, body: signRequest },
    async ({ params, body, request }) => {
      if (params.id !== body.terms.contractId)
        throw new AntirioError('invalidInput', 'path and terms name different contracts');
      if (store.get(params.id) === undefined) {
        contracts.admit();
        await contracts.admitCustomer(body.terms);
      }
      const contract = await contracts.signing.countersign(peerOf(request), body);
      contracts.drive(contract);
      return { signature: contract.signatures.provider };
    },
  );
  rim.route(
    'post',
    `${base}/:id/keys`,
    { summary: 'sealed keys and the service they are for', params: idParam, body: keyPackage },
    async ({ params, body, request }) => {
      const { terms } = fromCustomer(contracts.get(params.id), request);
      checkPackage(identity, terms, body);
      await contracts.takeKeys(terms, body);
      return { keyVersion: body.keyVersion };
    },
  );
  addAddressesRoute(rim, {
    take: (terms, addresses) => contracts.takeAddresses(terms, addresses),
    fromCustomer: (id, request) => fromCustomer(contracts.get(id), request),
  });
  addMacRoute(rim, {
    ...{ identity, store, clock, phaseOf: (id) => contracts.drivers.get(id)?.phase().at },
    fromCustomer: (id, request) => fromCustomer(contracts.get(id), request),
  });
  addJoinDeskRoute(rim, contracts.joins.desk, (id, request) => fromCustomer(contracts.get(id), request));
  addMacHandbackRoute(rim, contracts.handback, (id, request) => fromCustomer(contracts.get(id), request));
  addLentRoutes(rim, {
    ...{ bridge, clock, store, counts: contracts.downlinkDrills.counts },
    phaseOf: (id) => contracts.drivers.get(id)?.phase().at,
    fromCustomer: (id, request) => fromCustomer(contracts.get(id), request),
  });
  addDrillRoutes(rim, {
    ...{ identity, drills: contracts.drills },
    fromCustomer: (id, request) => fromCustomer(contracts.get(id), request),
    isPreparing: (id) => contracts.drivers.get(id)?.seen.isPreparing?.() === true,
  });
  rim.route(
    'post',
    `${base}/:id/genuine`,
    { summary: 'frames of our ring that the customer signs for', params: idParam, body: genuineWord },
    async ({ params, body, request }) => {
      const { terms } = fromCustomer(contracts.get(params.id), request);
      const { keyVersion } = body.genuine.body;
      const kept = await keepGenuine(bridge, terms, body);
      checkVersion(store, { contractId: params.id, kind: 'genuine', forgets: false }, keyVersion);
      store.putDocument(params.id, genuineName(keyVersion), kept);
      return { kept: kept.frames.length };
    },
  );
  rim.route(
    'post',
    `${base}/:id/return`,
    { summary: 'the customer asks for its sensors back', params: idParam, body: returnRequest, status: 202 },
    ({ params, body, request }) => {
      const contract = fromCustomer(contracts.get(params.id), request);
      const driver = contracts.drivers.get(params.id);
      // before we say that we have heard it
      const phase = driver?.phase();
      const servesUnder = phase?.at === 'active' ? phase.epoch : undefined;
      if (body.ask !== undefined)
        keepBackAsk(store, contract.terms, body.ask, { now: clock.now(), servesUnder });
      driver?.post({ type: 'returnAsked', epoch: body.epoch });
      return { phase: driver?.phase().at ?? contract.phase?.at };
    },
  );
}
