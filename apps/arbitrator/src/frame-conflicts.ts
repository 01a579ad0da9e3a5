import { z } from 'zod';
import { callJson, parseInput, type HttpPeer } from '@antirio/host';
import type { Trouble } from './alarm-rules.ts';

const frameConflict = z.looseObject({
  device: z.string(),
  devEui: z.string(),
  session: z.string().nullable(),
  fCnt: z.int().nullable(),
  unseen: z.int(),
});
/** A device with genuine frames that became no readings, which no operator has seen; by the newest of them. */
export type FrameConflict = z.output<typeof frameConflict>;

const answer = z.looseObject({ devices: z.array(frameConflict) });
/** The other alarms wait for it. */
const TIMEOUT_MS = 1000;

/** Asks the device service, which keeps them; while that does not answer it is as it said last. */
export function createFrameConflicts(
  deviceLora: HttpPeer | undefined,
): () => Promise<readonly FrameConflict[]> {
  let told: readonly FrameConflict[] = [];
  return async () => {
    if (deviceLora === undefined) return told;
    try {
      const found = await callJson(deviceLora, { path: '/api/v3/lora/conflict', timeoutMs: TIMEOUT_MS });
      told = parseInput(answer, found).devices;
    } catch {
      // an alarm is not over because nobody can be asked
    }
    return told;
  };
}

export function frameConflictTrouble({ device, devEui, session, fCnt, unseen }: FrameConflict): Trouble {
  const what = unseen === 1 ? 'a genuine frame is no reading' : `${unseen} genuine frames are no readings`;
  const named = [session === null ? [] : `session ${session}`, fCnt === null ? [] : `counter ${fCnt}`];
  const newest = [devEui, ...named.flat()].join(', ');
  const detail = `${what}, as another is stored under the counter (${newest}): the device lost its count, or its keys are used twice`;
  return { name: 'conflict', about: device, detail };
}
