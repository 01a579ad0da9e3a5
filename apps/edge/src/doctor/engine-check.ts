import { existsSync } from 'node:fs';
import { arch, userInfo } from 'node:os';
import { z } from 'zod';
import { httpPeer } from '@antirio/host';
import { AntirioError, describeError } from '@antirio/kernel';
import { ok, problem, warning, type Finding } from './finding.ts';

const DEFAULT_SOCKET = '/var/run/docker.sock';
/** Docker 20.10, which Debian 12 has. */
const LEAST_API = 1.41;

const version = z.looseObject({
  ApiVersion: z.string(),
  Arch: z.string(),
  Os: z.string().optional(),
  Version: z.string().optional(),
});
export type EngineVersion = z.output<typeof version>;

/** Go's names of architectures, which images carry, by Node's. */
const GO_ARCH: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64', arm: 'arm', ia32: '386' };

/** What an engine that answers can do for us. */
export function judgeEngine(
  { ApiVersion, Arch, Os = 'linux', Version = '?' }: EngineVersion,
  ownArch: string,
): Finding[] {
  const what = `container engine ${Version} (API ${ApiVersion}, ${Os}/${Arch})`;
  const wanted = GO_ARCH[ownArch] ?? ownArch;
  const findings: Finding[] = [];
  if (Number(ApiVersion) < LEAST_API)
    findings.push(
      problem('engine', `${what} is too old: API ${LEAST_API} (Docker 20.10) or later is needed`),
    );
  if (Arch !== wanted || Os !== 'linux')
    findings.push(
      problem(
        'engine',
        `${what} runs images of ${Os}/${Arch}, and this edge is linux/${wanted}: images of this edge do not start there. Let DOCKER_HOST name an engine of this host`,
      ),
    );
  return findings.length === 0 ? [ok('engine', what)] : findings;
}

/** Of the system call that failed, wherever among the causes. */
function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { code, cause } = error as { code?: unknown; cause?: unknown };
  return typeof code === 'string' && /^E[A-Z]+$/.test(code) ? code : codeOf(cause);
}

/** Why an engine's socket does not answer, and what to do. */
export function judgeSocket(path: string, code: string | undefined, user: string): Finding {
  if (code === 'EACCES' || code === 'EPERM')
    return problem(
      'engine',
      `this user (${user}) may not use the container engine at ${path}: usermod -aG docker ${user}, and log in anew; in a container, mount the socket and give it its group`,
    );
  if (code === 'ENOENT')
    return problem(
      'engine',
      `there is no container engine at ${path}: install one (apt install docker.io) or let DOCKER_HOST say where it is; or set orchestrator.runtime to process for images that you trust`,
    );
  if (code === 'ECONNREFUSED')
    return problem(
      'engine',
      `nobody answers at ${path}, the container engine has ended: systemctl start docker`,
    );
  return problem(
    'engine',
    `the container engine at ${path} does not answer (${code ?? 'no reason given'}): systemctl status docker`,
  );
}

async function versionAt(host: string): Promise<EngineVersion> {
  const isSocket = host.startsWith('unix://');
  const peer = httpPeer(
    isSocket ? { socketPath: host.slice('unix://'.length) } : { url: host.replace(/^tcp:/, 'http:') },
  );
  try {
    const answer = await peer.call({ path: '/version', timeoutMs: 3000 });
    if (answer.status !== 200) throw new AntirioError('unavailable', `it answers ${answer.status}`);
    return version.parse(answer.json());
  } finally {
    peer.close();
  }
}

/** The container engine, where this edge runs customers' services with one. */
export async function checkEngine(runtime: unknown, env: NodeJS.ProcessEnv): Promise<Finding[]> {
  if (runtime === 'balena') return [ok('engine', 'services run by the supervisor of this device')];
  if (runtime !== 'docker') {
    const better = existsSync(DEFAULT_SOCKET)
      ? '; there is a container engine: orchestrator.runtime docker isolates them better'
      : '';
    return [ok('engine', `customers' services are child processes${better}`)];
  }
  const host = env['DOCKER_HOST'] ?? `unix://${DEFAULT_SOCKET}`;
  if (!/^(?:unix|tcp|http):\/\//.test(host))
    return [warning('engine', `DOCKER_HOST is ${host}: only unix:// and tcp:// can be looked at`)];
  try {
    return judgeEngine(await versionAt(host), arch());
  } catch (error) {
    return host.startsWith('unix://')
      ? [judgeSocket(host.slice('unix://'.length), codeOf(error), userInfo().username)]
      : [
          problem(
            'engine',
            `the container engine at ${host} does not answer (${describeError(error)}): let DOCKER_HOST say where it is`,
          ),
        ];
  }
}
