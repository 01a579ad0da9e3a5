import { AntirioError, fromUtf8 } from '@antirio/kernel';
import { httpPeer, retry, type HttpAnswer, type HttpPeer } from '@antirio/host';
import { z } from 'zod';
import type { LocalState, TargetState } from './target-state.ts';

export interface SupervisorOptions {
  /** `BALENA_SUPERVISOR_ADDRESS` */
  readonly address: string;
  /** `BALENA_SUPERVISOR_API_KEY` */
  readonly apiKey: string;
  /** Whether update locks of other services are overridden. */
  readonly force: boolean;
}

/** The part of the balena supervisor's API, version 2, that moves services (supervisor 16 and later). */
export interface Supervisor {
  /** Name and configuration of the device: what else stands in the answer cannot be given back as it comes. */
  local(): Promise<LocalState>;
  setTarget(target: TargetState): Promise<void>;
  /** Whether nothing of the newest target state is still to be made or removed. */
  isApplied(): Promise<boolean>;
  startService(appId: string, serviceName: string): Promise<void>;
  /** Resolves when it was asked to, not when it has ended. */
  stopService(appId: string, serviceName: string): Promise<void>;
  close(): void;
}

const TIMEOUT_MS = 30_000;
const MAX_STATE_BYTES = 8 << 20;
const ATTEMPTS = 5;
const FIRST_DELAY_MS = 200;
const MAX_DELAY_MS = 3000;

const PASSING: readonly string[] = ['unavailable', 'timeout', 'locked'];

const localAnswer = z.object({
  state: z.object({
    local: z.object({ name: z.string(), config: z.record(z.string(), z.string()) }),
  }),
});

const statusAnswer = z.object({ appState: z.string() });

/** What it says of itself, which is JSON, or a bare sentence. */
function complaintOf(answer: HttpAnswer): string {
  const text = fromUtf8(answer.body.subarray(0, 2000)).trim();
  try {
    const told = JSON.parse(text) as { message?: unknown; Error?: unknown };
    const said = told.message ?? told.Error;
    return typeof said === 'string' ? said : text;
  } catch {
    return text;
  }
}

/** What a status means, and what can be done about it. */
function refusal(what: string, answer: HttpAnswer): AntirioError {
  const { status } = answer;
  const said = complaintOf(answer);
  const details = { status, said };
  if (status === 401)
    return new AntirioError(
      'unauthenticated',
      `the balena supervisor knows no such key and does not ${what}: has the service the label io.balena.features.supervisor-api?`,
      details,
    );
  if (status === 423)
    return new AntirioError(
      'locked',
      `an update lock of another service keeps the balena supervisor from it (${what}): wait, or set orchestrator.balena.overrideLocks`,
      details,
    );
  if (status === 404)
    return new AntirioError('notFound', `the balena supervisor cannot ${what}: ${said}`, details);
  const code = status >= 500 ? 'unavailable' : 'invalidInput';
  return new AntirioError(code, `the balena supervisor refuses to ${what}: ${said}`, details);
}

/** A lock may be let go, a supervisor that starts anew comes back; what was refused stays refused. */
function mayPass(error: unknown): boolean {
  return error instanceof AntirioError && PASSING.includes(error.code);
}

class HttpSupervisor implements Supervisor {
  readonly #peer: HttpPeer;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #force: boolean;

  constructor({ address, apiKey, force }: SupervisorOptions) {
    this.#peer = httpPeer({ url: address });
    this.#headers = { authorization: `Bearer ${apiKey}` };
    this.#force = force;
  }

  async local(): Promise<LocalState> {
    const what = 'tell the target state (only a device in local mode does)';
    const answer = await this.#ask(what, 'GET', '/v2/local/target-state');
    const read = localAnswer.safeParse(answer.json());
    if (!read.success)
      throw new AntirioError('unavailable', 'the balena supervisor tells a target state of another shape', {
        issues: read.error.issues.map(({ path }) => path.join('.')),
      });
    return read.data.state.local;
  }

  async setTarget(target: TargetState): Promise<void> {
    await this.#ask('set the target state', 'POST', '/v2/local/target-state', {
      ...target,
      force: this.#force,
    });
  }

  async isApplied(): Promise<boolean> {
    const answer = await this.#ask('tell how far it is', 'GET', '/v2/state/status');
    return statusAnswer.safeParse(answer.json()).data?.appState === 'applied';
  }

  async startService(appId: string, serviceName: string): Promise<void> {
    await this.#act('start', appId, serviceName);
  }

  async stopService(appId: string, serviceName: string): Promise<void> {
    await this.#act('stop', appId, serviceName);
  }

  close(): void {
    this.#peer.close();
  }

  async #act(action: 'start' | 'stop', appId: string, serviceName: string): Promise<void> {
    const path = `/v2/applications/${encodeURIComponent(appId)}/${action}-service`;
    await this.#ask(`${action} ${serviceName}`, 'POST', path, { serviceName, force: this.#force });
  }

  #ask(what: string, method: 'GET' | 'POST', path: string, json?: unknown): Promise<HttpAnswer> {
    const options = {
      ...{ attempts: ATTEMPTS, firstDelayMs: FIRST_DELAY_MS, maxDelayMs: MAX_DELAY_MS },
      retryable: mayPass,
    };
    return retry(options, async () => {
      const answer = await this.#peer.call({
        ...{ method, path, headers: this.#headers, timeoutMs: TIMEOUT_MS, maxAnswerBytes: MAX_STATE_BYTES },
        ...(json === undefined ? {} : { json }),
      });
      if (answer.status !== 200) throw refusal(what, answer);
      return answer;
    });
  }
}

export function createSupervisor(options: SupervisorOptions): Supervisor {
  return new HttpSupervisor(options);
}
