import { createBusRequests, lastingSubscription, type BusRequests } from '@antirio/bus-request';
import { AntirioError, describeError, uuidV4 } from '@antirio/kernel';
import { sleep, withCorrelation, type Bus, type BusHandler } from '@antirio/host';
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
import { allCommands, checkSwitches, commandsOfDevice } from './queries.ts';
import type { Room } from './room.ts';

const SERVICE = 'core-command';

/** Commands and questions that come by the bus. */
export interface BusCommands {
  /** What asks device services. */
  readonly requests: BusRequests;
  close(): Promise<void>;
}

function nameOf(level: string): string {
  try {
    return decodeURIComponent(level);
  } catch {
    return level;
  }
}

/** `<device>/<command>/<get|set>` @throws AntirioError invalidInput */
function targetOf(names: readonly string[]): { device: string; command: string; method: 'get' | 'set' } {
  const [device, command, verb = '', ...rest] = names;
  const method = verb.toLowerCase();
  if (
    device === undefined ||
    command === undefined ||
    rest.length > 0 ||
    (method !== 'get' && method !== 'set')
  )
    throw new AntirioError('invalidInput', `${names.join('/')} is not <device>/<command>/<get|set>`);
  return { device: nameOf(device), command: nameOf(command), method };
}

const FIRST_WAIT_MS = 1000;

/** Makes the answer to a request, by the levels of its topic that have names. */
type Act = (names: readonly string[], request: MessageEnvelope) => Promise<string>;

/** Passes a command on to its device service; the answer is what that answers. */
export function passingOn(room: Room, requests: BusRequests): Act {
  const timeoutMs = room.options.service.requestTimeoutMs;
  return async (names, { requestID, correlationID, payload, queryParams }) => {
    const { device: name, command, method } = targetOf(names);
    if (method === 'get') checkSwitches(queryParams);
    const { device, service } = await room.commands.target(name);
    const to = deviceCommandTopic({
      serviceName: service.name,
      deviceName: device.name,
      commandName: command,
      method,
    });
    const request = {
      topic: to,
      serviceName: service.name,
      payload,
      timeoutMs,
      requestID,
      correlationID,
      queryParams,
    };
    const { errorCode, contentType, payload: answer } = await requests.request(request);
    return makeEnvelope(answer, { correlationID, requestID, errorCode, contentType });
  };
}

/** Tells what can be asked of a device, or of all. */
export function telling(room: Room): Act {
  const { maxResultCount } = room.options;
  return async (names, { queryParams, correlationID, requestID }) => {
    const name = nameOf(names.join('/'));
    const answer =
      name.toLowerCase() === 'all'
        ? await allCommands(room, pageOf(queryParams, { maxResultCount }))
        : await commandsOfDevice(room, name);
    return makeEnvelope(answer, { correlationID, requestID });
  };
}

/** A kind of requests that come by a bus. */
interface Kind {
  readonly act: Act;
  readonly namesOf: (topic: string) => readonly string[];
  /** The topic of the answer. */
  readonly answerTo: (names: readonly string[], request: MessageEnvelope) => string;
  /** Whether there is a topic to answer to at all. */
  readonly mayAnswer?: (names: readonly string[]) => boolean;
}

interface Answering {
  readonly bus: Bus;
  readonly qos?: 0 | 1;
  readonly retain?: boolean;
}

/** One slow device must not hold up the others: the bus goes on, and what is under way is bounded. */
export function answering(room: Room, { bus, ...options }: Answering): (kind: Kind) => BusHandler {
  const { log, random } = room.ports;
  let underWay = 0;

  const answer = async (
    { act, answerTo }: Kind,
    names: readonly string[],
    request: MessageEnvelope,
  ): Promise<void> => {
    const text = await withCorrelation(request.correlationID, () => act(names, request)).catch(
      (error: unknown) => errorEnvelope(describeError(error), request),
    );
    await bus.publish(answerTo(names, request), text, options);
  };
  const refuse: Act = async () => {
    throw new AntirioError('busy', 'too many commands under way');
  };
  return (kind) => (topic, bytes) => {
    const names = kind.namesOf(topic);
    if (kind.mayAnswer?.(names) === false)
      throw new AntirioError('invalidInput', `${topic} is not <device>/<command>/<get|set>`);
    const given = parseEnvelope(bytes);
    const request = given.requestID === '' ? { ...given, requestID: uuidV4(random) } : given;
    const busy = underWay >= room.options.maxBusCommands;
    underWay += 1;
    void answer(busy ? { ...kind, act: refuse } : kind, names, request)
      .catch((error: unknown) =>
        log.warn({ topic, error: describeError(error) }, 'a command was not answered'),
      )
      .finally(() => {
        underWay -= 1;
      });
  };
}

/** Where no broker answers yet, it goes on trying in the background. */
export async function createBusCommands(room: Room, bus: Bus): Promise<BusCommands> {
  const requests = createBusRequests(bus, room.ports);
  const handlerFor = answering(room, { bus });
  const namesOf = (topic: string): string[] => topic.split('/').slice(4);
  const answerTo = (_names: readonly string[], { requestID }: MessageEnvelope): string =>
    responseTopic(SERVICE, requestID);
  const subscriptions = [
    lastingSubscription(
      bus,
      COMMAND_REQUEST_FILTER,
      handlerFor({ act: passingOn(room, requests), namesOf, answerTo }),
    ),
    lastingSubscription(bus, COMMAND_QUERY_FILTER, handlerFor({ act: telling(room), namesOf, answerTo })),
  ];
  const settled = new AbortController();
  const all = Promise.all(subscriptions.map((subscription) => subscription.settled));
  await Promise.race([all, sleep(FIRST_WAIT_MS, settled.signal)]);
  settled.abort();
  return {
    requests,
    async close() {
      await Promise.all(subscriptions.map((subscription) => subscription.close()));
      await requests.close();
    },
  };
}
