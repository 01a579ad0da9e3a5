// Gateways that send, and a client of the bus that sees what becomes of it; by hand-written GWMP and MQTT: a client library would
// be what is measured.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { BenchError } from './benchmark.ts';
import type { BenchUplink } from './lora-motes.ts';
import { monotonic } from './clock.ts';

const PUSH_DATA = 0;
const PUSH_ACK = 1;
const US_PER_MS = 1_000;

/** A packet forwarder: each uplink is a datagram of its own. */
export interface BenchGateway {
  send(uplink: BenchUplink): void;
  /** PUSH_ACKs so far. */
  readonly acknowledged: number;
  close(): void;
}

export function openGateway(udpPort: number, gatewayId: string): BenchGateway {
  const socket = createSocket('udp4');
  const id = Buffer.from(gatewayId, 'hex');
  let token = 0;
  let acknowledged = 0;
  socket.on('message', (bytes) => {
    if (bytes[3] === PUSH_ACK) acknowledged += 1;
  });
  socket.on('error', () => undefined);
  return {
    send({ phyPayload }) {
      token = (token + 1) & 0xffff;
      const tmst = Math.floor(monotonic() * US_PER_MS) % 2 ** 32;
      const json =
        `{"rxpk":[{"time":"${new Date().toISOString()}","tmst":${tmst},"chan":0,"rfch":0,"freq":868.1,"stat":1,"modu":"LORA",` +
        `"datr":"SF7BW125","codr":"4/5","lsnr":7.5,"rssi":-61,"size":${phyPayload.length},"data":"${phyPayload.toString('base64')}"}]}`;
      const head = Buffer.from([2, token >>> 8, token & 0xff, PUSH_DATA]);
      socket.send([head, id, Buffer.from(json)], udpPort, '127.0.0.1');
    },
    get acknowledged() {
      return acknowledged;
    },
    close: () => socket.close(),
  };
}

/** An event as it went over the bus. */
export interface SeenEvent {
  readonly id: string;
  readonly devEui: string;
  readonly fcnt: number;
  readonly temperature: number;
  /** Monotonic ms of the bytes' arrival. */
  readonly at: number;
}

interface Envelope {
  readonly payload: {
    readonly event: {
      readonly id: string;
      readonly readings: readonly { readonly resourceName: string; readonly value?: string }[];
      readonly tags?: { readonly devEUI?: string; readonly fCnt?: number };
    };
  };
}

function eventIn(payload: Buffer, at: number): SeenEvent {
  const { event } = (JSON.parse(payload.toString()) as Envelope).payload;
  const value = event.readings.find(({ resourceName }) => resourceName === 'temperature_1')?.value;
  const { devEUI = '', fCnt = NaN } = event.tags ?? {};
  return { id: event.id, devEui: devEUI, fcnt: fCnt, temperature: Number(value), at };
}

/** One packet at the beginning of what was read: its first byte, body and whole length (MQTT 3.1.1, section 2.2). */
function packetAt(bytes: Buffer): { first: number; body: Buffer; length: number } | undefined {
  let [remaining, shift, at] = [0, 0, 1];
  for (; ; at++) {
    const byte = bytes[at];
    if (byte === undefined) return undefined;
    remaining |= (byte & 0x7f) << shift;
    shift += 7;
    if ((byte & 0x80) === 0) break;
  }
  const length = at + 1 + remaining;
  if (bytes.length < length) return undefined;
  return { first: bytes[0] ?? 0, body: bytes.subarray(at + 1, length), length };
}

const CLIENT = Buffer.from('bench-seer');
const FILTER = Buffer.from('edgex/events/#');
const CONNECT = Buffer.from([
  0x10,
  12 + CLIENT.length,
  0,
  4,
  ...Buffer.from('MQTT'),
  4,
  2,
  0,
  0,
  0,
  CLIENT.length,
  ...CLIENT,
]);
const SUBSCRIBE = Buffer.from([0x82, 5 + FILTER.length, 0, 1, 0, FILTER.length, ...FILTER, 0]);
const [CONNACK, SUBACK, PUBLISH] = [0x20, 0x90, 0x30];

/** Subscribes to all events of the bus; resolves when the broker has taken the subscription. */
export async function watchEvents(
  mqttPort: number,
  onEvent: (event: SeenEvent) => void,
): Promise<{ close(): void }> {
  const socket = connect({ port: mqttPort, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  const subscribed = Promise.withResolvers<undefined>();
  let rest: Buffer = Buffer.alloc(0);
  const take = ({ first, body }: { first: number; body: Buffer }, at: number): void => {
    if (first === CONNACK) socket.write(SUBSCRIBE);
    else if (first === SUBACK) subscribed.resolve(undefined);
    else if ((first & 0xf6) === PUBLISH) onEvent(eventIn(body.subarray(2 + body.readUInt16BE(0)), at));
  };
  socket.on('data', (chunk: Buffer) => {
    const at = monotonic();
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (let packet = packetAt(rest); packet !== undefined; packet = packetAt(rest)) {
      rest = rest.subarray(packet.length);
      take(packet, at);
    }
  });
  socket.on('error', (error) => subscribed.reject(error));
  socket.once('close', () => subscribed.reject(new BenchError('the broker closed the connection')));
  socket.write(CONNECT);
  await subscribed.promise;
  return { close: () => socket.destroy() };
}
