import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIP, isIPv6 } from 'node:net';
import { z } from 'zod';
import { parseInput, type Subscription } from '@antirio/host';
import { AntirioError, describeError, fromUtf8, toHex, type EdgeId } from '@antirio/kernel';
import { createBriefCache } from './brief-cache.ts';
import { datagramKind, encodeDatagram, MAX_DATAGRAM_BYTES, type Datagram } from './datagram-codec.ts';
import { resolveEdge, type Directory } from './directory.ts';
import type { Edge2EdgeOptions, Edge2EdgePorts } from './options.ts';
import { createDatagramJudge, DROPS, type Drop } from './datagram-judge.ts';

export type DatagramCounters = Readonly<Record<Drop | 'received' | 'sent', number>>;

/** Signed datagrams between edges: what a room publishes on `antirio/datagram/out` comes out at the other edge's bus. */
export interface Datagrams {
  start(port: number, bind: string): Promise<number>;
  stop(): Promise<void>;
  counters(): DatagramCounters;
}

const outgoing = z.looseObject({ to: z.string(), kind: datagramKind, body: z.record(z.string(), z.json()) });

const MAX_PENDING = 1000;
const BUFFER_BYTES = 1 << 20;
const ADDRESS_LIFE_MS = 30_000;

function openSocket(port: number, bind: string): Promise<Socket> {
  const opening = createSocket({
    type: isIPv6(bind) ? 'udp6' : 'udp4',
    recvBufferSize: BUFFER_BYTES,
    sendBufferSize: BUFFER_BYTES,
  });
  return new Promise((resolve, reject) => {
    opening.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRINUSE' ? 'is taken' : 'cannot be used';
      reject(new AntirioError('unavailable', `edge2edge: ${bind}:${port}/udp ${why}`, {}, cause));
    });
    opening.bind(port, bind, () => resolve(opening));
  });
}

export interface DatagramParts {
  readonly options: Edge2EdgeOptions;
  readonly ports: Edge2EdgePorts;
  readonly directory: Directory;
}

export function createDatagrams({ options, ports, directory }: DatagramParts): Datagrams {
  const { clock, bus, identity, log, random } = ports;
  const counts: Record<Drop | 'received' | 'sent', number> = {
    received: 0,
    sent: 0,
    ...(Object.fromEntries(DROPS.map((name) => [name, 0])) as Record<Drop, number>),
  };
  const boot = toHex(random.bytes(8));
  const judge = createDatagramJudge({ clock, own: identity.edgeId, directory, options });
  const addresses = createBriefCache(
    clock,
    async (host) =>
      isIP(host) === 0 ? (await lookup(host, { family: isIPv6(options.peerBind) ? 0 : 4 })).address : host,
    () => ADDRESS_LIFE_MS,
  );
  let socket: Socket | undefined;
  let subscription: Subscription | undefined;
  let sequence = 0;
  let pending = 0;

  const deliver = async (
    { from, kind, body }: Pick<Datagram, 'from' | 'kind' | 'body'>,
    receivedAt: number,
    proof?: Pick<Datagram, 'to' | 'boot' | 'seq' | 'signature'>,
  ): Promise<void> => {
    if (pending >= MAX_PENDING) {
      counts.tooMany += 1;
      return;
    }
    pending += 1;
    try {
      counts.received += 1;
      const message = JSON.stringify({ from, kind, body, receivedAt, proof });
      await bus.publish(`antirio/datagram/in/${kind}`, message);
    } catch (error) {
      log.warn({ kind, error: describeError(error) }, 'a datagram did not reach the bus');
    } finally {
      pending -= 1;
    }
  };
  const receive = (bytes: Uint8Array, source: RemoteInfo): void => {
    const receivedAt = clock.monotonic();
    const judged = judge(bytes, `${source.address}:${source.port}`);
    if (typeof judged === 'string') {
      counts[judged] += 1;
      return;
    }
    const { to, boot: theirs, seq, signature } = judged;
    void deliver(judged, receivedAt, { to, boot: theirs, seq, signature });
  };
  const sendTo = async (to: EdgeId, kind: string, body: Datagram['body']): Promise<void> => {
    const bytes = encodeDatagram(identity, { to, boot, seq: ++sequence, kind, body });
    if (bytes.length > MAX_DATAGRAM_BYTES)
      throw new AntirioError('tooLarge', `a datagram of ${bytes.length} bytes`, { kind });
    const { udp } = directory.get(to) ?? (await directory.find(to));
    if (udp === undefined) throw new AntirioError('notFound', `no datagram address of the edge ${to}`);
    const address = await addresses.get(udp.host);
    const opened = socket;
    if (opened === undefined) throw new AntirioError('unavailable', 'closed');
    await new Promise<void>((resolve, reject) => {
      opened.send(bytes, udp.port, address, (cause) => {
        if (cause === null) resolve();
        else reject(new AntirioError('unavailable', 'not sent', {}, cause));
      });
    });
    counts.sent += 1;
  };
  const send = async (payload: Uint8Array): Promise<void> => {
    if (pending >= MAX_PENDING) throw new AntirioError('busy', 'too many datagrams wait');
    pending += 1;
    try {
      const { to, kind, body } = parseInput(outgoing, JSON.parse(fromUtf8(payload)));
      const edge = resolveEdge(to, options, identity.edgeId);
      if (edge === identity.edgeId) await deliver({ from: edge, kind, body }, clock.monotonic());
      else await sendTo(edge, kind, body);
    } finally {
      pending -= 1;
    }
  };
  return {
    counters: () => ({ ...counts }),
    async start(port, bind) {
      const opened = await openSocket(port, bind);
      socket = opened;
      opened.removeAllListeners('error');
      opened.on('error', (error) => log.warn({ error: error.message }, 'datagram socket'));
      opened.on('message', receive);
      subscription = await bus.subscribe('antirio/datagram/out', (_topic, payload) => {
        // Not waited for: one edge without an address holds up no other.
        send(payload).catch((error: unknown) => {
          counts.unsent += 1;
          log.debug({ error: describeError(error) }, 'datagram not sent');
        });
      });
      return opened.address().port;
    },
    async stop() {
      await subscription?.close();
      subscription = undefined;
      const closing = socket;
      socket = undefined;
      if (closing !== undefined) await new Promise<void>((resolve) => closing.close(resolve));
    },
  };
}
