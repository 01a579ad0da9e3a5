import { z } from 'zod';
import { callJson, parseInput, type HttpPeer } from '@antirio/host';
import type { Load, Observed } from '@antirio/service-contract';

const readiness = z.looseObject({
  checks: z.looseObject({ store: z.looseObject({ ok: z.boolean() }).optional() }),
});

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

/** Whether the bridge can write down what it hears, and its gateways; an unanswered question says nothing against it. */
export async function senseBridge(bridge: HttpPeer): Promise<Pick<Observed, 'storeOk' | 'gateways'>> {
  try {
    const answer = await bridge.call({ path: '/api/v3/ready' });
    const told = answer.status === 200 || answer.status === 503;
    const checks = readiness.safeParse(told ? answer.json() : undefined);
    const storeOk = !checks.success || checks.data.checks.store?.ok !== false;
    const found = parseInput(gatewayList, await callJson(bridge, { path: '/api/v3/gateway' })).gateways;
    const gateways = found.map(({ gatewayId, pulledAgoMs, pushedAgoMs, heardAgoMs }) => {
      const heardMsAgo = newest(pulledAgoMs, pushedAgoMs, heardAgoMs);
      const uplinkMsAgo = newest(heardAgoMs);
      return {
        id: gatewayId.slice(0, 32),
        ...(heardMsAgo === undefined ? {} : { heardMsAgo }),
        ...(uplinkMsAgo === undefined ? {} : { uplinkMsAgo }),
      };
    });
    return { storeOk, gateways };
  } catch {
    return { storeOk: true };
  }
}

const ownRing = z.looseObject({ next: z.int(), acknowledged: z.int() });

/** How many frames the bridge has acknowledged to gateways that the device service has not stored yet. */
export async function senseQueue(bridge: HttpPeer): Promise<Pick<Load, 'queue'>> {
  try {
    const { next, acknowledged } = parseInput(ownRing, await callJson(bridge, { path: '/api/v3/ring/own' }));
    return { queue: Math.max(0, next - 1 - acknowledged) };
  } catch {
    return {};
  }
}
