import { z } from 'zod';

/** What `contract show` says of acting, beside the state. Durations in ms. */
export const actingView = z.looseObject({
  comesBack: z.looseObject({ failures: z.number(), backoffLeftMs: z.number().optional() }).optional(),
  providerActsForMs: z.number().optional(),
  waitsForItsTurn: z.boolean().optional(),
  leaseBy: z.string().optional(),
});

const seconds = (ms: number): string => `${Math.ceil(ms / 1000)} s`;

function comesBackLine({
  failures,
  backoffLeftMs,
}: {
  failures: number;
  backoffLeftMs?: number | undefined;
}) {
  const row = `${failures} ${failures === 1 ? 'failure' : 'failures'} in a row`;
  if (backoffLeftMs === undefined) return failures === 0 ? [] : [`${row}: the next return waits longer`];
  const left =
    backoffLeftMs > 0 ? `not asked for within ${seconds(backoffLeftMs)}` : 'asked for when caught up';
  return [`sensors: ${left} (${row})`];
}

/** Only what an operator would want to know. */
export function actingLines({
  comesBack,
  providerActsForMs,
  waitsForItsTurn,
  leaseBy,
}: z.output<typeof actingView>): string[] {
  const overLine =
    'the provider has served for maxActiveS: nobody acts until the customer has its sensors back';
  return [
    ...(comesBack === undefined ? [] : comesBackLine(comesBack)),
    ...(providerActsForMs === undefined
      ? []
      : [providerActsForMs === 0 ? overLine : `the provider may act for ${seconds(providerActsForMs)} more`]),
    ...(leaseBy === 'promises'
      ? ['acts by the promises of the other parties: the grantor does not answer']
      : []),
    ...(waitsForItsTurn === true ? ['its takeover waits for others that began before'] : []),
  ];
}
