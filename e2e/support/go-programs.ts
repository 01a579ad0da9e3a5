import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { runCommand } from './command.ts';

/** Where the foreign programs' sources are. */
export const GO_SOURCES = path.resolve(import.meta.dirname, '../../tools/edgex-go');

/** What `go.mod` asks for. */
const OLDEST = [1, 23] as const;

function versionOf(go: string): readonly [number, number] | undefined {
  try {
    const told = execFileSync(go, ['env', 'GOVERSION'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const [, major, minor] = /^go(\d+)\.(\d+)/.exec(told) ?? [];
    return major === undefined ? undefined : [Number(major), Number(minor)];
  } catch {
    return undefined;
  }
}

/** Debian's packages of a version that is not the release's own stand apart: /usr/lib/go-1.24/bin. */
function debianGos(): string[] {
  const folder = '/usr/lib';
  if (!existsSync(folder)) return [];
  const versions = readdirSync(folder).filter((name) => /^go-\d/.test(name));
  return versions.map((name) => path.join(folder, name, 'bin/go'));
}

/** A `go` that can build the programs; undefined where there is none. */
export function findGo(): string | undefined {
  return ['go', '/usr/local/go/bin/go', ...debianGos()].find((go) => {
    const version = versionOf(go);
    return version !== undefined && (version[0] > OLDEST[0] || version[1] >= OLDEST[1]);
  });
}

export interface GoPrograms {
  readonly client: string;
  readonly device: string;
}

/** Builds both into a folder; what Go has compiled before, it does not compile again. */
export async function buildGoPrograms(go: string, folder: string): Promise<GoPrograms> {
  const flags = ['-mod=readonly', '-buildvcs=false', '-tags', 'no_openziti', '-trimpath'];
  const build = ['build', '-C', GO_SOURCES, ...flags, '-o', `${folder}/`, './client', './device'];
  // Without a C compiler, so that none is needed; .ci/run builds with the same settings.
  const said = await runCommand('env', ['CGO_ENABLED=0', go, ...build]);
  if (said.code !== 0) throw new Error(`go build ended with ${said.code}: ${said.stderr}`);
  return { client: path.join(folder, 'client'), device: path.join(folder, 'device') };
}
