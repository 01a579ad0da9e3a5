import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Device, OtaaDevice } from '@antirio/lora-simulator';
import { ARCHIVE_NAME } from './contract.ts';
import { extrasOf, insuresToo } from './extras.ts';
import { PARTIES, type AnyParty, type ExtraName, type Network, type PartyName } from './network.ts';
import type { PartyNode } from './nodes.ts';
import type { DemoOptions } from './options.ts';
import { CONFIG_NAME, type Product } from './product.ts';
import { gatewayOf, REJOIN_PORT } from './radio.ts';
import { MONEY } from './result.ts';
import { takeoversOf, openingOf, termsOf } from './story-terms.ts';

export interface Cast {
  readonly options: DemoOptions;
  readonly folder: string;
  /** What the parties themselves call their folders, where that is something else. */
  readonly seenAs?: string;
  readonly product: Pick<Product, 'deviceImage'>;
  readonly network: Pick<Network, 'way'>;
  readonly nodes: Readonly<
    Record<PartyName, Pick<PartyNode, 'edgeId'>> & Partial<Record<ExtraName, Pick<PartyNode, 'edgeId'>>>
  >;
  readonly devices: readonly Device[];
}

const exactly = (amount: number): Section => ({ first: amount, limit: amount });
const STAKES = { payment: exactly(MONEY.customerStake), guarantee: exactly(MONEY.providerStake) };

type Section = Readonly<Record<string, unknown>>;

const edgesOf = ({ options }: Cast): readonly Exclude<AnyParty, 'central'>[] => [
  ...(['a', 'b'] as const),
  ...extrasOf(options),
];

const idOf = ({ nodes }: Cast, party: AnyParty): string => nodes[party]?.edgeId ?? '';

function neighboursOf(cast: Cast, party: AnyParty): Section {
  const others = edgesOf(cast).filter((other) => other !== party);
  return Object.fromEntries(others.map((other) => [idOf(cast, other), cast.network.way(party, other)]));
}

function centralConfig(cast: Cast): Section {
  const ids = edgesOf(cast).map((edge) => idOf(cast, edge));
  return {
    neighbours: neighboursOf(cast, 'central'),
    ledger: { genesis: { balances: Object.fromEntries(ids.map((id) => [id, MONEY.opening])) } },
    edge2edge: { vetted: ids },
  };
}

/** A device as it is known before it is heard: by its address, or as one that joins. */
function provisioned(device: Device | OtaaDevice): Section {
  const { devEui, name } = device;
  const rejoinCommand = { fPort: REJOIN_PORT, payload: '01' };
  return 'appKey' in device
    ? { ...{ devEui, name, joinEui: device.joinEui, activation: 'otaa' }, rejoinCommand }
    : { devEui, name, devAddr: device.devAddr };
}

/** A's device service, as it runs at A and as its neighbour is told to run it. */
function serviceDescription({ devices, options }: Cast): Section {
  return {
    serviceName: 'device-lora',
    devices: devices.map((device) => provisioned(device)),
    // who only keeps frames runs it not at all
    confidentiality: options.confidentiality === 'relay' ? 'process' : options.confidentiality,
  };
}

/** Who insures takes one contract where there are several who do, so that each gets one. */
function insurance({ options }: Cast, party: AnyParty): Section {
  const enabled = party === 'b' || (party === 'c' && insuresToo(options));
  const levels = options.confidentiality === 'relay' ? { confidentiality: ['relay'] } : {};
  const policy = { ...STAKES, ...openingOf(options), ...levels };
  return { enabled, policy, ...(insuresToo(options) ? { maxContracts: 1 } : {}) };
}

function edgeConfig(cast: Cast, party: Exclude<AnyParty, 'central'>): Section {
  const { network, nodes, options } = cast;
  const gateway = gatewayOf(party);
  return {
    central: { edgeId: nodes.central.edgeId, ...network.way(party, 'central') },
    neighbours: neighboursOf(cast, party),
    gatewayBridge: { udp: { gateways: gateway === undefined ? [] : [gateway] } },
    orchestrator: { runtime: party === 'b' ? options.runtime : 'process' },
    dmu: { terms: termsOf(options, cast.nodes), provider: insurance(cast, party) },
  };
}

/** What A's configuration.json says of its service: how often it may be taken over, and one volume in a folder of its own. */
function serviceAtHome({ options }: Cast, folder: string): Section {
  const runtime = 'process';
  const takeovers = takeoversOf(options);
  const often = takeovers === 1 ? {} : { event: { takeovers: String(takeovers) } };
  if (!options.volume) return { runtime, configuration: often };
  const state = path.join(folder, 'state');
  mkdirSync(state, { recursive: true });
  return {
    runtime,
    configuration: {
      ...often,
      namedVolumes: { state: { maxBytes: 1 << 20, everyS: 1 } },
      volumes: 'state:/data/state',
    },
    volumes: { state: { path: state } },
  };
}

function customerConfig(cast: Cast): Section {
  const folder = path.join(cast.folder, 'a');
  const all: readonly (Device | OtaaDevice)[] = cast.devices;
  const sessions = all.flatMap((device) =>
    'appKey' in device
      ? []
      : {
          ...{ devEui: device.devEui, devAddr: device.devAddr },
          ...{ nwkSKey: device.nwkSKey, appSKey: device.appSKey },
        },
  );
  const rootKeys = all.flatMap((device) =>
    'appKey' in device ? { devEui: device.devEui, appKey: device.appKey } : [],
  );
  const seen = (file: string): string =>
    cast.seenAs === undefined ? file : path.join(cast.seenAs, path.basename(file));
  const secretsFile = seen(write(folder, 'secrets.json', { keyVersion: 1, sessions, rootKeys }));
  const configFile = seen(write(folder, 'device-service.json', serviceDescription(cast)));
  return {
    ...edgeConfig(cast, 'a'),
    orchestrator: serviceAtHome(cast, folder),
    // Its own reader always reads: what the neighbour may read is the contract's business.
    deviceLora: { ...serviceDescription(cast), confidentiality: 'process', secretsFile },
    arbitrator: { protectedService: { configFile, secretsFile } },
    dmu: {
      terms: termsOf(cast.options, cast.nodes),
      protectedService: { configFile },
      policy: {
        ...STAKES,
        ...openingOf(cast.options),
        ...{ standby: [cast.options.standby], confidentiality: [cast.options.confidentiality] },
      },
    },
  };
}

function write(folder: string, name: string, content: unknown): string {
  const file = path.join(folder, name);
  writeFileSync(file, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600 });
  return file;
}

/** Writes every party's configuration, A's sensors with their keys, and the image of A's device service. */
export function writeConfigs(cast: Cast): void {
  const configs = { central: centralConfig(cast), a: customerConfig(cast), b: edgeConfig(cast, 'b') };
  for (const party of PARTIES) write(path.join(cast.folder, party), CONFIG_NAME, configs[party]);
  for (const extra of extrasOf(cast.options))
    write(path.join(cast.folder, extra), CONFIG_NAME, edgeConfig(cast, extra));
  const images = path.join(cast.folder, 'a', 'images');
  mkdirSync(images, { recursive: true });
  copyFileSync(cast.product.deviceImage, path.join(images, ARCHIVE_NAME));
}
