import { join } from 'node:path';
import { workspaceRoot } from '@antirio/bundle';
import { engineFault, ImageError, run } from '@antirio/edge-image';

/** Docker Compose on this machine: v2 as the engine's plugin or as a program, else docker-compose 1.29. */
export type ComposeCommand = readonly [command: string, ...args: string[]];

const FOLDER = join(workspaceRoot, 'docker/lab');

/** What the lab may have in place of what it has by itself; each is a file beside its compose.yml. */
export const OVERRIDES = ['tls', 'redis', 'mosquitto', 'kubo', 'chirpstack', 'cometbft'] as const;
export type Override = (typeof OVERRIDES)[number];

/** The lab's files, with these in place of what it has by itself. */
export function composeFiles(overrides: readonly Override[]): string[] {
  const chosen = OVERRIDES.filter((name) => overrides.includes(name));
  const both = chosen.includes('tls') && chosen.includes('mosquitto') ? ['mosquitto-tls'] : [];
  return ['compose', ...chosen, ...both].map((name) => join(FOLDER, `${name}.yml`));
}

const BUILT = join(workspaceRoot, 'node_modules/.cache/antirio/compose/docker-compose');

/** In the order in which they are tried. */
function candidates(env: NodeJS.ProcessEnv): ComposeCommand[] {
  const named = env['COMPOSE_BIN'];
  if (named !== undefined && named !== '') return [[named]];
  return [['docker', 'compose'], [BUILT], ['docker-compose']];
}

async function answers([command, ...args]: ComposeCommand): Promise<boolean> {
  try {
    return (await run(command, [...args, 'version'])).code === 0;
  } catch {
    return false;
  }
}

/** The Compose of this machine, or the one that `COMPOSE_BIN` names; undefined where there is none. */
export async function findCompose(env: NodeJS.ProcessEnv = process.env): Promise<ComposeCommand | undefined> {
  for (const one of candidates(env)) if (await answers(one)) return one;
  return undefined;
}

const MISSING =
  'there is no Docker Compose here: install docker-compose-v2 or docker-compose (Debian), or run tools/compose/build, or name one with COMPOSE_BIN';

/** @throws ImageError where there is none on this machine */
export async function theCompose(): Promise<ComposeCommand> {
  const found = await findCompose();
  if (found === undefined) throw new ImageError(MISSING);
  return found;
}

export interface ComposeProject {
  readonly project: string;
  readonly overrides: readonly Override[];
  /** What the files are to be given. */
  readonly variables: Readonly<Record<string, string>>;
}

/** Runs Compose on a lab. @throws ImageError where there is none, and with what it said where it failed */
export async function compose(
  { project, overrides, variables }: ComposeProject,
  ...args: readonly string[]
): Promise<string> {
  const [command, ...before] = await theCompose();
  const files = composeFiles(overrides).flatMap((file) => ['--file', file]);
  // Started as many at once as there are; an engine that ends so many at once may forget that one of them has left its network.
  const atOnce = args[0] === 'down' ? '4' : '64';
  const env = { ...process.env, COMPOSE_PARALLEL_LIMIT: atOnce, ...variables };
  const { code, out, err } = await run(command, [...before, '--project-name', project, ...files, ...args], {
    env,
  });
  if (code !== 0) throw new ImageError(engineFault(err));
  return out;
}
