import { repeat, type Log, type Repeating } from '@antirio/host';
import { AntirioError, describeError } from '@antirio/kernel';
import type { Instance } from '@antirio/runtime';
import { observeService, planService, type ObservedService, type Step } from './service-plan.ts';
import type { ServiceRecord } from './service-record.ts';
import { look, newState, parseStatus, type ServiceRoom, type ServiceStatus } from './service-room.ts';
import { doStep } from './service-steps.ts';
import { createSetbacks, type Setbacks } from './setbacks.ts';

/** How one service is, for whoever asks. */
export interface ServiceReport {
  readonly observed: ObservedService;
  readonly detail: string;
  /** What went wrong last, until it has run well for a while. `passes`: it is tried again, at growing intervals. */
  readonly setback?: { readonly reason: string; readonly passes: boolean };
  /** It does not run, and nothing that is under way will make it. */
  readonly stopped: boolean;
  readonly serviceStatus?: ServiceStatus;
  readonly instance?: Instance;
}

/** The work of bringing one contract's service to where it is wanted, and of keeping it there. */
export interface ServiceWork {
  /** The wish changed: what stood in the way of the last one may not any more. */
  wish(): void;
  /** A message on the service's status topic. */
  hear(payload: Uint8Array): void;
  /** The service's process or container ended. */
  ended(): void;
  report(): Promise<ServiceReport>;
  /** Ends the work; the runtime ends the instance. */
  stop(): Promise<void>;
}

const TICK_MS = 500;
/** An order may get lost while the service finds its way back to the bus: it is given again soon. */
const ORDER_AGAIN_MS = 100;
/** A service that has run so long has got over what went wrong before. */
const STABLE_MS = 10_000;
const MAX_ROUNDS = 8;

export class ServiceLoop implements ServiceWork {
  readonly #room: ServiceRoom;
  readonly #id: string;
  readonly #log: Log;
  readonly #onGone: () => void;
  readonly #onNews: () => void;
  readonly #state = newState();
  readonly #setbacks: Setbacks;
  readonly #repeating: Repeating;
  #generation = 0;
  #doing: Step | undefined;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param onGone called, perhaps more than once, when there is no record of the service any more.
   * @param onNews called when a change of versions that waits for this one may go on.
   */
  constructor(room: ServiceRoom, serviceId: string, onGone: () => void, onNews: () => void) {
    this.#room = room;
    this.#onGone = onGone;
    this.#onNews = onNews;
    this.#id = serviceId;
    this.#log = room.log.child({ serviceId });
    this.#setbacks = createSetbacks(room.clock, room.random);
    this.#repeating = repeat(`service ${serviceId}`, TICK_MS, this.#log, () => this.#work());
  }

  wish(): void {
    this.#generation++;
    this.#setbacks.clear();
    this.#repeating.poke();
  }

  hear(payload: Uint8Array): void {
    const status = parseStatus(payload);
    if (status === undefined) return;
    const changed = status.state !== this.#state.status?.state;
    this.#state.status = status;
    this.#state.heardAt = this.#room.clock.monotonic();
    if (!changed) return;
    this.#repeating.poke();
    this.#tellNews();
  }

  ended(): void {
    const expected = this.#doing === 'stop' || this.#doing === 'remove';
    if (!expected) this.#setbacks.note(new AntirioError('unavailable', 'the service ended by itself'));
    this.#state.status = undefined;
    this.#repeating.poke();
  }

  async report(): Promise<ServiceReport> {
    const wanted = this.#record();
    if (wanted === undefined) return { observed: 'absent', detail: 'removed', stopped: true };
    // A start that is under way is seen here, or has been seen through by the next line
    const isIdle = this.#doing === undefined;
    const instance = await this.#room.runtime.instance(this.#id);
    const seen = await look(this.#room, wanted, this.#state);
    const plan = planService(wanted, seen);
    const { status } = this.#state;
    const { detail: reason, permanent } = this.#setbacks;
    return {
      observed: observeService(wanted, seen, this.#setbacks.failed && plan.length > 0),
      detail: this.#detail(plan, wanted),
      stopped: isIdle && instance?.state !== 'running' && instance?.state !== 'frozen',
      ...(reason === undefined ? {} : { setback: { reason, passes: !permanent } }),
      ...(status === undefined ? {} : { serviceStatus: status }),
      ...(instance === undefined ? {} : { instance }),
    };
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#repeating.stop();
    clearTimeout(this.#timer);
    await this.#state.rim?.close();
  }

  #lookAgainSoon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#repeating.poke(), ORDER_AGAIN_MS);
  }

  #record(): ServiceRecord | undefined {
    return this.#room.store.services.get(this.#id);
  }

  #detail(plan: readonly Step[], { halted }: ServiceRecord): string {
    if (this.#doing !== undefined) return `doing: ${this.#doing}`;
    const asWanted = halted === true ? 'stopped while its data are handed over' : 'as wanted';
    const idle = plan.length === 0 ? asWanted : `next: ${plan.join(', ')}`;
    return this.#setbacks.detail ?? idle;
  }

  async #work(): Promise<void> {
    const generation = this.#generation;
    try {
      await this.#settle();
    } catch (error) {
      // What went wrong for a wish that is over says nothing about the one that took its place
      if (generation !== this.#generation) return;
      this.#setbacks.note(error);
      const attempt = this.#setbacks.count;
      this.#log.warn({ step: this.#doing, error: describeError(error), attempt }, 'a service step failed');
    } finally {
      const did = this.#doing !== undefined;
      this.#doing = undefined;
      if (did) this.#tellNews();
    }
  }

  #tellNews(): void {
    const record = this.#record();
    if (record?.role === 'next' || record?.halted === true) this.#onNews();
  }

  async #settle(): Promise<void> {
    const { clock } = this.#room;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const wanted = this.#record();
      if (wanted === undefined) this.#onGone();
      if (wanted === undefined || clock.monotonic() < this.#setbacks.retryAt) return;
      // What is seen belongs to this wish only: another one may come, with its secrets, while we look
      const generation = this.#generation;
      const plan = planService(wanted, await look(this.#room, wanted, this.#state));
      const ranWell = clock.monotonic() - this.#state.startedAt > STABLE_MS;
      if (plan.length === 0 && ranWell) this.#setbacks.clear();
      if (!(await this.#carryOut(plan, wanted, generation))) return;
    }
  }

  /** False when there is nothing more to do for now: the goal is reached, or the service has to say something first. */
  async #carryOut(plan: readonly Step[], wanted: ServiceRecord, generation: number): Promise<boolean> {
    for (const step of plan) {
      if (generation !== this.#generation) return true;
      if (step === 'awaitService') {
        if (this.#doing === 'activate') this.#lookAgainSoon();
        return false;
      }
      this.#doing = step;
      this.#log.debug({ step }, 'service step');
      // A step before this one may have written what it found out
      await doStep(step, { room: this.#room, record: this.#record() ?? wanted, state: this.#state });
    }
    return plan.length > 0 || generation !== this.#generation;
  }
}
