import { createMqttBus } from '@antirio/bus';
import { lastingSubscription, type BusRequests, type LastingSubscription } from '@antirio/bus-request';
import type { Secrets } from '@antirio/edgex-service';
import type { Bus, Check } from '@antirio/host';
import { describeError } from '@antirio/kernel';
import { answering, passingOn, telling } from './bus-commands.ts';
import type { CoreCommandOptions } from './options.ts';
import type { Room } from './room.ts';

/** Commands and questions that come by a broker outside of the edge (EdgeX: ExternalMQTT). */
export interface ExternalCommands {
  health(): Check;
  close(): Promise<void>;
}

type External = CoreCommandOptions['externalMqtt'];

interface Open {
  readonly bus: Bus;
  readonly subscriptions: readonly LastingSubscription[];
}

/** EdgeX says tcp and ssl. */
const urlOf = ({ url }: External): string => url.replace(/^tcp:/, 'mqtt:').replace(/^(?:ssl|tls):/, 'mqtts:');

/** The answer to a command goes to `<prefix>/<device>/<command>/<method>`, the levels as they came. */
function open(room: Room, requests: BusRequests, login: { username?: string; password?: string }): Open {
  const { externalMqtt } = room.options;
  const { topics, qos, retain } = externalMqtt;
  const bus = createMqttBus({ url: urlOf(externalMqtt), ...login }, room.ports.log);
  const handlerFor = answering(room, { bus, qos, retain });
  const lastLevels = (count: number) => (topic: string) => topic.split('/').slice(-count);
  const commands = handlerFor({
    act: passingOn(room, requests),
    namesOf: lastLevels(3),
    answerTo: (names) => [topics.commandResponsePrefix, ...names].join('/'),
    mayAnswer: (names) => names.length === 3 && /^(?:get|set)$/i.test(names[2] ?? ''),
  });
  const questions = handlerFor({
    act: telling(room),
    namesOf: lastLevels(1),
    answerTo: () => topics.queryResponse,
  });
  const onFailure = (error: unknown): void =>
    room.ports.log.warn({ error: describeError(error) }, 'the external broker takes no subscription yet');
  return {
    bus,
    subscriptions: [
      lastingSubscription(bus, topics.commandRequest, commands, { onFailure }),
      lastingSubscription(bus, topics.queryRequest, questions, { onFailure }),
    ],
  };
}

/** Follows its secret: with another one, it goes to the broker anew. */
export function createExternalCommands(
  room: Room,
  requests: BusRequests,
  secrets: Secrets,
): ExternalCommands {
  const { authMode, secretName } = room.options.externalMqtt;
  let current: Open | undefined;
  let isClosed = false;
  let turn = Promise.resolve();
  let failing: string | undefined;

  const end = async (): Promise<void> => {
    const was = current;
    current = undefined;
    await Promise.all((was?.subscriptions ?? []).map((one) => one.close()));
    await was?.bus.close();
  };
  const begin = async (): Promise<void> => {
    failing = undefined;
    await end();
    if (isClosed) return;
    if (authMode === 'none') {
      current = open(room, requests, {});
      return;
    }
    const { username = '', password = '' } = secrets.get(secretName) ?? {};
    if (username !== '' && password !== '') current = open(room, requests, { username, password });
  };
  /** Whatever fails now: with another secret it is tried anew. */
  const fail = (error: unknown): void => {
    failing = describeError(error);
    room.ports.log.error({ error: failing }, 'commands of the external broker are not taken');
  };
  const next = (): void => {
    turn = turn.then(begin).catch(fail);
  };
  next();
  if (authMode !== 'none') secrets.onChange(secretName, next);
  return {
    health() {
      if (failing !== undefined) return { ok: false, detail: failing };
      if (current === undefined && authMode === 'none') return { ok: false, detail: 'not begun yet' };
      if (current === undefined)
        return { ok: false, detail: `it wants the secret ${secretName} with username and password` };
      return current.subscriptions.map((one) => one.health()).find(({ ok }) => !ok) ?? current.bus.health();
    },
    async close() {
      isClosed = true;
      await turn;
      await end();
    },
  };
}
