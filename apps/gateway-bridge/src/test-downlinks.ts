import { systemClock, waitFor } from '@antirio/host';
import { GATEWAY, ONE, uplink, type Edge } from './test-edge.ts';
import { rxpkOf } from './test-gateway.ts';

const lora = { bandwidth: 125_000, spreadingFactor: 7, codeRate: 'CR_4_5', polarizationInversion: true };

interface Outcome {
  readonly status: string;
  readonly refused?: string;
}

export const contextOf = (tmst: number): string => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(tmst);
  return bytes.toString('base64');
};

/** One item of a `command/down`; `timing` in the words of ChirpStack. */
export const itemOf = (
  phyPayload: Uint8Array,
  timing: unknown,
  change: Readonly<Record<string, unknown>> = {},
): object => ({
  phyPayload: Buffer.from(phyPayload).toString('base64'),
  txInfo: { frequency: 868_100_000, power: 14, modulation: { lora }, timing, ...change },
});

export const commandOf = (items: readonly object[]): string =>
  JSON.stringify({ downlinkId: 7, gatewayId: GATEWAY, items });

/** The same frame after each of some delays, in seconds. */
export const command = (phyPayload: Uint8Array, delays: readonly number[], tmst: number): string =>
  commandOf(
    delays.map((seconds) =>
      itemOf(phyPayload, { delay: { delay: `${String(seconds)}s` } }, { context: contextOf(tmst) }),
    ),
  );

/** What the bridge says of a command. */
export async function sendOn(
  edge: Edge,
  json: string | Uint8Array,
  prefix = '',
  timeoutMs = 20_000,
): Promise<readonly Outcome[]> {
  const acks: { items: Outcome[] }[] = [];
  const topic = `${prefix}eu868/gateway/${GATEWAY}`;
  const subscription = await edge.bus.subscribe(`${topic}/event/ack`, (_, payload) => {
    acks.push(JSON.parse(Buffer.from(payload).toString()) as { items: Outcome[] });
  });
  await edge.bus.publish(`${topic}/command/down`, json);
  await waitFor(systemClock, timeoutMs, () => acks.length > 0 || undefined);
  await subscription.close();
  return acks[0]?.items ?? [];
}

/** Something is heard by the gateway, so that its clock is known. */
export async function heard(edge: Edge, tmst: number): Promise<void> {
  await edge.gateway.push([rxpkOf(uplink(ONE, tmst & 0xffff), tmst)]);
}
