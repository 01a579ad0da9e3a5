import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from './clock.ts';
import type { SimulatorConfig, SimulatorConfigInput } from './config.ts';
import type { Gateway, GatewayCounters } from './gateway.ts';
import type { TraceFrame } from './trace.ts';
import { createAgenda } from './agenda.ts';
import { systemClock } from './clock.ts';
import { parseConfig } from './config.ts';
import { SimulatorError } from './errors.ts';
import { openGateway } from './gateway.ts';
import { createTraceReader } from './trace.ts';
import { noTruthLog } from './truth.ts';

/** How a trace is sent again. */
export interface ReplayOptions {
  /** 1 is as it was, 10 ten times as fast. */
  readonly speed?: number;
  /** Leaves `tmst` as recorded; else it is of the gateway's clock now, so that downlinks find their time. */
  readonly keepTmst?: boolean;
  readonly clock?: Clock;
  /** Ends it early. */
  readonly signal?: AbortSignal;
}

/** What became of a trace. */
export interface ReplayReport {
  readonly frames: number;
  /** Frames that a server acknowledged. */
  readonly acked: number;
  readonly unreadableLines: number;
  readonly gateways: readonly (GatewayCounters & { readonly id: string })[];
}

// As fast as it goes, but never further ahead of the server than its socket may hold.
const MOST_UNACKNOWLEDGED = 64;
const DRAIN_MS = 2_000;
const POLL_MS = 5;

class Replay {
  readonly #options: Required<Pick<ReplayOptions, 'speed' | 'keepTmst'>> & Pick<ReplayOptions, 'signal'>;
  readonly #clock: Clock;
  readonly #gateways = new Map<string, Gateway>();
  readonly #agenda: ReturnType<typeof createAgenda>;
  #origin: { readonly monoMs: number; readonly traceMs: number } | undefined;
  #frames = 0;
  #acked = 0;

  constructor({ speed = 1, keepTmst = false, clock = systemClock(), signal }: ReplayOptions) {
    if (!(speed > 0)) throw new SimulatorError('badConfig', `speed must be above 0, got ${String(speed)}`);
    this.#options = { speed, keepTmst, ...(signal && { signal }) };
    this.#clock = clock;
    this.#agenda = createAgenda(clock);
  }

  async open(config: SimulatorConfig): Promise<void> {
    for (const gateway of config.gateways) {
      const { seed, radio } = config;
      const ports = { seed, radio, clock: this.#clock, agenda: this.#agenda, truth: noTruthLog };
      this.#gateways.set(gateway.id, await openGateway(gateway, { ...ports, onAir: () => undefined }));
    }
  }

  close(): void {
    this.#agenda.close();
    for (const gateway of this.#gateways.values()) gateway.close();
  }

  async send(frame: TraceFrame): Promise<void> {
    const gateway = this.#gateways.get(frame.gateway);
    if (gateway === undefined) {
      const reason = `line ${String(frame.line)}: gateway ${frame.gateway} is not in the configuration`;
      throw new SimulatorError('badTrace', reason);
    }
    await this.#untilDue(frame.atMs);
    while (gateway.pending.pushes > MOST_UNACKNOWLEDGED && this.#isWanted) await sleep(POLL_MS);
    if (!this.#isWanted) return;
    this.#frames += 1;
    let isAcked = false;
    const acknowledged = (): void => {
      if (!isAcked) this.#acked += 1;
      isAcked = true;
    };
    gateway.forward(frame.rxpk, { id: this.#frames, acknowledged }, this.#options.keepTmst);
  }

  async finish(unreadableLines: number): Promise<ReplayReport> {
    const gateways = [...this.#gateways.values()];
    const isBusy = (): boolean => gateways.some(({ pending }) => pending.frames + pending.pushes > 0);
    const endMs = this.#clock.monoMs() + DRAIN_MS;
    while (this.#isWanted && isBusy() && this.#clock.monoMs() < endMs) await sleep(POLL_MS);
    return {
      ...{ frames: this.#frames, acked: this.#acked, unreadableLines },
      gateways: gateways.map(({ id, counters }) => ({ id, ...counters })),
    };
  }

  get #isWanted(): boolean {
    return this.#options.signal?.aborted !== true;
  }

  async #untilDue(traceMs: number): Promise<void> {
    const { speed, signal } = this.#options;
    this.#origin ??= { monoMs: this.#clock.monoMs(), traceMs };
    const dueMs = this.#origin.monoMs + (traceMs - this.#origin.traceMs) / speed;
    const waitMs = dueMs - this.#clock.monoMs();
    if (waitMs >= 1) await sleep(waitMs, undefined, { signal }).catch(() => undefined);
  }
}

/**
 * Sends the frames of a trace again through the configured gateways, with the intervals between them. Its lines are a
 * truth log, or one JSON object each: `at` (ms) or `time` (ISO 8601), `gateway`, `rxpk`. Throws `badConfig`, `badTarget`,
 * `badTrace`.
 */
export async function replay(
  input: SimulatorConfigInput,
  lines: AsyncIterable<string>,
  options: ReplayOptions = {},
): Promise<ReplayReport> {
  const running = new Replay(options);
  try {
    await running.open(parseConfig(input));
    const reader = createTraceReader();
    for await (const line of lines) {
      if (options.signal?.aborted === true) break;
      const frame = reader.read(line);
      if (frame !== undefined) await running.send(frame);
    }
    return await running.finish(reader.unreadable);
  } finally {
    running.close();
  }
}
