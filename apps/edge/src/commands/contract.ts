import { z } from 'zod';
import { parseInput } from '@antirio/host';
import type { EdgeConfig } from '../config.ts';
import { textTable } from '../text-table.ts';
import { actingLines, actingView } from './acting-lines.ts';
import { askRoom, print } from './ask-room.ts';
import { coverageLines, proofLines } from './contract-coverage.ts';
import { imageLines } from './contract-image.ts';
import { rentLines, rentView } from './contract-rent.ts';
import { volumeLines } from './contract-volumes.ts';

const contractView = z.looseObject({
  contractId: z.string(),
  role: z.string(),
  state: z.string(),
  keys: z
    .looseObject({
      version: z.number(),
      state: z.string(),
      exposedAt: z.number().optional(),
      exposedBy: z.union([z.number(), z.string()]).optional(),
      exposedVersion: z.number().optional(),
    })
    .optional(),
  unsealed: z.array(z.looseObject({ devEui: z.string(), why: z.string() })).default([]),
  disclosed: z.array(z.looseObject({ devEui: z.string() })).default([]),
  rootKeysSeen: z.array(z.looseObject({ devEui: z.string() })).default([]),
  joinsAnswered: z.number().optional(),
  joinsHome: z.looseObject({ through: z.number(), counts: z.record(z.string(), z.number()) }).optional(),
  rekeying: z
    .looseObject({
      settlesInMs: z.number(),
      counted: z.looseObject({ rekeyed: z.number(), waiting: z.number(), disclosed: z.number() }).optional(),
    })
    .optional(),
  rent: rentView.optional(),
  macLayersKnown: z.number().optional(),
  macLayersLacking: z
    .object({ count: z.number(), devices: z.array(z.string()), untold: z.boolean() })
    .optional(),
  listeningHome: z
    .object({ epoch: z.number(), counts: z.record(z.string(), z.number()), why: z.string().optional() })
    .optional(),
  neverTakesOver: z.string().optional(),
  unservedJoins: z.looseObject({ requests: z.number(), devices: z.number() }).optional(),
  terms: z.looseObject({
    customer: z.string(),
    provider: z.string(),
    standby: z.string().optional(),
    confidentiality: z.string().optional(),
    expiresAt: z.number().optional(),
    rent: z.looseObject({ perHour: z.number() }).optional(),
    set: z.looseObject({ service: z.string(), devices: z.array(z.unknown()) }).optional(),
  }),
});
type ContractView = z.output<typeof contractView>;

const requestView = z.looseObject({
  id: z.string(),
  imageName: z.string(),
  state: z.string(),
  contractId: z.string().optional(),
  progress: z.record(z.string(), z.unknown()).default({}),
  error: z.string().nullish(),
});
type RequestView = z.output<typeof requestView>;

const timelineView = z.looseObject({ notes: z.array(z.unknown()) });

function row({ contractId, role, state, terms }: ContractView): string[] {
  const other = role === 'customer' ? terms.provider : terms.customer;
  const until = terms.expiresAt === undefined ? '' : new Date(terms.expiresAt).toISOString();
  const devices = terms.set === undefined ? '' : String(terms.set.devices.length);
  const standby = terms.confidentiality === 'relay' ? 'relay' : (terms.standby ?? '');
  return [contractId, role, state, other, devices, standby, until];
}

const HEADER = ['CONTRACT', 'WE ARE', 'STATE', 'OTHER EDGE', 'DEVICES', 'STANDBY', 'UNTIL'];

function requestRow({ id, imageName, state, progress, error }: RequestView): string[] {
  const steps = Object.entries(progress).map(([room, step]) => `${room}: ${String(step)}`);
  return [id, imageName, state, [...steps, ...(error ? [error] : [])].join(', ')];
}

/** The contracts of this edge, as customer and as provider, and what it has asked for that is no contract yet. */
export async function listContracts(config: EdgeConfig, json: boolean): Promise<void> {
  const found = await askRoom('arbitrator', config, { path: '/arbitrator/v1/contract' });
  const contracts = parseInput(z.array(contractView), found);
  if (json) {
    print(JSON.stringify(found));
    return;
  }
  const asked = await askRoom('orchestrator', config, {
    path: '/orchestrator/service_customer/contract/testing',
  });
  const signed = new Set(contracts.map(({ contractId }) => contractId));
  const open = parseInput(z.array(requestView), asked).filter(
    ({ contractId = '' }) => !signed.has(contractId),
  );
  if (contracts.length > 0) print(textTable([HEADER, ...contracts.map(row)]));
  if (open.length > 0) print(textTable([['REQUEST', 'IMAGE', 'STATE', 'PROGRESS'], ...open.map(requestRow)]));
  if (contracts.length + open.length === 0) print('no contracts');
}

const SHOWN = 16;

/** Of devices' radio and new keys as a whole. */
function setLines({ rekeying, terms, ...view }: ContractView): string[] {
  const { length } = terms.set?.devices ?? [];
  return [
    ...(rekeying === undefined ? [] : [rekeyingLine(rekeying)]),
    ...(length === 0 ? [] : [...knownLines(view, length), ...homeLines(view)]),
  ];
}

/** What a provider knows of how the set's devices listen. */
function knownLines(
  { macLayersKnown: known, macLayersLacking: lacking }: Partial<ContractView>,
  length: number,
): string[] {
  if (known === undefined) return [];
  const line = `how devices listen is known here: of ${known} of ${length}`;
  if (lacking === undefined) return [line];
  const { count, devices, untold } = lacking;
  const which = `; lacking ${devices.join(' ')}${count > devices.length ? ' and more' : ''}`;
  return [`${line}${which}${untold ? ' (the customer has not told of all yet)' : ''}`];
}

/** What of it came home to their owner last. */
function homeLines({ listeningHome: home }: Partial<ContractView>): string[] {
  if (home === undefined) return [];
  const { epoch, counts, why } = home;
  if (why !== undefined) return [`how devices listen did not come home after epoch ${epoch}: ${why}`];
  const { taken = 0, behind = 0, malformed = 0 } = counts;
  const older = behind === 0 ? '' : `, the provider had begun from an older state of ${behind}`;
  const bad = malformed === 0 ? '' : `, of ${malformed} it was none`;
  return [`how devices listen came home after epoch ${epoch}: of ${taken + behind} devices${older}${bad}`];
}

/** Of single devices: which the provider could not go on with, and whose keys it has seen. */
function deviceKeyLines({ unsealed, disclosed, rootKeysSeen, unservedJoins }: ContractView): string[] {
  const named = (all: readonly { readonly devEui: string }[]): string => {
    const names = [...new Set(all.map(({ devEui }) => devEui))];
    const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : '';
    return `${names.slice(0, SHOWN).join(' ')}${more}`;
  };
  const why = [...new Set(unsealed.map((one) => one.why))].join('; ');
  return [
    ...(unsealed.length === 0 ? [] : [`unsealed: ${named(unsealed)} (${why})`]),
    ...(disclosed.length === 0 ? [] : [`disclosed, and still in use: the keys of ${named(disclosed)}`]),
    ...(rootKeysSeen.length === 0
      ? []
      : [`root keys seen: of ${named(rootKeysSeen)}; no join ends that, only other root keys do`]),
    ...(unservedJoins === undefined
      ? []
      : [`joins: ${unservedJoins.requests} requests of ${unservedJoins.devices} devices went unserved here`]),
  ];
}

/** Joins that the provider answered in the place of the devices' own edge. */
function joinLines({ joinsAnswered, joinsHome }: ContractView): string[] {
  if (joinsAnswered !== undefined) return [`joins: ${joinsAnswered} answered here for the customer`];
  if (joinsHome === undefined) return [];
  const { taken = 0, known: _again, ...refused } = joinsHome.counts;
  const why = Object.entries(refused).filter(([, count]) => count > 0);
  const others = why.map(([what, count]) => `, ${count} ${what}`).join('');
  return [`joins: ${joinsHome.through} answered by the provider came home: ${taken} taken${others}`];
}

function keysLine({
  version,
  state,
  exposedAt,
  exposedBy,
  exposedVersion,
}: NonNullable<ContractView['keys']>): string {
  const by = typeof exposedBy === 'number' ? `opening ${exposedBy}` : (exposedBy ?? '');
  const seen = exposedAt === undefined ? 'sealed' : `exposed ${new Date(exposedAt).toISOString()} by ${by}`;
  const older = exposedVersion === undefined ? '' : ` (some keys, of version ${exposedVersion})`;
  return `keys: version ${version}, ${state}, ${seen}${older}`;
}

/** New keys after a handback, which the settlement waits for, or has. */
function rekeyingLine({ settlesInMs, counted }: NonNullable<ContractView['rekeying']>): string {
  const { rekeyed = 0, waiting = 0, disclosed = 0 } = counted ?? {};
  const seconds = Math.ceil(settlesInMs / 1000);
  const until =
    settlesInMs > 0 && (counted === undefined || waiting > 0)
      ? `; settles in ${seconds} s at the latest`
      : '';
  return counted === undefined
    ? `new keys: the customer has not said how many${until}`
    : `new keys: ${rekeyed} devices have them, ${waiting} could join for them, ${disclosed} stay disclosed${until}`;
}

/** One contract with what happened in it. */
export async function showContract(config: EdgeConfig, id: string, json: boolean): Promise<void> {
  const path = `/arbitrator/v1/contract/${encodeURIComponent(id)}`;
  const found = await askRoom('arbitrator', config, { path });
  const { notes } = parseInput(
    timelineView,
    await askRoom('arbitrator', config, { path: `${path}/timeline` }),
  );
  if (json) {
    print(JSON.stringify({ contract: found, notes }));
    return;
  }
  const contract = parseInput(contractView, found);
  print(textTable([HEADER, row(contract)]));
  if (contract.neverTakesOver !== undefined) print(contract.neverTakesOver);
  if (contract.keys !== undefined) print(keysLine(contract.keys));
  for (const line of rentLines(contract.rent, contract.terms.rent?.perHour)) print(line);
  for (const line of actingLines(parseInput(actingView, found))) print(line);
  for (const line of [...setLines(contract), ...deviceKeyLines(contract), ...joinLines(contract)])
    print(line);
  const asked = [
    await imageLines(config, id, contract.role),
    await volumeLines(config, id, contract.terms['volumes']),
    await coverageLines(config, id),
    await proofLines(config, id),
  ];
  for (const line of asked.flat()) print(line);
  print(`\nterms\n${JSON.stringify(contract.terms, undefined, 2)}\n\ntimeline`);
  for (const note of notes) print(JSON.stringify(note));
}

export interface ContractRequest {
  readonly imageName: string;
  /** In the data folder's `images`. */
  readonly fileName: string;
  readonly days: number;
  /** In words, where the provider is to have all keys from the signature on. */
  readonly iTrustTheProviderWithMyKeys?: true;
}

/** Has an image stored and a provider found: the thesis's `POST /orchestrator/service_customer/contract/testing`. */
export async function requestContract(
  config: EdgeConfig,
  { days, ...request }: ContractRequest,
): Promise<void> {
  const path = '/orchestrator/service_customer/contract/testing';
  const json = { ...request, duration: days };
  print(JSON.stringify(await askRoom('orchestrator', config, { method: 'POST', path, json }), undefined, 2));
}
