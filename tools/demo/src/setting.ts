import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Device } from '@antirio/lora-simulator';
import { writeConfigs } from './config-files.ts';
import { DemoError } from './errors.ts';
import { followTruth } from './live-truth.ts';
import { extrasOf, insuresToo } from './extras.ts';
import { linksOf, openNetwork, PARTIES, proxySpec, type AnyParty, type Offsets } from './network.ts';
import { createNode, TITLES, type Nodes, type PartyNode } from './nodes.ts';
import { ownerSpec, roomSpec } from './owner-process.ts';
import type { DemoOptions } from './options.ts';
import { claimOffsets, NoFreeOffsetError, type ClaimedOffsets } from '@antirio/testing/port-offsets';
import { createProcesses, type Processes } from './processes.ts';
import { buildProduct, createIdentity, type BuildProduct, type Product } from './product.ts';
import { openRadio, simulatorConfig, simulatorSpec, type RadioFiles } from './radio.ts';
import type { Run } from './run.ts';
import type { Waiter } from './wait.ts';
import { startWarden, type Warden } from './warden.ts';

/** Folders, ports and processes of one demo. */
export interface Setting {
  readonly folder: string;
  readonly processes: Processes;
  /** Builds the product, writes every file, starts network and motes; the parties are ready to be started. */
  open(waiter: Waiter): Promise<Run>;
  /** Leaves everything running when we end. */
  keep(): Promise<void>;
  /** Where what was kept is found, and how it is ended. */
  directions(): string[];
  /** Ends every process. */
  end(): Promise<void>;
}

class DemoSetting implements Setting {
  readonly folder: string;
  readonly processes: Processes;
  readonly #options: DemoOptions;
  readonly #build: BuildProduct;
  readonly #claimed: ClaimedOffsets;
  readonly #logs: string;
  #warden: Warden | undefined;
  #run: Run | undefined;

  constructor(options: DemoOptions, build: BuildProduct, claimed: ClaimedOffsets) {
    // Short: unix sockets below it may have at most 107 bytes in their paths.
    this.folder = mkdtempSync(path.join(tmpdir(), 'antirio-'));
    this.#logs = path.join(this.folder, 'logs');
    mkdirSync(this.#logs);
    this.processes = createProcesses(this.#logs);
    this.#options = options;
    this.#build = build;
    this.#claimed = claimed;
  }

  async open(waiter: Waiter): Promise<Run> {
    const { stage } = waiter;
    const offsets = this.#offsets();
    stage.act('the setting');
    const names = this.#parties.map((party) => `${TITLES[party]} ${String(offsets[party])}`).join(', ');
    stage.milestone(`port offsets: ${names}; data and logs in ${this.folder}`);
    const product = await this.#build(this.#options, this.folder);
    stage.milestone(`built: ${product.built.join(', ')}`);
    const files = this.#radioFiles();
    writeFileSync(files.config, JSON.stringify(simulatorConfig(this.#options, this.#listening(offsets))));
    const links = path.join(this.folder, 'links.json');
    writeFileSync(links, JSON.stringify({ links: linksOf(offsets) }));
    const proxy = await this.processes.start(proxySpec(links));
    const simulator = await this.processes.start(simulatorSpec(files));
    const [network, radio] = await Promise.all([openNetwork(proxy), openRadio(simulator)]);
    this.#warden = await startWarden(this.processes, this.#logs);
    const devices = JSON.parse(readFileSync(files.devices, 'utf8')) as Device[];
    const nodes = await this.#nodes(product, offsets);
    writeConfigs({ options: this.#options, folder: this.folder, product, network, nodes, devices });
    stage.milestone('network and motes are there; identities and configurations are written');
    const truth = followTruth(files.truth);
    const run = { options: this.#options, waiter, nodes, network, radio, devices, truth };
    this.#run = { ...run, truthFile: files.truth, disturbances: [], restores: [], kills: [] };
    return this.#run;
  }

  async keep(): Promise<void> {
    // The traffic was paused for the verdict.
    await this.#run?.radio.start();
    this.#warden?.keep();
    for (const one of this.processes.running()) one.letGo();
    this.#claimed.release();
  }

  directions(): string[] {
    const nodes = this.#parties.map((party) => this.#run?.nodes[party]);
    const urls = nodes.flatMap((node) => (node === undefined ? [] : directionsOf(node)));
    const end = `End everything: kill ${String(this.#warden?.pid)}`;
    return ['Still running:', ...urls, end];
  }

  async end(): Promise<void> {
    this.#run?.truth.close();
    await this.processes.stopAll();
    this.#warden?.dismiss();
    this.#claimed.release();
  }

  get #parties(): readonly AnyParty[] {
    return [...PARTIES, ...extrasOf(this.#options)];
  }

  #offsets(): Offsets {
    const [central = 0, a = 0, b = 0, ...further] = this.#claimed.offsets;
    const extras = extrasOf(this.#options).map((name, i) => [name, further[i] ?? 0] as const);
    return { central, a, b, ...Object.fromEntries(extras) };
  }

  #listening({ a, b, c }: Offsets): { readonly a: number; readonly b: number; readonly c?: number } {
    return c === undefined || !insuresToo(this.#options) ? { a, b } : { a, b, c };
  }

  #radioFiles(): RadioFiles {
    const file = (name: string): string => path.join(this.folder, name);
    return { config: file('simulator.json'), truth: file('truth.jsonl'), devices: file('devices.json') };
  }

  async #nodes(product: Product, offsets: Offsets): Promise<Nodes> {
    const node = async (party: AnyParty): Promise<PartyNode> => {
      const folder = path.join(this.folder, party);
      const edgeId = await createIdentity(product, party, folder);
      const offset = offsets[party] ?? 0;
      const whole = product.up(party, folder, offset);
      const spec = { party, edgeId, offset, folder };
      if (party !== 'a') return createNode({ ...spec, process: whole }, this.processes);
      const owner = { product, whole, folder, offset: offsets.a };
      const [process, room] = [ownerSpec(this.#options, owner), roomSpec(this.#options, owner)];
      return createNode({ ...spec, process, room }, this.processes);
    };
    const [central, a, b] = await Promise.all([node('central'), node('a'), node('b')]);
    const extras = await Promise.all(
      extrasOf(this.#options).map(async (name) => [name, await node(name)] as const),
    );
    return { central, a, b, ...Object.fromEntries(extras) };
  }
}

function directionsOf(node: PartyNode): string[] {
  if (node.party === 'central')
    return [`  ${node.title}: ledger ${node.url('ledger')}  arbitrator ${node.url('arbitrator')}`];
  const rooms = ['coreData', 'coreMetadata', 'coreCommand', 'orchestrator', 'arbitrator'] as const;
  return [`  ${node.title}: ${rooms.map((room) => `${room} ${node.url(room)}`).join('  ')}`];
}

/** Takes a temporary folder and a port offset for each party. Throws `unavailable`. */
export async function prepareSetting(
  options: DemoOptions,
  build: BuildProduct = buildProduct,
): Promise<Setting> {
  const claimed = await claimOffsets(PARTIES.length + extrasOf(options).length).catch((cause: unknown) => {
    if (cause instanceof NoFreeOffsetError) throw new DemoError('unavailable', cause.message, { cause });
    throw cause;
  });
  try {
    return new DemoSetting(options, build, claimed);
  } catch (error) {
    claimed.release();
    throw error;
  }
}

/** Removes what a demo that went well leaves behind. */
export function strike(setting: Setting): void {
  rmSync(setting.folder, { recursive: true, force: true });
}
