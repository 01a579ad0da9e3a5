// A client of core-command, by HTTP and by MQTT.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { createMqttBus } from '@antirio/bus';
import { createLog } from '@antirio/host';
import { BenchError } from './benchmark.ts';
import { monotonic } from './clock.ts';

export interface Commanded {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const NS_PER_MS = 1e6;
const WHOLE_ANSWER = '"temperature","valueType":"Float32","value":"2.15e+01"}]}}';

/** One command after the other; each call is one. */
type Command = () => Promise<void>;

async function timed(commands: readonly Command[], forMs: number): Promise<Commanded> {
  const times: RecordableHistogram = createHistogram({ lowest: 1, highest: 60_000 * NS_PER_MS, figures: 3 });
  const start = monotonic();
  const inTurn = async (command: Command): Promise<void> => {
    while (monotonic() - start < forMs) {
      const sentAt = process.hrtime.bigint();
      await command();
      times.record(process.hrtime.bigint() - sentAt);
    }
  };
  await Promise.all(commands.map(inTurn));
  const seconds = (monotonic() - start) / 1_000;
  const at = (percent: number): number => times.percentile(percent) / NS_PER_MS;
  return { perSecond: times.count / seconds, p50Ms: at(50), p99Ms: at(99) };
}

interface Connection {
  readonly command: Command;
  close(): void;
}

/** A keep-alive connection that reads a device's resource, again and again. */
async function openConnection(port: number): Promise<Connection> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.setEncoding('latin1');
  await once(socket, 'connect');
  const request = `GET /api/v3/device/name/bench-device/temperature HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Correlation-ID: ${randomUUID()}\r\n\r\n`;
  let text = '';
  let waiting = Promise.withResolvers<undefined>();
  socket.on('data', (chunk: string) => {
    text += chunk;
    if (!text.includes(WHOLE_ANSWER)) {
      if (!'HTTP/1.1 200'.startsWith(text.slice(0, 12)))
        waiting.reject(new BenchError(`no reading: ${text}`));
      return;
    }
    text = '';
    waiting.resolve(undefined);
  });
  socket.on('error', (error) => waiting.reject(error));
  return {
    command() {
      waiting = Promise.withResolvers<undefined>();
      socket.write(request);
      return waiting.promise.then(() => undefined);
    },
    close: () => socket.destroy(),
  };
}

/** Reads by HTTP, from so many connections for so long. */
export async function readByHttp(port: number, concurrency: number, forMs: number): Promise<Commanded> {
  const connections = await Promise.all(Array.from({ length: concurrency }, () => openConnection(port)));
  try {
    return await timed(
      connections.map(({ command }) => command),
      forMs,
    );
  } finally {
    for (const connection of connections) connection.close();
  }
}

const ANSWER_WITHIN_MS = 10_000;

/** Reads by MQTT, with so many requests under way for so long. */
export async function readByMqtt(mqtt: number, concurrency: number, forMs: number): Promise<Commanded> {
  const bus = createMqttBus({ url: `mqtt://127.0.0.1:${mqtt}` }, createLog('bench', 'warn'));
  const waiting = new Map<string, PromiseWithResolvers<undefined>>();
  await bus.subscribe('edgex/response/core-command/#', (topic, bytes) => {
    const id = topic.slice(topic.lastIndexOf('/') + 1);
    const request = waiting.get(id);
    waiting.delete(id);
    const text = Buffer.from(bytes).toString();
    if (text.includes('"errorCode":0') && text.includes('2.15e+01')) request?.resolve(undefined);
    else request?.reject(new BenchError(`no reading: ${text}`));
  });
  const command = async (): Promise<void> => {
    const id = randomUUID();
    const answer = Promise.withResolvers<undefined>();
    waiting.set(id, answer);
    const late = setTimeout(() => answer.reject(new BenchError('no answer by MQTT')), ANSWER_WITHIN_MS);
    await bus.publish(
      'edgex/core/command/request/bench-device/temperature/get',
      `{"apiVersion":"v3","receivedTopic":"","correlationID":"${id}","requestID":"${id}","errorCode":0,"contentType":"application/json","payload":null}`,
    );
    await answer.promise.finally(() => clearTimeout(late));
  };
  try {
    return await timed(Array<Command>(concurrency).fill(command), forMs);
  } finally {
    await bus.close();
  }
}
