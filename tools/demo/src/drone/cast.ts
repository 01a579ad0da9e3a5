import { randomBytes, randomUUID } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  claimOffsets,
  NoFreeOffsetError,
  portOf,
  UDP_PORTS,
  type ClaimedOffsets,
} from '@antirio/testing/port-offsets';
import { z } from 'zod';
import { talkWith } from '../command-line-process.ts';
import { DemoError } from '../errors.ts';
import { createNode, type PartyNode } from '../nodes.ts';
import { completeOptions } from '../options.ts';
import { createProcesses, type Processes } from '../processes.ts';
import { buildProduct, CONFIG_NAME, createIdentity, type BuildProduct, type Product } from '../product.ts';
import { MONEY } from '../result.ts';
import { startWarden, type Warden } from '../warden.ts';
import type { Waiter } from '../wait.ts';
import type { DroneOptions } from './options.ts';
import { geohashOf, planRoute, type RoutePlan } from './route.ts';
import { packDroneImage } from './service-image.ts';

export const DRONE = 'drone-1';
export const SERVICE = 'drone-preprocessor';
export const ARCHIVE_NAME = 'drone-preprocessor.tar';

/** Of the flight: known to the home edge, the drone, and whom a contract opens them to. */
export interface FlightKeys {
  readonly flight: string;
  /** 32 bytes, hex. */
  readonly key: string;
}

/** Everybody on the stage, ready to be started. */
export interface Cast {
  readonly options: DroneOptions;
  readonly folder: string;
  readonly processes: Processes;
  readonly keys: FlightKeys;
  readonly route: RoutePlan;
  readonly central: PartyNode;
  readonly home: PartyNode;
  /** In the order of the legs near which they are. */
  readonly edges: readonly PartyNode[];
  /** The customer's cloud. */
  readonly cloudUrl: string;
  /** One line for each event that the cloud took. */
  readonly cloudFile: string;
  /** Ends every process. */
  end(): Promise<void>;
  /** Removes what a demo that went well leaves. */
  strike(): void;
}

const HOST = '127.0.0.1';
/** Home is out of the drone's reach, and in a cell of its own. */
const HOME_CELL = geohashOf({ latitude: 38.246, longitude: 21.735 });
const TERMS = {
  heartbeatIntervalMs: 200,
  missedBeats: 3,
  leaseMs: 3_000,
  returnBackoffMs: 200,
  flapping: { maxBackoffMs: 0 },
};
const exactly = (amount: number): object => ({ first: amount, limit: amount });
const STAKES = { payment: exactly(MONEY.customerStake), guarantee: exactly(MONEY.providerStake) };

const readyEvent = z.looseObject({ url: z.url() });

/** What the files of all parties are written from. */
interface Written {
  readonly folder: string;
  readonly route: RoutePlan;
  readonly keys: FlightKeys;
  readonly forwardingKey: string;
  readonly cloudUrl: string;
  readonly central: PartyNode;
  readonly home: PartyNode;
  readonly edges: readonly PartyNode[];
}

function write(folder: string, name: string, content: unknown): string {
  const file = path.join(folder, name);
  const text = typeof content === 'string' ? content : `${JSON.stringify(content, undefined, 2)}\n`;
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

const way = ({ offset }: PartyNode): object => ({
  url: `http://${HOST}:${portOf('edge2edgePublic', offset)}`,
  udp: { host: HOST, port: UDP_PORTS.datagrams + offset },
});

const neighbours = (others: readonly PartyNode[]): object =>
  Object.fromEntries(others.map((other) => [other.edgeId, way(other)]));

function centralConfig({ home, edges }: Written): object {
  const all = [home, ...edges];
  const balances = Object.fromEntries(all.map(({ edgeId }) => [edgeId, MONEY.opening]));
  return {
    neighbours: neighbours(all),
    ledger: { genesis: { balances } },
    edge2edge: { vetted: all.map(({ edgeId }) => edgeId) },
  };
}

function homeConfig({ folder, central, edges, keys, forwardingKey, cloudUrl }: Written): object {
  const own = path.join(folder, 'home');
  const { flight, key } = keys;
  const description = { serviceName: SERVICE, devices: [], drone: { name: DRONE, flight } };
  const configFile = write(own, 'service.json', description);
  const secretsFile = write(own, 'secrets.json', { keyVersion: 1, sessions: [], values: { droneKey: key } });
  const forwardingKeyFile = write(own, 'forwarding.key', forwardingKey);
  return {
    central: { edgeId: central.edgeId, ...way(central) },
    neighbours: neighbours(edges),
    arbitrator: { protectedService: { configFile, secretsFile, forwardingKeyFile } },
    dmu: {
      terms: { ...TERMS, forwarding: { kind: 'http', url: cloudUrl } },
      protectedService: { configFile },
      policy: { ...STAKES, standby: ['hot'], confidentiality: ['process'] },
      qualities: { cells: [HOME_CELL] },
    },
  };
}

function edgeConfig({ central, home, cloudUrl, route }: Written, leg: number): object {
  const place = route.legs[leg]?.place;
  return {
    central: { edgeId: central.edgeId, ...way(central) },
    neighbours: neighbours([home]),
    coreData: { forwardingHosts: [new URL(cloudUrl).host] },
    dmu: {
      terms: TERMS,
      provider: { enabled: true, policy: STAKES },
      qualities: { cells: [place === undefined ? HOME_CELL : geohashOf(place)] },
    },
  };
}

function writeConfigs(written: Written): void {
  const { folder, edges } = written;
  write(path.join(folder, 'central'), CONFIG_NAME, centralConfig(written));
  write(path.join(folder, 'home'), CONFIG_NAME, homeConfig(written));
  edges.forEach((_, i) => write(path.join(folder, `e${i + 1}`), CONFIG_NAME, edgeConfig(written, i)));
}

/** Makes a party's identity, and how it is started. */
async function partyIn(
  { product, processes, folder }: { product: Product; processes: Processes; folder: string },
  name: string,
  title: string,
  offset: number,
): Promise<PartyNode> {
  const own = path.join(folder, name);
  const party = name === 'central' ? 'central' : 'a';
  const edgeId = await createIdentity(product, party, own);
  const process = { ...product.up(party, own, offset), name };
  return createNode({ party, title, edgeId, offset, folder: own, process }, processes);
}

interface CloudSpec {
  readonly folder: string;
  readonly processes: Processes;
  readonly forwardingKey: string;
  readonly ledgerUrl: string;
}

async function startCloud({ folder, processes, forwardingKey, ledgerUrl }: CloudSpec) {
  const file = path.join(folder, 'cloud.jsonl');
  const config = write(folder, 'cloud.json', { forwardingKey, ledgerUrl, file });
  const main = path.join(import.meta.dirname, 'cloud-process.ts');
  const own = await processes.start({ name: 'cloud', args: [main, config], talks: true });
  const { url } = readyEvent.parse(await talkWith(own).next('ready', 60_000));
  return { cloudUrl: url, cloudFile: file };
}

async function takeOffsets(count: number): Promise<ClaimedOffsets> {
  return claimOffsets(count).catch((cause: unknown) => {
    if (cause instanceof NoFreeOffsetError) throw new DemoError('unavailable', cause.message, { cause });
    throw cause;
  });
}

/** Ends what there is of a cast. */
function endingOf(processes: Processes, claimed: ClaimedOffsets, warden: () => Warden | undefined) {
  return async (): Promise<void> => {
    await processes.stopAll();
    warden()?.dismiss();
    claimed.release();
  };
}

/** Builds product and image, takes ports, writes every file, starts the cloud. */
export async function openCast(
  options: DroneOptions,
  { stage }: Waiter,
  build: BuildProduct = buildProduct,
): Promise<Cast> {
  const { edges: count, leg, overlap } = options;
  const claimed = await takeOffsets(count + 2);
  // Short: unix sockets below it may have at most 107 bytes in their paths.
  const folder = mkdtempSync(path.join(tmpdir(), 'antirio-'));
  const logs = path.join(folder, 'logs');
  mkdirSync(logs);
  const processes = createProcesses(logs);
  let warden: Warden | undefined;
  const end = endingOf(processes, claimed, () => warden);
  try {
    const product = await build(completeOptions({}), folder);
    const archive = path.join(folder, ARCHIVE_NAME);
    const imageId = await packDroneImage(folder, archive);
    stage.milestone(
      `built: the antirio command, image ${imageId.slice(0, 12)} of the pre-processing service`,
    );
    warden = await startWarden(processes, logs);
    const [centralOffset = 0, homeOffset = 0, ...offsets] = claimed.offsets;
    const making = { product, processes, folder };
    const [central, home, ...edges] = await Promise.all([
      partyIn(making, 'central', 'central', centralOffset),
      partyIn(making, 'home', 'home edge', homeOffset),
      ...offsets.map((offset, i) => partyIn(making, `e${i + 1}`, `edge ${i + 1}`, offset)),
    ]);
    const forwardingKey = randomBytes(32).toString('hex');
    const ledgerUrl = central.url('ledger');
    const cloud = await startCloud({ folder, processes, forwardingKey, ledgerUrl });
    const keys = { flight: randomUUID(), key: randomBytes(32).toString('hex') };
    const route = planRoute(count, leg * 1000, overlap * 500);
    writeConfigs({ folder, route, keys, forwardingKey, ...cloud, central, home, edges });
    const images = path.join(home.folder, 'images');
    mkdirSync(images, { recursive: true });
    copyFileSync(archive, path.join(images, ARCHIVE_NAME));
    const strike = (): void => rmSync(folder, { recursive: true, force: true });
    return { options, folder, processes, keys, route, central, home, edges, ...cloud, end, strike };
  } catch (error) {
    await end();
    throw error;
  }
}
