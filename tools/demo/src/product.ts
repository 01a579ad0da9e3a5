import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { keptBundle, MutationError, nodeFlags, type Bundle, type BundleOptions } from '@antirio/bundle';
import { z } from 'zod';
import { buildDeviceImage } from './device-image.ts';
import { DemoError } from './errors.ts';
import type { AnyParty } from './network.ts';
import type { DemoOptions } from './options.ts';
import type { ProcessSpec } from './processes.ts';
import { SABOTAGE } from './sabotage.ts';

export const CONFIG_NAME = 'antirio.jsonc';
const NAMES: Readonly<Record<AnyParty, string>> = {
  ...{ central: 'central', a: 'edge-a', b: 'edge-b' },
  ...{ c: 'edge-c', d: 'edge-d' },
};

/** What the demo is about, ready to be run. */
export interface Product {
  /** What was built, for the reader. */
  readonly built: readonly string[];
  /** The `antirio` command, as arguments of Node. */
  readonly antirio: readonly string[];
  /** Docker archive of the device service's image. */
  readonly deviceImage: string;
  /** The whole party in one process. */
  up(party: AnyParty, folder: string, offset: number): ProcessSpec;
  /** Some services of an edge in a process of their own. */
  serve(name: string, services: readonly string[], folder: string, offset: number): ProcessSpec;
}

async function bundled(options: BundleOptions): Promise<Bundle> {
  try {
    return await keptBundle(options);
  } catch (cause) {
    if (!(cause instanceof MutationError)) throw cause;
    throw new DemoError('badSabotage', cause.message, { cause });
  }
}

/** Bundles the product, with the one check removed where sabotage is asked for, and builds the device service's image. */
export async function buildProduct(options: DemoOptions, folder: string): Promise<Product> {
  const { sabotage, imageEdit, runtime } = options;
  const removed = sabotage === undefined ? [] : SABOTAGE[sabotage];
  const made = await bundled({ outDir: path.join(folder, 'bundle'), mutate: removed });
  // An edit of the image alone: what B runs then differs from what runs at A, and only by this.
  const imageSource =
    imageEdit === undefined
      ? made
      : await bundled({ outDir: path.join(folder, 'image-bundle'), mutate: [...removed, imageEdit] });
  const { antirio } = made;
  const { 'device-lora': device } = imageSource;
  if (antirio === undefined || device === undefined)
    throw new DemoError('process', 'the bundle lacks the command or the device service');
  const deviceImage = path.join(folder, 'device-service.tar');
  const image = await buildDeviceImage({ bundle: device, archive: deviceImage, runtime });
  const command = (name: string, words: readonly string[], dataDir: string, offset: number): ProcessSpec => ({
    name,
    args: [
      ...[...nodeFlags, antirio, ...words],
      ...['--config', path.join(dataDir, CONFIG_NAME), '--data-dir', dataDir],
      ...['--port-offset', String(offset), '--bind', '127.0.0.1', '--json'],
    ],
  });
  const built = ['the antirio command', image, ...(sabotage === undefined ? [] : [`sabotaged: ${sabotage}`])];
  return {
    ...{ built, antirio: [antirio], deviceImage },
    up: (party, dataDir, offset) =>
      command(NAMES[party], ['up', '--role', party === 'central' ? 'central' : 'edge'], dataDir, offset),
    serve: (name, services, dataDir, offset) => command(name, ['serve', ...services], dataDir, offset),
  };
}

/** Makes the product that these options ask for, in a folder of the demo's where it is for that one alone. */
export type BuildProduct = (options: DemoOptions, folder: string) => Promise<Product>;

/** Products that several demos share: each kind is built once. */
export interface SharedProducts {
  readonly build: BuildProduct;
  /** Removes what was built. */
  remove(): void;
}

export function shareProducts(): SharedProducts {
  const folder = mkdtempSync(path.join(tmpdir(), 'antirio-products-'));
  const made = new Map<string, Promise<Product>>();
  return {
    build(options) {
      const { sabotage, imageEdit, runtime } = options;
      const kind = JSON.stringify({ sabotage, imageEdit, runtime });
      const product = made.get(kind) ?? buildIn(options, path.join(folder, String(made.size)));
      made.set(kind, product);
      return product;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

async function buildIn(options: DemoOptions, folder: string): Promise<Product> {
  mkdirSync(folder);
  return buildProduct(options, folder);
}

const run = promisify(execFile);
const identitySchema = z.looseObject({ edgeId: z.string() });

/** `antirio init` for one party: keys and a commented configuration in its folder. Gives its id. */
export async function createIdentity(product: Product, party: AnyParty, dataDir: string): Promise<string> {
  mkdirSync(dataDir, { recursive: true });
  const role = party === 'central' ? 'central' : 'edge';
  try {
    await run(process.execPath, [...product.antirio, 'init', '--role', role, '--data-dir', dataDir]);
    return identitySchema.parse(JSON.parse(readFileSync(path.join(dataDir, 'identity.json'), 'utf8'))).edgeId;
  } catch (cause) {
    throw new DemoError('process', `antirio init failed for ${NAMES[party]}: ${String(cause)}`, { cause });
  }
}
