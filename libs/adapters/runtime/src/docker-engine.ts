import type Docker from 'dockerode';
import { AntirioError, describeError, type ErrorCode } from '@antirio/kernel';

const CODES: Readonly<Record<number, ErrorCode>> = { 400: 'invalidInput', 404: 'notFound', 409: 'conflict' };

function statusOf(error: unknown): number | undefined {
  const status = (error as { statusCode?: unknown } | undefined)?.statusCode;
  return typeof status === 'number' ? status : undefined;
}

/** What the engine refused, in our words. */
export function engineError(what: string, error: unknown): AntirioError {
  if (error instanceof AntirioError) return error;
  const code = CODES[statusOf(error) ?? 0] ?? 'unavailable';
  return new AntirioError(code, `the container engine cannot ${what}: ${describeError(error)}`);
}

/** @throws AntirioError */
export async function asked<T>(what: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw engineError(what, error);
  }
}

/** The same where `statuses` mean that it is so already. */
export async function already(what: string, work: Promise<unknown>, ...statuses: number[]): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!statuses.includes(statusOf(error) ?? 0)) throw engineError(what, error);
  }
}

/** The answer, or undefined when there is no such thing. */
export async function ifThere<T>(what: string, work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (statusOf(error) === 404) return undefined;
    throw engineError(what, error);
  }
}

/**
 * The engine that `DOCKER_HOST` names, or the one behind the usual socket. The client is loaded here and not before.
 * @throws AntirioError unavailable when none answers.
 */
export async function openEngine(): Promise<Docker> {
  const { default: Client } = await import('dockerode');
  const docker = new Client();
  await asked('answer', docker.ping());
  return docker;
}

interface Progress {
  readonly error?: string;
}

/** Follows a long operation to its end. @throws AntirioError when it failed. */
export async function followed(docker: Docker, what: string, answer: NodeJS.ReadableStream): Promise<void> {
  const lines = await new Promise<Progress[]>((resolve, reject) => {
    docker.modem.followProgress(answer, (error: Error | null, output: Progress[]) => {
      if (error === null) resolve(output);
      else reject(engineError(what, error));
    });
  });
  const failed = lines.find(({ error }) => error !== undefined)?.error;
  if (failed !== undefined)
    throw new AntirioError('unavailable', `the container engine cannot ${what}: ${failed}`);
}

/** Splits the engine's mixed stream of stdout and stderr (Docker Engine API, "Stream format") into the text of both. */
export function demultiplex(mixed: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; at + 8 <= mixed.length;) {
    const end = at + 8 + mixed.readUInt32BE(at + 4);
    parts.push(mixed.subarray(at + 8, end));
    at = end;
  }
  return Buffer.concat(parts).toString('utf8');
}
