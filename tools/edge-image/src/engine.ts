import { spawn } from 'node:child_process';

/** What the person at the keyboard can do something about; the message says what. */
export class ImageError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ImageError';
  }
}

const INSTALL = 'install it (Debian: apt-get install docker.io) or name one with DOCKER_HOST';

/** What the engine's client says, and what is behind it and to be done. */
const FAULTS: readonly (readonly [RegExp, string])[] = [
  [
    /permission denied.*(?:docker\.sock|Docker daemon socket)/is,
    'this user may not talk to the container engine: add it to the group docker (sudo usermod -aG docker "$USER") and log in again, or use sudo',
  ],
  [
    /Cannot connect to the Docker daemon|error during connect|no such host|connection refused.*docker/is,
    'no container engine answers: start it (sudo systemctl start docker), or name a running one with DOCKER_HOST',
  ],
  [
    /exec format error|does not match the (?:specified|detected host) platform/i,
    'the image is for another processor: build it on this machine, or on any one with --base of this architecture (uname -m tells which)',
  ],
  [
    /no space left on device/i,
    'the disk of the container engine is full: docker system df tells what to remove',
  ],
  [
    /Pool overlaps with other one on this address space/i,
    'the addresses of the lab’s networks are taken on this machine: choose others, LAB_SUBNET=10.77.1 LAB_AIR_SUBNET=10.77.2',
  ],
  [
    /(?:port is already allocated|address already in use)/i,
    'a port that a container publishes is taken: end what has it (ss -ltnup shows), or choose others',
  ],
  [
    /pull access denied|manifest unknown|lookup .* (?:no such host|on )|failed to resolve reference|registry.*(?:timeout|refused)|request canceled while waiting for connection|i\/o timeout/is,
    'the base image is not here and cannot be fetched: leave --base out, and one is made of packages of npm and Debian',
  ],
];

/** The sentence for what the engine's client said; what it said itself where there is none. */
export function engineFault(said: string): string {
  const known = FAULTS.find(([pattern]) => pattern.test(said))?.[1];
  const last = said.trim().split('\n').slice(-3).join('\n');
  return known === undefined ? `the container engine refused: ${last}` : `${known}\n(${last})`;
}

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** For its stdin. */
  readonly input?: string;
}

/** Runs a command to its end, whatever that is. @throws ImageError where it cannot be started */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      ...{ cwd: options.cwd, env: options.env ?? process.env },
      stdio: 'pipe',
    });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    // Who ends before it has read all says why by its exit code.
    child.stdin.on('error', () => undefined).end(options.input ?? '');
    child.once('error', (cause: NodeJS.ErrnoException) => {
      const isMissing = cause.code === 'ENOENT';
      const why = isMissing ? `there is no ${command} here: ${INSTALL}` : cause.message;
      reject(new ImageError(why, { cause }));
    });
    child.once('close', (code) => resolve({ code: code ?? 1, out, err }));
  });
}

/** Runs the engine's client and gives what it printed. @throws ImageError saying what is wrong and what to do */
export async function docker(args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, out, err } = await run('docker', args, options);
  if (code !== 0) throw new ImageError(engineFault(`${err}\n${code === 127 ? out : ''}`));
  return out.trim();
}
