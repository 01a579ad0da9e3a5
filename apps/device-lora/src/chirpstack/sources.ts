import { readFileSync } from 'node:fs';
import { createMqttBus, createMqttReader, type MqttAddress } from '@antirio/bus';
import type { Bus, Check, Log } from '@antirio/host';
import { AntirioError } from '@antirio/kernel';
import { gateOf } from './event-gate.ts';
import { isForGood, type Intake } from './intake.ts';
import type { ChirpStackOptions } from './options.ts';

type MqttOptions = NonNullable<ChirpStackOptions['mqtt']>;

export interface MqttSourcePorts {
  readonly options: MqttOptions;
  /** The edge's own, where ChirpStack writes to that. */
  readonly bus: Bus;
  /** Of our session at another broker. */
  readonly clientId: string;
  readonly intake: Intake;
  readonly log: Log;
}

/** ChirpStack's MQTT integration: its events in, commands out. */
export interface MqttSource {
  publish(topic: string, payload: string): Promise<void>;
  health(): Check;
  close(): Promise<void>;
}

/** @throws AntirioError badConfig */
function fileOf(path: string, option: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new AntirioError('badConfig', `chirpStack.mqtt.${option}: cannot read ${path}`, { path }, cause);
  }
}

function addressOf(url: string, { username, passwordFile, caFile }: MqttOptions): MqttAddress {
  return {
    url,
    ...(username === undefined ? {} : { username }),
    ...(passwordFile === undefined ? {} : { password: fileOf(passwordFile, 'passwordFile').trim() }),
    ...(caFile === undefined ? {} : { tls: () => ({ ca: fileOf(caFile, 'caFile') }) }),
  };
}

/** `application/<id>/device/<devEui>/event/<name>` */
function placeOf(topic: string): { readonly devEui: string; readonly name: string } | undefined {
  const [, devEui, name] = /(?:^|\/)application\/[^/]+\/device\/([^/]+)\/event\/([^/]+)$/.exec(topic) ?? [];
  return devEui === undefined || name === undefined ? undefined : { devEui, name };
}

const filterOf = ({ topicPrefix }: MqttOptions): string => `${topicPrefix}application/+/device/+/event/+`;

/**
 * To be called when the service is built, before the broker of this process listens: ChirpStack sends what it has queued at once.
 * @throws AntirioError badConfig
 */
export function attachToOwnBroker({ mqtt }: ChirpStackOptions, bus: Bus): void {
  if (mqtt !== undefined && mqtt.url === undefined) gateOf(bus, filterOf(mqtt));
}

export async function openMqttSource(ports: MqttSourcePorts): Promise<MqttSource> {
  const { options, bus, clientId, intake, log } = ports;
  const filter = filterOf(options);
  const take = async (topic: string, payload: Uint8Array): Promise<void> => {
    const place = placeOf(topic);
    if (place === undefined) return;
    try {
      await intake.take(place.name, payload, place.devEui);
    } catch (error) {
      // counted and told; sent again it would be refused again
      if (!isForGood(error)) throw error;
    }
  };
  if (options.url === undefined) {
    const shut = await gateOf(bus, filter).open(take);
    return {
      publish: (topic, payload) => bus.publish(topic, payload, { qos: 1 }),
      health: () => bus.health(),
      close: shut,
    };
  }
  const address = addressOf(options.url, options);
  const commands = createMqttBus(address, log);
  const reader = createMqttReader({ address, clientId, filter, onMessage: take, log });
  return {
    publish: (topic, payload) => commands.publish(topic, payload, { qos: 1 }),
    health: () => reader.health(),
    async close() {
      await reader.close();
      await commands.close();
    },
  };
}
