// What device services send, without the cost of a client library: the client must not be what is measured.
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError } from './benchmark.ts';
import { monotonic } from './clock.ts';

const DEVICES = 50;
const PREFIX = randomBytes(10).toString('hex');

/** The event's id: a UUID that no other number of this process gives. */
export function idOf(n: number): string {
  const hex = PREFIX + n.toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

export interface NumberedEvent {
  /** `<service>/<profile>/<device>/<source>` */
  readonly address: string;
  /** AddEventRequest, JSON. */
  readonly json: string;
}

/** An event with one reading, as a Go device service sends it. */
export function eventOf(n: number): NumberedEvent {
  const device = `bench-device-${n % DEVICES}`;
  const origin = `17${(10n ** 17n + BigInt(n) * 1_000n).toString().slice(1)}`;
  const names = `"deviceName":"${device}","profileName":"bench-profile"`;
  const reading = `{"id":"${idOf(n)}","origin":${origin},${names},"resourceName":"temperature","valueType":"Float32","value":"${(n % 1000) / 8}"}`;
  return {
    address: `bench-service/bench-profile/${device}/temperature`,
    json:
      `{"apiVersion":"v3","requestId":"${idOf(n)}","event":{"apiVersion":"v3","id":"${idOf(n)}",${names},` +
      `"sourceName":"temperature","origin":${origin},"readings":[${reading}]}}`,
  };
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  return socket;
}

export interface Posted {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const NS_PER_MS = 1e6;
const CREATED = 'HTTP/1.1 201 ';

/** Whether this is the whole of an answer. */
function isWhole(answer: string): boolean {
  const head = answer.indexOf('\r\n\r\n');
  if (head < 0) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(answer.slice(0, head))?.[1];
  if (length === undefined) throw new BenchError(`an answer without length: ${answer.slice(0, 200)}`);
  return answer.length >= head + 4 + Number(length);
}

/** One keep-alive connection that posts one event after the other until told to stop. */
async function postOn(
  port: number,
  next: () => number | undefined,
  times: RecordableHistogram,
): Promise<void> {
  const socket = await open(port);
  socket.setEncoding('latin1');
  const done = Promise.withResolvers<undefined>();
  let answer = '';
  let sentAt = 0n;
  const post = (): void => {
    const n = next();
    if (n === undefined) {
      done.resolve(undefined);
      return;
    }
    const { address, json } = eventOf(n);
    sentAt = process.hrtime.bigint();
    socket.write(
      `POST /api/v3/event/${address} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nContent-Type: application/json\r\n` +
        `X-Correlation-ID: ${idOf(n)}\r\nContent-Length: ${json.length}\r\n\r\n${json}`,
    );
  };
  socket.on('data', (chunk: string) => {
    answer += chunk;
    if (!isWhole(answer)) return;
    if (!answer.startsWith(CREATED)) done.reject(new BenchError(`not stored: ${answer.slice(0, 500)}`));
    times.record(process.hrtime.bigint() - sentAt);
    answer = '';
    post();
  });
  socket.once('error', (error) => done.reject(error));
  socket.once('close', () => done.reject(new BenchError('core-data closed a connection')));
  post();
  try {
    await done.promise;
  } finally {
    socket.removeAllListeners('close');
    socket.destroy();
  }
}

/** Posts from so many connections for so long; events are numbered from `first` on. Returns how many, and how fast. */
export async function postEvents(
  port: number,
  { concurrency, forMs, first }: { concurrency: number; forMs: number; first: number },
): Promise<Posted & { readonly events: number }> {
  const times = createHistogram({ lowest: 1, highest: 60_000 * NS_PER_MS, figures: 3 });
  let n = first;
  const start = monotonic();
  const next = (): number | undefined => (monotonic() - start < forMs ? n++ : undefined);
  await Promise.all(Array.from({ length: concurrency }, () => postOn(port, next, times)));
  const seconds = (monotonic() - start) / 1_000;
  const at = (percent: number): number => times.percentile(percent) / NS_PER_MS;
  return { events: n - first, perSecond: (n - first) / seconds, p50Ms: at(50), p99Ms: at(99) };
}

/** Remaining length as MQTT writes it (3.1.1, section 2.2.3). */
function lengthBytes(length: number): number[] {
  const bytes: number[] = [];
  for (let rest = length; ; rest >>= 7) {
    if (rest < 0x80) return [...bytes, rest];
    bytes.push((rest & 0x7f) | 0x80);
  }
}

/** PUBLISH with QoS 0 of the event's envelope. */
export function publishPacket(n: number): Buffer {
  const { address, json } = eventOf(n);
  const topic = Buffer.from(`edgex/events/device/${address}`);
  const payload = Buffer.from(
    `{"apiVersion":"v3","receivedTopic":"","correlationID":"${idOf(n)}","requestID":"","errorCode":0,"payload":${json},"contentType":"application/json"}`,
  );
  const head = Buffer.from([0x30, ...lengthBytes(2 + topic.length + payload.length), 0, topic.length]);
  return Buffer.concat([head, topic, payload]);
}

const CONNECT = Buffer.from([
  0x10,
  17,
  0,
  4,
  ...Buffer.from('MQTT'),
  4,
  2,
  0,
  60,
  0,
  5,
  ...Buffer.from('bench'),
]);
const PINGREQ = Buffer.from([0xc0, 0]);

/** A connection that only publishes. */
export interface Publisher {
  /** Resolves when the kernel has taken it. */
  send(packets: Buffer): Promise<void>;
  close(): void;
}

export async function openPublisher(port: number): Promise<Publisher> {
  const socket = await open(port);
  socket.write(CONNECT);
  const [connack] = (await once(socket, 'data')) as [Buffer];
  if (connack[0] !== 0x20 || connack[3] !== 0) throw new BenchError('the broker took no connection');
  const ping = setInterval(() => socket.write(PINGREQ), 20_000);
  const broken = once(socket, 'close').then((): never => {
    throw new BenchError('the broker closed the connection');
  });
  broken.catch(() => undefined);
  socket.on('error', () => undefined);
  return {
    async send(packets) {
      const sent = new Promise<void>((resolve) => socket.write(packets, () => resolve()));
      await Promise.race([sent, broken]);
    },
    close() {
      clearInterval(ping);
      socket.destroy();
    },
  };
}

const TICK_MS = 10;

/** Publishes at an even pace, whatever the timer's step, until told to stop; returns how many, numbered from 0. */
export async function publishEvenly(
  publisher: Publisher,
  perSecond: number,
  isOver: (sent: number, elapsedMs: number) => boolean,
): Promise<number> {
  const start = monotonic();
  let sent = 0;
  for (let elapsed = 0; !isOver(sent, elapsed); elapsed = monotonic() - start) {
    const due = Math.floor((elapsed / 1_000) * perSecond) - sent;
    await publisher.send(Buffer.concat(Array.from({ length: due }, (_, i) => publishPacket(sent + i))));
    sent += due;
    await sleep(TICK_MS);
  }
  return sent;
}
