import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CoreService, CoreServices } from '@antirio/core-services';
import { KNOWN } from './seeds.ts';

const DOCUMENTS = join(import.meta.dirname, '../../edgex-contract/openapi');
/** A request that has no answer by then counts as a failure. */
const REQUEST_TIMEOUT_S = 20;

/** Which names requests ask for: any, as drawn, or mostly the ones that are there. */
export type Names = 'drawn' | 'known';

export interface Round {
  readonly service: CoreService;
  readonly names: Names;
  readonly seconds: number;
  readonly seed: number;
}

export interface Outcome {
  readonly round: Round;
  /** Requests that were sent. */
  readonly cases: number;
  /** Of the document; a short time on a slow machine may not do for all of them. */
  readonly operations: Report['operations'];
  /** In words; undefined where there was no server error, no hang and no end of the services. */
  readonly complaint: string | undefined;
}

interface Report {
  readonly test_cases: { readonly generated: number };
  readonly operations: { readonly selected: number; readonly tested: number };
}

const NOTHING: Report = { test_cases: { generated: 0 }, operations: { selected: 0, tested: 0 } };

/** Known names are given for the parameters of paths; the rest of a request is drawn. */
function configurationOf(names: Names): string {
  if (names === 'drawn') return '';
  const lines = Object.entries(KNOWN).map(([parameter, value]) => `"path.${parameter}" = "${value}"`);
  return `[parameters]\n${lines.join('\n')}\n`;
}

/** In a new folder, because it keeps what failed in the current one and tries that first the next time. */
function runSchemathesis(
  command: string,
  args: readonly string[],
  cwd: string,
): Promise<{ code: number | null; text: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, text }));
  });
}

async function isReady(core: CoreServices, service: CoreService): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_S * 1000);
    return (await fetch(`${core.urlOf(service)}/api/v3/ready`, { signal })).ok;
  } catch {
    return false;
  }
}

/** From the first failure on. */
function failuresIn(text: string): string {
  const from = text.search(/=+ (?:FAILURES|ERRORS) =+/);
  return from < 0 ? text.slice(-4000) : text.slice(from, from + 8000);
}

/** Whether the services came through it. */
async function harmDone(core: CoreServices, service: CoreService): Promise<string | undefined> {
  if (!core.isRunning()) return `the services ended:\n${core.lastWords()}`;
  return (await isReady(core, service)) ? undefined : `${service} is not ready afterwards`;
}

/** Sends what schemathesis draws from EdgeX's OpenAPI document to one service. */
export async function fuzzService(command: string, core: CoreServices, round: Round): Promise<Outcome> {
  const { service, names, seconds, seed } = round;
  const label = join(core.folder, `${service}-${names}`);
  writeFileSync(`${label}.toml`, configurationOf(names));
  const { code, text } = await runSchemathesis(
    command,
    [
      ...['--no-color', '--config-file', `${label}.toml`, 'run', join(DOCUMENTS, `${service}.yaml`)],
      ...[
        '--url',
        `${core.urlOf(service)}/api/v3`,
        '--checks',
        'not_a_server_error',
        '--continue-on-failure',
      ],
      ...['--seed', String(seed), '--max-time', String(seconds), '--warnings', 'off'],
      ...['--request-timeout', String(REQUEST_TIMEOUT_S), '--report', 'json'],
      ...['--report-json-path', `${label}.json`],
    ],
    core.folder,
  );
  const report = existsSync(`${label}.json`)
    ? (JSON.parse(readFileSync(`${label}.json`, 'utf8')) as Report)
    : NOTHING;
  const complaints = [
    code === 0 ? undefined : `schemathesis ended with ${code ?? 'a signal'}:\n${failuresIn(text)}`,
    report.test_cases.generated === 0 ? 'nothing was sent' : undefined,
    await harmDone(core, service),
  ].filter((complaint) => complaint !== undefined);
  return {
    round,
    cases: report.test_cases.generated,
    operations: report.operations,
    complaint: complaints.length === 0 ? undefined : complaints.join('\n'),
  };
}
