import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { utf8, signDocument, type Identity } from '@antirio/kernel';
import { ask } from './ask.ts';

const HOST = '127.0.0.1';

/** Sends datagrams one after the other, from one socket. */
export async function sendDatagrams(port: number, datagrams: readonly Uint8Array[]): Promise<void> {
  const socket = createSocket('udp4');
  for (const datagram of datagrams) {
    await new Promise<void>((resolve, reject) => {
      socket.send(datagram, port, HOST, (error) => (error === null ? resolve() : reject(error)));
    });
    await sleep(1);
  }
  socket.close();
}

/** Bytes that follow from a number, so that a failure can be repeated. */
function noise(seed: number, length: number): Buffer {
  let state = seed * 2_654_435_761 + 1;
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes.writeUInt8(state >>> 24, at);
  }
  return bytes;
}

/** Garbage of every length from nothing to more than anybody sends. */
export function garbage(): Buffer[] {
  const lengths = [0, 1, 3, 4, 11, 12, 13, 40, 200, 1_199, 1_200, 1_201, 9_000, 60_000];
  return lengths.flatMap((length, i) => [noise(i, length), Buffer.alloc(length), Buffer.alloc(length, '{')]);
}

/** PUSH_DATA of Semtech's protocol. */
export function pushData(token: number, gatewayId: string, json: string): Buffer {
  const header = Buffer.from([2, token >> 8, token & 0xff, 0]);
  return Buffer.concat([header, Buffer.from(gatewayId, 'hex'), Buffer.from(json)]);
}

/** A reception as packet forwarders report it. */
export function rxpkOf(phyPayload: Buffer, changes: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    ...{
      tmst: 3_512_348_611,
      chan: 2,
      rfch: 0,
      freq: 868.3,
      stat: 1,
      modu: 'LORA',
      datr: 'SF7BW125',
      codr: '4/5',
    },
    ...{ rssi: -61, lsnr: 7.5, size: phyPayload.length, data: phyPayload.toString('base64') },
    ...changes,
  };
}

/** What no packet forwarder in its right mind sends, all in the name of a real gateway. */
export function badReceptions(gatewayId: string): Buffer[] {
  const frame = Buffer.from('40f17dbe4900020001954378762b11ff0d', 'hex');
  const lists: unknown[] = [
    [rxpkOf(frame, { data: '%%% no base64 %%%' })],
    [rxpkOf(frame, { data: 7 })],
    [rxpkOf(frame, { tmst: 'now' })],
    [rxpkOf(frame, { tmst: -1 })],
    [rxpkOf(frame, { freq: 1e300, rssi: null })],
    [rxpkOf(frame, { size: 1e9 })],
    [rxpkOf(frame.subarray(0, 5))],
    [rxpkOf(Buffer.alloc(0))],
    [rxpkOf(Buffer.alloc(255, 0x40))],
    Array.from({ length: 400 }, () => ({})),
    [null, 1, 'two', [[]]],
    'all',
    { length: 5 },
  ];
  const texts = [
    '',
    '{',
    'null',
    '[]',
    '{"rxpk": [',
    ...lists.map((rxpk) => JSON.stringify({ rxpk })),
    JSON.stringify({ stat: { time: 'yesterday', rxnb: 'many' } }),
    `{"rxpk":${'['.repeat(20_000)}`,
  ];
  const whole = pushData(1, gatewayId, '{"rxpk":[]}');
  // But for PULL_DATA, which says where its gateway is.
  const ofOtherKind = [1, 3, 4, 5, 6, 255].map((kind) => {
    const bytes = Buffer.from(pushData(9, gatewayId, '{"txpk_ack":{"error":7}}'));
    bytes.writeUInt8(kind, 3);
    return bytes;
  });
  const ofOtherVersion = [0, 3, 255].map((version) =>
    Buffer.concat([Buffer.from([version]), whole.subarray(1)]),
  );
  return [
    ...texts.map((text, i) => pushData(i, gatewayId, text)),
    ...Array.from({ length: whole.length }, (_, length) => whole.subarray(0, length)),
    ...ofOtherKind,
    ...ofOtherVersion,
    pushData(7, 'ffffffffffffffff', JSON.stringify({ rxpk: [rxpkOf(frame)] })),
  ];
}

/** A datagram between edges as an edge signs it. */
export function edgeDatagram(
  from: Identity,
  to: string,
  about: { readonly kind: string; readonly body: object; readonly boot: string; readonly seq: number },
): Buffer {
  const { kind, ...rest } = about;
  return Buffer.from(utf8(JSON.stringify(signDocument(from, `antirio/datagram/${kind}`, { to, ...rest }))));
}

/** Counters of a room, as `name{labels}` and value. */
export async function metricsOf(base: string): Promise<ReadonlyMap<string, number>> {
  const { status, text } = await ask(`${base}/api/v3/metrics`);
  if (status !== 200) throw new Error(`${base}: no metrics, ${status}`);
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

/** Opens a TCP connection, sends bytes, and waits for its end or a moment. */
export async function sayTo(port: number, bytes: Uint8Array): Promise<void> {
  const socket = connect({ port, host: HOST });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(bytes);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await Promise.race([closed, sleep(300)]);
  socket.destroy();
}
