import { z } from 'zod';
import { httpPeer, silentLog, type HttpPeer } from '@antirio/host';
import { describeError, fromUtf8, type Clock } from '@antirio/kernel';
import { credentialsOf, peerOf } from '../access.ts';
import { brokerUrlOf, type EdgeConfig } from '../config.ts';
import { roomOf } from '../rooms.ts';
import { ok, problem, warning, type Finding } from './finding.ts';
import { judgeTimeAgainst } from './host-checks.ts';
import { judgeRefused } from './refused-gateways.ts';

const TIMEOUT_MS = 3000;

/** Whether a message that wants an acknowledgement gets one. */
export async function checkBroker(config: EdgeConfig): Promise<Finding[]> {
  const { createMqttBus } = await import('@antirio/bus');
  const room = roomOf('broker');
  const url = brokerUrlOf(room, config);
  const { host, protocol } = new URL(url);
  const at = `${protocol}//${host}`;
  const bus = createMqttBus({ url, ...credentialsOf(config, silentLog)(room) }, silentLog, {
    publishTimeoutMs: TIMEOUT_MS,
  });
  try {
    await bus.publish('antirio/doctor', '', { qos: 1 });
    return [ok('broker', `${at} acknowledges messages`)];
  } catch (error) {
    return [
      problem(
        'broker',
        `the broker at ${at} does not take messages (${describeError(error)}): start it, or let services.broker say where it is and with what token`,
      ),
    ];
  } finally {
    await bus.close();
  }
}

const gateway = z.looseObject({
  gatewayId: z.string(),
  pushedAgoMs: z.number().optional(),
  pulledAgoMs: z.number().optional(),
  stat: z.looseObject({ agoMs: z.number() }).optional(),
});
export type SeenGateway = z.output<typeof gateway>;

/** Packet forwarders report every 30 s, and keep their way for downlinks open every 10 s. */
const LATE_MS = 120_000;

/** @param udpPort where packet forwarders are to send */
export function judgeGateways(gateways: readonly SeenGateway[], udpPort: number): Finding[] {
  if (gateways.length === 0)
    return [
      warning(
        'radio',
        `no gateway has sent anything yet: let its packet forwarder send to this host, port ${udpPort}/udp (server_address, serv_port_up, serv_port_down), and set gatewayBridge.udp.bind where it is another host`,
      ),
    ];
  return gateways.map(({ gatewayId, pushedAgoMs, pulledAgoMs, stat }) => {
    const pushed = Math.min(pushedAgoMs ?? Infinity, stat?.agoMs ?? Infinity);
    const ago = (ms: number): string => `${Math.round(ms / 1000)} s ago`;
    if (pushed > LATE_MS)
      return problem(
        'radio',
        `gateway ${gatewayId} ${pushed === Infinity ? 'has reported nothing' : `reported last ${ago(pushed)}`}: look at its power, its network and its packet forwarder's log`,
      );
    if ((pulledAgoMs ?? Infinity) > LATE_MS)
      return problem(
        'radio',
        `gateway ${gatewayId} reports but asks for no downlinks: let serv_port_down be ${udpPort} too, and open that port in both directions`,
      );
    return ok('radio', `gateway ${gatewayId} reported ${ago(pushed)}`);
  });
}

async function getJson<S extends z.ZodType>(peer: HttpPeer, path: string, schema: S): Promise<z.output<S>> {
  return schema.parse((await peer.call({ path, timeoutMs: TIMEOUT_MS })).json());
}

export async function checkRadio(config: EdgeConfig, udpPort: number): Promise<Finding[]> {
  const peer = peerOf(roomOf('gatewayBridge'), config, silentLog);
  try {
    const { gateways } = await getJson(peer, '/api/v3/gateway', z.object({ gateways: z.array(gateway) }));
    const metrics = await peer.call({ path: '/api/v3/metrics', timeoutMs: TIMEOUT_MS });
    return [...judgeGateways(gateways, udpPort), ...judgeRefused(fromUtf8(metrics.body))];
  } catch (error) {
    return [problem('radio', `gateway-bridge does not tell of its gateways: ${describeError(error)}`)];
  } finally {
    peer.close();
  }
}

export interface Neighbour {
  readonly name: string;
  readonly edgeId: string;
  readonly url: string;
}

/** Whether its port answers, how soon, and what time it has there (RFC 9110, `Date`, whole seconds). */
export async function checkReach({ name, url }: Neighbour, clock: Clock): Promise<Finding[]> {
  const peer = httpPeer({ url });
  const began = clock.monotonic();
  try {
    const { headers } = await peer.call({ path: '/edge2edge/api/v3/ping', timeoutMs: TIMEOUT_MS });
    const tookMs = clock.monotonic() - began;
    const reached = ok('peers', `${name} answers at ${url} in ${Math.round(tookMs)} ms`);
    const theirs = Date.parse(String(headers['date']));
    if (Number.isNaN(theirs)) return [reached];
    const differenceMs = clock.now() - tookMs / 2 - (theirs + 500);
    return [reached, judgeTimeAgainst(name, Math.abs(differenceMs) <= 1000 ? 0 : differenceMs)];
  } catch (error) {
    return [
      problem(
        'peers',
        `${name} does not answer at ${url} (${describeError(error)}): look whether it runs, whether its edge2edge.peerBind is open to this host, and whether a firewall is in between`,
      ),
    ];
  } finally {
    peer.close();
  }
}

/** Whether what it answers through our own edge2edge has its signature. */
export async function checkSignature({ name, edgeId }: Neighbour, config: EdgeConfig): Promise<Finding[]> {
  const peer = peerOf(roomOf('edge2edge'), config, silentLog);
  try {
    const path = `/edge2edge/peer/${edgeId}/edge2edge/api/v3/ping`;
    const { status, body } = await peer.call({ path, timeoutMs: TIMEOUT_MS });
    if (status === 200) return [ok('peers', `${name} answers with its signature`)];
    const said = Buffer.from(body).toString('utf8').slice(0, 300);
    return [
      problem(
        'peers',
        `${name} does not answer signed requests (${status} ${said}): its id in our configuration may be another edge's, or ours is not in its neighbours`,
      ),
    ];
  } catch (error) {
    return [problem('peers', `our edge2edge does not pass on to ${name}: ${describeError(error)}`)];
  } finally {
    peer.close();
  }
}

export function neighboursOf({ central, neighbours, role }: EdgeConfig): Neighbour[] {
  const short = (edgeId: string): string => `edge ...${edgeId.slice(-8)}`;
  return [
    ...(central === undefined || role === 'central'
      ? []
      : [{ name: 'the central', edgeId: central.edgeId, url: central.url }]),
    ...Object.entries(neighbours).map(([edgeId, { url }]) => ({ name: short(edgeId), edgeId, url })),
  ];
}
