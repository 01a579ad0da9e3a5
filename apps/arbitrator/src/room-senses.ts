import { z } from 'zod';
import { callJson, parseInput, type HttpPeer } from '@antirio/host';
import { VITAL_ROOMS, type Load, type Observed, type VitalRoom } from '@antirio/service-contract';

const check = z.looseObject({ ok: z.boolean() }).optional();
const readiness = z.looseObject({ checks: z.looseObject({ store: check, service: check }) });
type Readiness = z.output<typeof readiness>['checks'];

/** Who has not said by then whether it is ready is taken to be silent, until it is asked again. */
const READY_TIMEOUT_MS = 2000;

/** What a room says of itself; undefined where it gives no answer, or one that says nothing. */
async function readinessOf(peer: HttpPeer): Promise<Readiness | undefined> {
  try {
    const answer = await peer.call({ path: '/api/v3/ready', timeoutMs: READY_TIMEOUT_MS });
    const told = answer.status === 200 || answer.status === 503;
    const found = readiness.safeParse(told ? answer.json() : undefined);
    return found.success ? found.data.checks : undefined;
  } catch {
    return undefined;
  }
}

function stateOf(checks: Readiness | undefined): 'well' | 'refusing' | 'silent' {
  if (checks === undefined || checks.service?.ok === false) return 'silent';
  return checks.store?.ok === false ? 'refusing' : 'well';
}

const gatewayList = z.looseObject({
  gateways: z.array(
    z.looseObject({
      gatewayId: z.string(),
      pulledAgoMs: z.number().nullish(),
      pushedAgoMs: z.number().nullish(),
      heardAgoMs: z.number().nullish(),
    }),
  ),
});

/** The least of those that there are. */
function newest(...ages: readonly (number | null | undefined)[]): number | undefined {
  const there = ages.flatMap((age) => (typeof age === 'number' ? [Math.max(0, Math.round(age))] : []));
  return there.length === 0 ? undefined : Math.min(...there);
}

async function senseGateways(bridge: HttpPeer): Promise<Pick<Observed, 'gateways'>> {
  try {
    const found = parseInput(
      gatewayList,
      await callJson(bridge, { path: '/api/v3/gateway', timeoutMs: READY_TIMEOUT_MS }),
    ).gateways;
    const gateways = found.map(({ gatewayId, pulledAgoMs, pushedAgoMs, heardAgoMs }) => {
      const heardMsAgo = newest(pulledAgoMs, pushedAgoMs, heardAgoMs);
      const uplinkMsAgo = newest(heardAgoMs);
      return {
        id: gatewayId.slice(0, 32),
        ...(heardMsAgo === undefined ? {} : { heardMsAgo }),
        ...(uplinkMsAgo === undefined ? {} : { uplinkMsAgo }),
      };
    });
    return { gateways };
  } catch {
    return {};
  }
}

const ownRing = z.looseObject({ next: z.int(), acknowledged: z.int() });

/** How many frames the bridge has acknowledged to gateways that the device service has not stored yet. */
async function senseQueue(bridge: HttpPeer): Promise<Pick<Load, 'queue'>> {
  try {
    const { next, acknowledged } = parseInput(
      ownRing,
      await callJson(bridge, { path: '/api/v3/ring/own', timeoutMs: READY_TIMEOUT_MS }),
    );
    return { queue: Math.max(0, next - 1 - acknowledged) };
  } catch {
    return {};
  }
}

export type Sensed = Pick<Observed, 'storeOk' | 'gateways' | 'rooms' | 'load'>;

/**
 * What the rooms of this edge say of themselves. Of a bridge that does not answer only that is known: neither its store nor its
 * gateways are ill or well by it.
 */
export async function senseEdge(
  peers: Readonly<Record<string, HttpPeer>>,
  bridge: HttpPeer,
  measured: () => Load,
): Promise<Sensed> {
  const asked = VITAL_ROOMS.flatMap((room) => {
    const peer = peers[room];
    return peer === undefined ? [] : [[room, peer] as const];
  });
  const said = new Map<VitalRoom, Readiness | undefined>(
    await Promise.all(asked.map(async ([room, peer]) => [room, await readinessOf(peer)] as const)),
  );
  const rooms = Object.fromEntries(asked.map(([room]) => [room, stateOf(said.get(room))]));
  const storeOk = said.get('gatewayBridge')?.store?.ok !== false;
  if (rooms['gatewayBridge'] === 'silent') return { storeOk, rooms, load: measured() };
  const [heard, queue] = await Promise.all([senseGateways(bridge), senseQueue(bridge)]);
  return { storeOk, ...heard, rooms, load: { ...measured(), ...queue } };
}
