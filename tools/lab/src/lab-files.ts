import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle, bundleProgram, workspaceRoot } from '@antirio/bundle';
import { completeOptions, type DemoOptions } from '@antirio/demo';
import { simulatorConfig, writeConfigs, type AnyParty, type PartyName, type Way } from '@antirio/demo/scenes';
import { packDeviceImage } from '@antirio/device-image';
import { makeIdentityFile } from '@antirio/host';
import type { Device } from '@antirio/lora-simulator';
import { docker, run, ImageError } from '@antirio/edge-image';
import { writeLabFederation } from './lab-federation.ts';
import type { VolumeFiles } from './lab-secrets.ts';
import { labFolder, type LabState } from './lab-state.ts';
import type { Door } from './packet-filter.ts';

/** Addresses of the doors in the network between the edges, as docker/lab/compose.yml has them. */
const DOORS: Readonly<Record<PartyName, number>> = { central: 10, a: 20, b: 30 };
/** And of the gateway bridges in that of the air. */
const BRIDGES = { a: 21, b: 31 } as const;

/** How edge A may fail here: what is left out is in a process's own files or hands, or asks for more of the kernel. */
export const LAB_FAILURES = ['sigkill', 'freeze', 'partition', 'one-way', 'loss', 'arbitrator'] as const;
export type LabFailure = (typeof LAB_FAILURES)[number];

/** What the lab's motes and its contract are like: the demo's, kept running. */
export const labOptions = (seed: string, kill: LabFailure = 'sigkill'): DemoOptions =>
  completeOptions({ seed, kill, keep: true });

/** Where a party reaches another, by the addresses of the network between them. */
export function wayIn({ betweenEdges }: LabState['subnets']): (from: PartyName, to: PartyName) => Way {
  return (_from, to) => {
    const host = `${betweenEdges}.${DOORS[to]}`;
    return { url: `http://${host}:59716`, udp: { host, port: 59_717 } };
  };
}

/** The container by which others reach a party. */
export function doorOf(
  { betweenEdges }: LabState['subnets'],
  containers: ReadonlyMap<string, string>,
  party: AnyParty,
): Door {
  const service = party === 'central' ? party : `${party}-edge2edge`;
  const container = containers.get(service);
  if (container === undefined) throw new ImageError(`the lab has no container ${service}`);
  return { container, address: `${betweenEdges}.${DOORS[party as PartyName]}` };
}

/** The identity of each party, made new; its edge id. */
export function makeIdentities(project: string): Record<PartyName, string> {
  const identity = (party: PartyName): string => {
    mkdirSync(join(labFolder(project), party), { recursive: true });
    return makeIdentityFile(join(labFolder(project), party, 'identity.json')).edgeId;
  };
  return { central: identity('central'), a: identity('a'), b: identity('b') };
}

const radioFolder = (project: string): string => join(labFolder(project), 'radio');

/** The folder that the simulator's container sees: made by us, or the engine makes it its own. */
export function makeRadioFolder(project: string): void {
  mkdirSync(radioFolder(project), { recursive: true });
  // The container's user is another one than ours.
  chmodSync(radioFolder(project), 0o777);
}

/** The simulator as one file with its configuration, in the folder that its container sees, and its motes. */
async function writeRadio({ project, subnets }: LabState, options: DemoOptions): Promise<Device[]> {
  const folder = radioFolder(project);
  const program = await bundleProgram(
    join(workspaceRoot, 'tools/lora-simulator/src/main.ts'),
    join(folder, 'simulator'),
  );
  const config = simulatorConfig(options, { a: 0, b: 0 });
  const gateways = (config['gateways'] as object[]).map((gateway, index) => ({
    ...gateway,
    host: `${subnets.air}.${index === 0 ? BRIDGES.a : BRIDGES.b}`,
  }));
  const [file, devices] = [join(folder, 'simulator.json'), join(folder, 'devices.json')];
  writeFileSync(file, JSON.stringify({ ...config, gateways }));
  execFileSync(process.execPath, [program, '--config', file, '--export-devices', devices]);
  return JSON.parse(readFileSync(devices, 'utf8')) as Device[];
}

/** Writes everything that the parties' volumes and the simulator start with. */
export async function writeLabFiles(state: LabState, options: DemoOptions): Promise<void> {
  const folder = labFolder(state.project);
  const devices = await writeRadio(state, options);
  const { 'device-lora': main } = await bundle({ outDir: join(folder, 'bundle'), only: ['device-lora'] });
  if (main === undefined) throw new ImageError('the sources of the device service are not here');
  const deviceImage = join(folder, 'device-service.tar');
  await packDeviceImage(main, deviceImage);
  const { parties, subnets } = state;
  const product = { deviceImage };
  writeConfigs({
    ...{ options, folder, seenAs: '/data', product, devices },
    ...{ network: { way: wayIn(subnets) }, nodes: parties },
  });
  if (state.overrides.includes('cometbft')) writeLabFederation(folder, parties.central.edgeId, new Date());
}

// Runs in a container of the image, as root: what it writes belongs to the user of those who read it.
const WRITER = `
const fs = require('fs'), path = require('path');
const own = (file) => fs.chownSync(file, 1000, 1000);
for (const { name, content } of JSON.parse(fs.readFileSync(0, 'utf8'))) {
  const parts = path.dirname(name).split('/').slice(2);
  parts.forEach((_, depth) => {
    const folder = path.join('/v', ...parts.slice(0, depth + 1));
    if (!fs.existsSync(folder)) fs.mkdirSync(folder, { mode: 0o700 });
    own(folder);
  });
  fs.writeFileSync(name, Buffer.from(content, 'base64'), { mode: 0o600 });
  own(name);
}`;

/** The files of a party's folder, which go to the volume of that party. */
function filesOf(project: string, party: PartyName): Record<string, Buffer> {
  const folder = join(labFolder(project), party);
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(files.map((file) => [file.slice(folder.length + 1), readFileSync(file)]));
}

/** Fills a party's volume with the files of its folder, and others with what is said, by one container. */
export async function fillVolumes(
  { project, image }: LabState,
  party: PartyName,
  others: readonly VolumeFiles[],
): Promise<void> {
  const data = party === 'central' ? 'central' : `edge-${party}`;
  const all = [{ volume: data, files: filesOf(project, party) }, ...others];
  const volumes = new Set(all.map(({ volume }) => volume));
  const mounts = [...volumes].flatMap((volume) => ['--volume', `${project}_${volume}:/v/${volume}`]);
  const input = all.flatMap(({ volume, files }) =>
    Object.entries<string | Buffer>(files).map(([name, content]) => ({
      name: `/v/${volume}/${name}`,
      content: Buffer.from(content).toString('base64'),
    })),
  );
  const flags = ['--rm', '--interactive', '--network', 'none', '--user', '0:0', '--entrypoint', 'node'];
  const { code, err } = await run('docker', ['run', ...flags, ...mounts, image, '-e', WRITER], {
    input: JSON.stringify(input),
  });
  if (code !== 0) throw new ImageError(`the volumes of ${party} cannot be filled: ${err.trim()}`);
}

/** Ids of a project's containers by their services. */
export async function containersOf(project: string): Promise<Map<string, string>> {
  const label = `label=com.docker.compose.project=${project}`;
  const format = '{{.Label "com.docker.compose.service"}} {{.ID}}';
  const lines = await docker(['ps', '--all', '--no-trunc', '--filter', label, '--format', format]);
  const pairs = lines.split('\n').filter((line) => line !== '');
  return new Map(pairs.map((line) => line.split(' ') as [string, string]));
}
