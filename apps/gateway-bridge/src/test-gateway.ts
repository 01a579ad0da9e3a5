import { createSocket } from 'node:dgram';

/** A packet forwarder for tests: real UDP, by the protocol's own bytes. */
export interface TestGateway {
  readonly id: string;
  /** Sends receptions; resolves when they are acknowledged, false when they were not in time. */
  push(rxpk: readonly unknown[], timeoutMs?: number): Promise<boolean>;
  /** Asks for downlinks; resolves when that is acknowledged. */
  pull(timeoutMs?: number): Promise<boolean>;
  sendRaw(bytes: Uint8Array): void;
  /** A report of itself; as `push`. */
  report(stat: Record<string, unknown>): Promise<boolean>;
  /** Downlinks that came, in order. */
  readonly downlinks: { readonly txpk: Record<string, unknown>; readonly at: number }[];
  /** What the next TX_ACKs say: `NONE`, an error, or nothing at all. */
  answers: (string | undefined)[];
  /** What they say else, before that. */
  acks: Record<string, unknown>[];
  /** Another source port, as after a change of the network. */
  move(): Promise<void>;
  close(): Promise<void>;
}

export async function createTestGateway(
  id: string,
  port: number,
  { host = '127.0.0.1', version = 2 }: { readonly host?: string; readonly version?: 1 | 2 } = {},
): Promise<TestGateway> {
  const waiting = new Map<string, () => void>();
  const downlinks: TestGateway['downlinks'] = [];
  let token = 0;
  let socket = createSocket('udp4');

  const header = (kind: number): Buffer => {
    token = (token + 1) & 0xffff;
    return Buffer.concat([Buffer.from([version, token >> 8, token & 0xff, kind]), Buffer.from(id, 'hex')]);
  };
  const onMessage = (bytes: Buffer): void => {
    if (bytes[3] === 3) {
      const { txpk } = JSON.parse(bytes.subarray(4).toString()) as { txpk: Record<string, unknown> };
      downlinks.push({ txpk, at: performance.now() });
      const error = gateway.answers.length > 0 ? gateway.answers.shift() : 'NONE';
      if (error === undefined || version === 1) return;
      const ack = Buffer.concat([
        Buffer.from([version, bytes[1] ?? 0, bytes[2] ?? 0, 5]),
        Buffer.from(id, 'hex'),
      ]);
      socket.send(
        Buffer.concat([ack, Buffer.from(JSON.stringify({ txpk_ack: gateway.acks.shift() ?? { error } }))]),
        port,
        '127.0.0.1',
      );
    } else waiting.get(`${String(bytes[3])}/${bytes.readUInt16BE(1)}`)?.();
  };
  const bind = async (): Promise<void> => {
    socket = createSocket('udp4');
    socket.on('message', onMessage);
    await new Promise<void>((resolve) => {
      socket.bind(0, host, resolve);
    });
  };
  const exchange = (bytes: Buffer, answer: number, timeoutMs: number): Promise<boolean> =>
    new Promise((resolve) => {
      const key = `${answer}/${bytes.readUInt16BE(1)}`;
      const settle = (acknowledged: boolean): void => {
        clearTimeout(timer);
        waiting.delete(key);
        resolve(acknowledged);
      };
      const timer = setTimeout(settle, timeoutMs, false);
      waiting.set(key, () => settle(true));
      socket.send(bytes, port, '127.0.0.1');
    });
  const gateway: TestGateway = {
    id,
    downlinks,
    answers: [],
    acks: [],
    push: (rxpk, timeoutMs = 2000) =>
      exchange(Buffer.concat([header(0), Buffer.from(JSON.stringify({ rxpk }))]), 1, timeoutMs),
    pull: (timeoutMs = 2000) => exchange(header(2), 4, timeoutMs),
    report: (stat) => exchange(Buffer.concat([header(0), Buffer.from(JSON.stringify({ stat }))]), 1, 2000),
    sendRaw: (bytes) => socket.send(bytes, port, '127.0.0.1'),
    async move() {
      socket.close();
      await bind();
    },
    async close() {
      await new Promise<void>((resolve) => {
        socket.close(resolve);
      });
    },
  };
  socket.close();
  await bind();
  return gateway;
}

/** One element of `rxpk` around a PHYPayload. */
export function rxpkOf(phyPayload: Uint8Array, tmst: number): Record<string, unknown> {
  const data = Buffer.from(phyPayload).toString('base64');
  const radio = { freq: 868.1, chan: 0, rfch: 1, stat: 1, modu: 'LORA', datr: 'SF7BW125', codr: '4/5' };
  return { tmst, ...radio, rssi: -60, lsnr: 7.5, size: phyPayload.length, data };
}
