import { z } from 'zod';
import { callJson, parseInput, type HttpPeer } from '@antirio/host';
import { isAntirioError } from '@antirio/kernel';

/** A counter of each session that its device had reached: frames tell 16 bits of theirs, and are looked for around it. */
export type CounterFloors = ReadonlyMap<string, number>;

const marksSchema = z.object({
  marks: z.record(z.string(), z.looseObject({ session: z.string(), fcnt: z.int().min(0) })),
});

/** By the marks of a ring of our own bridge: counters that our service verified (`own`), or that a contract's customer has told. */
export async function counterFloors(
  { gatewayBridge: bridge }: Readonly<Record<string, HttpPeer>>,
  ringId: string,
): Promise<CounterFloors> {
  if (bridge === undefined) return new Map();
  try {
    const { marks } = parseInput(
      marksSchema,
      await callJson(bridge, { path: `/api/v3/ring/${ringId}/marks` }),
    );
    return new Map(Object.values(marks).map(({ session, fcnt }) => [session, fcnt]));
  } catch (error) {
    if (isAntirioError(error, 'notFound')) return new Map();
    throw error;
  }
}
