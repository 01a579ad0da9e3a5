import { z } from 'zod';
import { callJson, parseInput, type HttpPeer, type HttpRim } from '@antirio/host';
import {
  AntirioError,
  fromUtf8,
  openSealed,
  sealTo,
  toHex,
  utf8,
  type Identity,
  type Random,
  type SealedBox,
} from '@antirio/kernel';
import {
  contractVolumeKey,
  statedVolumes,
  type ContractTerms,
  type CustomerPhase,
  type HandbackStatement,
} from '@antirio/service-contract';
import type { ContractStore } from './contract-store.ts';
import type { PartyDriver } from './party-driver.ts';
import { localOnly } from './operator-routes.ts';
import type { Secrets } from './sealed-keys.ts';

const OWN = 'own';
const ROOT = 'volumeRoot';

/** The customer's own secret of which all keys for volumes are made; begun when it is wanted first, readable with this edge's key only. */
export function volumeRoot(
  store: Pick<ContractStore, 'document' | 'putDocument'>,
  identity: Identity,
  random: Random,
): () => string {
  let known: string | undefined;
  return () => {
    if (known !== undefined) return known;
    const box = store.document(OWN, ROOT) as SealedBox | undefined;
    if (box !== undefined) return (known = fromUtf8(openSealed(identity, box)));
    const root = toHex(random.bytes(32));
    store.putDocument(OWN, ROOT, sealTo(identity.sealKey, utf8(root)));
    return (known = root);
  };
}

export type Volumes = Pick<HandbackStatement, 'volumes'>;
const taken = z.looseObject({ volumes: statedVolumes.optional() });
const home = z.looseObject({ state: z.string(), volumes: statedVolumes.optional() });
const TAKING_MS = 120_000;

/** Under which version and with which key snapshots of the contract's volumes were sealed. */
export function volumeKeyIn(keys: Secrets | undefined): { readonly volumeKey?: object } {
  if (keys?.volumes === undefined) return {};
  return { volumeKey: { version: keys.keyVersion, key: keys.volumes.key } };
}

/** Who may not read has no keys for volumes either: they stay empty there. */
const movesState = ({ volumes, confidentiality }: ContractTerms): boolean =>
  volumes !== undefined && confidentiality === 'process';

/** As a provider: stops the service and seals what it left in its volumes. What is stated of them. */
export async function takeVolumesHome(
  orchestrator: HttpPeer,
  terms: ContractTerms,
  epoch: number,
  keys: Secrets,
): Promise<Volumes> {
  if (!movesState(terms)) return {};
  const { contractId } = terms;
  const path = `/orchestrator/v1/service/${contractId}/take-home`;
  const json = { epoch, ...volumeKeyIn(keys) };
  const answer = await callJson(orchestrator, { method: 'POST', path, json, timeoutMs: TAKING_MS });
  const { volumes: stated } = parseInput(taken, answer);
  return stated === undefined ? {} : { volumes: stated };
}

/** As a customer: what came home. @throws AntirioError unavailable while it is on its way */
export async function volumesAtHome(
  orchestrator: HttpPeer,
  terms: ContractTerms,
  epoch: number,
): Promise<Volumes> {
  if (!movesState(terms)) return {};
  const { contractId } = terms;
  const path = `/orchestrator/v1/volume/${contractId}/home?epoch=${epoch}`;
  const { state, volumes: stated } = parseInput(home, await callJson(orchestrator, { path }));
  if (state === 'waits')
    throw new AntirioError('unavailable', 'the volumes are on their way home', { contractId });
  return stated === undefined ? {} : { volumes: stated };
}

/** Whose epoch it was whose volumes come home now. */
function providerEpochOf(phase: CustomerPhase): number | undefined {
  if (phase.at === 'retaken') return phase.providerEpoch;
  if (phase.at === 'stating') return phase.statement.epoch;
  return phase.at === 'stated' ? phase.about?.epoch : undefined;
}

/** What this edge's orchestrator needs to take snapshots of the own service's volumes, and to bring home a provider's. */
export function addVolumeKeysRoute(
  rim: HttpRim,
  drivers: ReadonlyMap<string, PartyDriver>,
  secrets: () => Secrets,
): void {
  const summary = 'contracts of this edge’s own service with volumes, and their keys';
  rim.route('get', '/arbitrator/v1/volume', { summary }, ({ request }) => {
    localOnly(request);
    const own = [...drivers.values()].filter(({ role, terms }) => role === 'customer' && movesState(terms));
    if (own.length === 0) return { contracts: [] };
    const { keyVersion, volumes } = secrets();
    return {
      contracts: own.map((driver) => {
        const { contractId, provider } = driver.terms;
        // a customer's driver has a customer's phase
        const phase = driver.phase() as CustomerPhase;
        const key = contractVolumeKey(volumes?.key ?? '', contractId);
        return {
          contractId,
          provider,
          phase: phase.at,
          providerEpoch: providerEpochOf(phase),
          keyVersion,
          key,
        };
      }),
    };
  });
}
