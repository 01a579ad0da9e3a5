import { createBusRequests } from '@antirio/bus-request';
import { AntirioError, describeError, uuidV4 } from '@antirio/kernel';
import { retry, sleep, type Bus, type Subscription } from '@antirio/host';
import {
  COMMAND_QUERY_FILTER,
  COMMAND_REQUEST_FILTER,
  deviceCommandTopic,
  errorEnvelope,
  makeEnvelope,
  pageOf,
  parseEnvelope,
  responseTopic,
  type MessageEnvelope,
} from '@antirio/edgex-contracts';
import { allCommands, commandsOfDevice } from './queries.ts';
import type { Room } from './room.ts';

const SERVICE = 'core-command';

/** Commands and questions that come by the bus. */
export interface BusCommands {
  close(): Promise<void>;
}

function nameOf(level: string): string {
  try {
    return decodeURIComponent(level);
  } catch {
    return level;
  }
}

/** `edgex/core/command/request/<device>/<command>/<get|set>` @throws AntirioError invalidInput */
function targetOf(topic: string): { device: string; command: string; method: 'get' | 'set' } {
  const [device, command, method, ...rest] = topic.split('/').slice(4);
  if (
    device === undefined ||
    command === undefined ||
    rest.length > 0 ||
    (method !== 'get' && method !== 'set')
  )
    throw new AntirioError('invalidInput', `${topic} is not <device>/<command>/<get|set>`);
  return { device: nameOf(device), command: nameOf(command), method };
}

const BROKER_AWAY = { attempts: Infinity, firstDelayMs: 200, maxDelayMs: 5000 };
const FIRST_WAIT_MS = 1000;

export async function createBusCommands(room: Room, bus: Bus): Promise<BusCommands> {
  const { log, random } = room.ports;
  const { maxBusCommands, maxResultCount, requestTimeoutMs } = room.options;
  const requests = createBusRequests(bus, room.ports);
  const stopping = new AbortController();
  const subscriptions: Subscription[] = [];
  let underWay = 0;

  const passOn = async (topic: string, request: MessageEnvelope): Promise<string> => {
    const { device: name, command, method } = targetOf(topic);
    const { device, service } = await room.commands.target(name);
    const to = deviceCommandTopic({
      serviceName: service.name,
      deviceName: device.name,
      commandName: command,
      method,
    });
    const { requestID, correlationID, payload, queryParams } = request;
    const common = { requestID, correlationID, queryParams };
    const answer = await requests.request({
      topic: to,
      serviceName: service.name,
      payload,
      timeoutMs: requestTimeoutMs,
      ...common,
    });
    const { errorCode, contentType } = answer;
    return makeEnvelope(answer.payload, { correlationID, requestID, errorCode, contentType });
  };
  const tell = async (
    topic: string,
    { queryParams, correlationID, requestID }: MessageEnvelope,
  ): Promise<string> => {
    const name = nameOf(topic.split('/').slice(4).join('/'));
    const answer =
      name === 'all'
        ? await allCommands(room, pageOf(queryParams, { maxResultCount }))
        : await commandsOfDevice(room, name);
    return makeEnvelope(answer, { correlationID, requestID });
  };
  const answerTo = async (topic: string, request: MessageEnvelope, act: typeof tell): Promise<void> => {
    let text: string;
    try {
      text = await act(topic, request);
    } catch (error) {
      text = errorEnvelope(describeError(error), request);
    }
    await bus.publish(responseTopic(SERVICE, request.requestID), text);
  };
  /** One slow device must not hold up the others: the bus goes on, what is under way is bounded. */
  const handle =
    (act: typeof tell) =>
    (topic: string, bytes: Uint8Array): void => {
      const request = parseEnvelope(bytes);
      if (underWay >= maxBusCommands) {
        const text = errorEnvelope('too many commands under way', request);
        void bus.publish(responseTopic(SERVICE, request.requestID), text).catch(() => undefined);
        return;
      }
      underWay += 1;
      const known = request.requestID === '' ? { ...request, requestID: uuidV4(random) } : request;
      void answerTo(topic, known, act)
        .catch((error: unknown) =>
          log.warn({ topic, error: describeError(error) }, 'a command was not answered'),
        )
        .finally(() => {
          underWay -= 1;
        });
    };
  const subscribe = (filter: string, act: typeof tell): Promise<void> =>
    retry({ ...BROKER_AWAY, signal: stopping.signal }, async () => {
      subscriptions.push(await bus.subscribe(filter, handle(act)));
    });
  const subscribed = Promise.all([
    subscribe(COMMAND_REQUEST_FILTER, passOn),
    subscribe(COMMAND_QUERY_FILTER, tell),
  ]).catch((error: unknown) => {
    if (!stopping.signal.aborted) log.error({ error: describeError(error) }, 'not subscribed');
  });
  await Promise.race([subscribed, sleep(FIRST_WAIT_MS, stopping.signal)]);
  return {
    async close() {
      stopping.abort();
      await subscribed;
      await Promise.all(subscriptions.map((subscription) => subscription.close()));
      await requests.close();
    },
  };
}
