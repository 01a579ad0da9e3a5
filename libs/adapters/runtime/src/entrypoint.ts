import { join, posix } from 'node:path';
import { AntirioError } from '@antirio/kernel';
import type { ImageConfig } from './image-archive.ts';

/** A program to start, in words of this host. */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface CommandOptions {
  readonly config: ImageConfig;
  /** The image's files, unpacked. */
  readonly root: string;
  /** The Node binary that stands in for the image's `node`. */
  readonly node: string;
  readonly memoryBytes: number;
  readonly env: Readonly<Record<string, string>>;
  /** Whether there is a file or folder at this path of the host. */
  readonly exists: (path: string) => boolean;
}

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const MIB = 1 << 20;
/** V8's old space is the largest part of a Node process, not all of it. */
const HEAP_SHARE = 0.75;
const LEAST_HEAP_MIB = 16;
/** Half of the young generation; left to itself it grows to 16 MiB, which a small service does not need. */
const YOUNG_HALF_MIB = 1;

function environmentOf(entries: readonly string[]): Record<string, string> {
  const env: Record<string, string> = { PATH: DEFAULT_PATH };
  for (const entry of entries) {
    const equals = entry.indexOf('=');
    if (equals > 0) env[entry.slice(0, equals)] = entry.slice(equals + 1);
  }
  return env;
}

function findProgram(name: string, path: string, options: CommandOptions): string {
  const inImage = (at: string): string => join(options.root, posix.normalize(`/${at}`));
  const candidates = name.includes('/')
    ? [name.startsWith('/') ? name : posix.join(options.config.config.WorkingDir, name)]
    : path.split(':').map((folder) => posix.join(folder, name));
  const found = candidates.map(inImage).find((at) => options.exists(at));
  if (found === undefined)
    throw new AntirioError('invalidInput', `the image has no program ${name}`, { name });
  return found;
}

/**
 * What an image's entrypoint means without a container around it: `node` is this machine's Node, absolute paths that exist in
 * the image are the unpacked ones, and nothing of this process's own environment is handed on.
 *
 * @throws AntirioError invalidInput when the image names no program, or one that it does not have.
 */
export function commandOf(options: CommandOptions): Command {
  const { config } = options.config;
  const [program, ...rest] = [...config.Entrypoint, ...config.Cmd];
  if (program === undefined) throw new AntirioError('invalidInput', 'the image names no entrypoint');
  const env = { ...environmentOf(config.Env), ...options.env };
  const args = rest.map((arg) => {
    if (!arg.startsWith('/')) return arg;
    const unpacked = join(options.root, posix.normalize(arg));
    return options.exists(unpacked) ? unpacked : arg;
  });
  const cwd = join(options.root, posix.normalize(`/${config.WorkingDir}`));
  const isNode = posix.basename(program) === 'node';
  if (!isNode) return { file: findProgram(program, env['PATH'] ?? DEFAULT_PATH, options), args, cwd, env };
  const heapMib = Math.max(LEAST_HEAP_MIB, Math.floor((options.memoryBytes * HEAP_SHARE) / MIB));
  const flags = [`--max-old-space-size=${heapMib}`, `--max-semi-space-size=${YOUNG_HALF_MIB}`];
  return { file: options.node, args: [...flags, ...args], cwd, env };
}
