import { AntirioError, describeError, uuidV4, type Random } from '@antirio/kernel';
import { currentCorrelation, type Bus, type BusHandler, type Log, type Subscription } from '@antirio/host';
import { makeEnvelope, parseEnvelope, responseFilter, type MessageEnvelope } from '@antirio/edgex-contracts';

export interface BusRequest {
  readonly topic: string;
  /** Who answers, on `edgex/response/<service>/<requestID>`. */
  readonly serviceName: string;
  readonly payload: unknown;
  readonly timeoutMs: number;
  readonly correlationID?: string | undefined;
  /** Kept where it is free, so that both sides speak of the same request; by default a new one. */
  readonly requestID?: string | undefined;
  readonly queryParams?: Readonly<Record<string, string>>;
}

/** EdgeX's requests over the bus: an envelope out, an envelope with the same request id back. */
export interface BusRequests {
  /** @throws AntirioError timeout when nobody answers; unavailable; busy when too many wait. */
  request(request: BusRequest): Promise<MessageEnvelope>;
  close(): Promise<void>;
}

const MAX_WAITING = 1024;
const MAX_SERVICES = 256;

interface Ports {
  readonly random: Random;
  readonly log: Log;
}

/** The answers of services: subscribed to when a service is first asked, and then on. */
function createAnswers(bus: Bus, receive: BusHandler) {
  const subscriptions = new Map<string, Promise<Subscription>>();

  const forget = async (serviceName: string): Promise<void> => {
    const subscription = subscriptions.get(serviceName);
    subscriptions.delete(serviceName);
    await subscription?.then((open) => open.close()).catch(() => undefined);
  };
  return {
    async listenTo(serviceName: string): Promise<void> {
      const known = subscriptions.get(serviceName);
      if (known !== undefined) {
        await known;
        return;
      }
      const [oldest] = subscriptions.keys();
      if (oldest !== undefined && subscriptions.size >= MAX_SERVICES) await forget(oldest);
      const subscription = bus.subscribe(responseFilter(serviceName), receive);
      subscriptions.set(serviceName, subscription);
      subscription.catch(() => subscriptions.delete(serviceName));
      await subscription;
    },
    async close(): Promise<void> {
      await Promise.all([...subscriptions.keys()].map(forget));
    },
  };
}

export function createBusRequests(bus: Bus, ports: Ports): BusRequests {
  const waiting = new Map<string, (answer: MessageEnvelope) => void>();
  const answers = createAnswers(bus, (topic, payload) => {
    const resolve = waiting.get(topic.slice(topic.lastIndexOf('/') + 1));
    if (resolve === undefined) return;
    try {
      resolve(parseEnvelope(payload));
    } catch (error) {
      ports.log.warn({ topic, error: describeError(error) }, 'an answer was refused');
    }
  });
  const exchange = async (requestID: string, request: BusRequest): Promise<MessageEnvelope> => {
    const {
      serviceName,
      topic,
      timeoutMs,
      queryParams,
      correlationID = currentCorrelation() ?? uuidV4(ports.random),
    } = request;
    const answer = Promise.withResolvers<MessageEnvelope>();
    const late = (): void =>
      answer.reject(
        new AntirioError('timeout', `${serviceName} did not answer on the bus in ${timeoutMs} ms`),
      );
    const timer = setTimeout(late, timeoutMs);
    waiting.set(requestID, answer.resolve);
    answer.promise.catch(() => undefined);
    try {
      const fields = { requestID, correlationID, ...(queryParams === undefined ? {} : { queryParams }) };
      await bus.publish(topic, makeEnvelope(request.payload, fields));
      return await answer.promise;
    } finally {
      clearTimeout(timer);
      waiting.delete(requestID);
    }
  };
  return {
    async request(request) {
      if (waiting.size >= MAX_WAITING) throw new AntirioError('busy', 'too many requests wait for an answer');
      await answers.listenTo(request.serviceName);
      const { requestID = '' } = request;
      const taken = requestID === '' || waiting.has(requestID);
      return exchange(taken ? uuidV4(ports.random) : requestID, request);
    },
    close: () => answers.close(),
  };
}
