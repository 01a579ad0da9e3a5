import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bundle, digestOf, workspaceRoot } from '@antirio/bundle';
import { docker, ImageError, run } from './engine.ts';

/** What the lab and the tests run, and `npm run edge-image` makes where nothing else is said. */
export const EDGE_IMAGE = 'antirio:0.1.0';
/** Of the image: the digest of the bundle in it. */
export const BUNDLE_LABEL = 'antirio.bundle';

/** `amd64` or `arm64`, as engines and Debian name it; what is neither is refused by those who build for it. */
const ENGINE_ARCH: Readonly<Record<string, string>> = { x86_64: 'amd64', aarch64: 'arm64' };

/** The base image for the engine's machine, made of packages of npm and Debian where it is not there yet. */
export async function localBase(): Promise<string> {
  const machine = await docker(['info', '--format', '{{.Architecture}}']);
  const arch = ENGINE_ARCH[machine] ?? machine;
  const tag = `antirio/base:${arch}`;
  const there = await run('docker', ['image', 'inspect', '--format', '{{.Id}}', tag]);
  if (there.code === 0) return tag;
  const built = await run(join(workspaceRoot, 'tools/base-image/build'), ['--arch', arch, '--tag', tag]);
  if (built.code !== 0) throw new ImageError(`the base image was not made: ${built.err.trim()}`);
  return tag;
}

/** Docker 25: from then on an engine can look more often while a container starts, and its builder knows how that is said. */
const KNOWS_START_INTERVAL = 1.44;

/** docker/Dockerfile as an engine of this version of the API is best given it. */
export function dockerfileFor(apiVersion: string, text: string): string {
  if (!(Number(apiVersion) >= KNOWS_START_INTERVAL)) return text;
  return text.replace(/^HEALTHCHECK /m, 'HEALTHCHECK --start-interval=500ms ');
}

export interface BuiltImage {
  readonly tag: string;
  readonly base: string;
  /** SHA-256 of the bundle in it. */
  readonly digest: string;
}

/** Bundles what is here and builds the image on a base; on one of our own making where none is named. */
export async function buildImage(tag: string, namedBase?: string): Promise<BuiltImage> {
  const base = namedBase ?? (await localBase());
  const { antirio } = await bundle({ outDir: join(workspaceRoot, 'dist') });
  if (antirio === undefined) throw new ImageError('the sources of the command are not here');
  const digest = digestOf(dirname(antirio));
  const flags = ['--build-arg', `BASE_IMAGE=${base}`, '--label', `${BUNDLE_LABEL}=${digest}`];
  // With the bundle that is there it needs no network, and gets none.
  const how = ['--quiet', '--network', 'none', '--file', '-'];
  const api = await docker(['version', '--format', '{{.Server.APIVersion}}']);
  const input = dockerfileFor(api, readFileSync(join(workspaceRoot, 'docker/Dockerfile'), 'utf8'));
  await docker(['build', ...how, ...flags, '--tag', tag, '.'], { cwd: workspaceRoot, input });
  return { tag, base, digest };
}
