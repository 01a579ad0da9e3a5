import { z } from 'zod';
import { createMqttBus } from '@antirio/bus';
import { callJson, httpPeer, type Bus, type Log, type Subscription } from '@antirio/host';
import { AntirioError, fromHex, fromUtf8 } from '@antirio/kernel';
import type { Link } from './flight.ts';
import { ackTag } from './frame.ts';
import type { FlightPlan, Leg } from './plan.ts';

const ASK_MS = 1_000;
const ACK_MS = 2_000;
/** A service tells its state twice a second; one that has not for so long is not there. */
const SILENT_MS = 1_500;

const stateSchema = z.looseObject({ state: z.string() });
const ackSchema = z.looseObject({ sequence: z.int(), tag: z.string(), eventBytes: z.int().min(0) });
type Ack = z.output<typeof ackSchema>;

/** Nobody but the service has the key of the flight: an answer of anybody else is none. */
function check(plan: FlightPlan, sequence: number, ack: Ack): Ack {
  const { key, drone, flight } = plan;
  if (ack.sequence === sequence && ack.tag === ackTag(fromHex(key, 32), drone, flight, sequence)) return ack;
  throw new AntirioError('unauthenticated', 'this acknowledgement is not of the service');
}

function httpLink(plan: FlightPlan, { url, contractId }: Leg): Link {
  const asking = httpPeer({ url });
  const sending = httpPeer({ url });
  const base = `/orchestrator/v1/foreign/${contractId}/api/v3/drone`;
  return {
    async serves() {
      try {
        return (
          stateSchema.parse(await callJson(asking, { path: base, timeoutMs: ASK_MS })).state === 'reading'
        );
      } catch {
        return false;
      }
    },
    async send(sequence, body) {
      const headers = { 'content-type': 'application/octet-stream' };
      const call = { method: 'POST', path: `${base}/frame`, headers, body, timeoutMs: ACK_MS } as const;
      const answer = await sending.call(call);
      if (answer.status !== 200)
        throw new AntirioError('unavailable', `the edge answered ${answer.status}`, {
          status: answer.status,
        });
      return check(plan, sequence, ackSchema.parse(JSON.parse(fromUtf8(answer.body))));
    },
    close() {
      asking.close();
      sending.close();
      return Promise.resolve();
    },
  };
}

class MqttLink implements Link {
  readonly #plan: FlightPlan;
  readonly #base: string;
  readonly #bus: Bus;
  readonly #expected = new Map<number, (ack: Ack) => void>();
  readonly #now: () => number;
  #state = '';
  #heardAt = -Infinity;
  #listening: Promise<readonly Subscription[]> | undefined;

  constructor(plan: FlightPlan, { contractId, mqttUrl }: Leg, log: Log, now: () => number) {
    this.#plan = plan;
    this.#now = now;
    this.#base = `contract/${contractId}`;
    this.#bus = createMqttBus({ url: mqttUrl }, log, {
      publishTimeoutMs: ACK_MS,
      subscribeTimeoutMs: ACK_MS,
    });
  }

  async serves(): Promise<boolean> {
    if (this.#listening === undefined) {
      const listening = this.#listen();
      this.#listening = listening;
      // the broker is not there: asked again the next time
      listening.catch(() => (this.#listening = undefined));
    }
    const isHeard = this.#bus.health().ok && this.#now() - this.#heardAt < SILENT_MS;
    return isHeard && this.#state === 'reading';
  }

  async send(sequence: number, bytes: Uint8Array): Promise<{ readonly eventBytes: number }> {
    const acked = Promise.withResolvers<Ack>();
    const late = setTimeout(
      () => acked.reject(new AntirioError('timeout', 'the frame was not acknowledged')),
      ACK_MS,
    );
    // whoever waits below may be gone by then
    acked.promise.catch(() => undefined);
    this.#expected.set(sequence, acked.resolve);
    try {
      await this.#bus.publish(`${this.#base}/drone/${this.#plan.drone}/frame`, bytes, { qos: 1 });
      return check(this.#plan, sequence, await acked.promise);
    } finally {
      clearTimeout(late);
      this.#expected.delete(sequence);
    }
  }

  async close(): Promise<void> {
    await this.#bus.close();
  }

  async #listen(): Promise<readonly Subscription[]> {
    const { serviceName, drone } = this.#plan;
    const onState = (_topic: string, payload: Uint8Array): void => {
      this.#state = stateSchema.parse(JSON.parse(fromUtf8(payload))).state;
      this.#heardAt = this.#now();
    };
    const onAck = (_topic: string, payload: Uint8Array): void => {
      const ack = ackSchema.parse(JSON.parse(fromUtf8(payload)));
      this.#expected.get(ack.sequence)?.(ack);
    };
    return Promise.all([
      this.#bus.subscribe(`${this.#base}/antirio/service/${serviceName}/status`, onState),
      this.#bus.subscribe(`${this.#base}/drone/${drone}/ack`, onAck),
    ]);
  }
}

/** The ways to the services of all legs. @param now monotonic ms */
export function openLinks(plan: FlightPlan, log: Log, now: () => number): Link[] {
  return plan.legs.map((leg) =>
    plan.stream === 'http' ? httpLink(plan, leg) : new MqttLink(plan, leg, log, now),
  );
}
