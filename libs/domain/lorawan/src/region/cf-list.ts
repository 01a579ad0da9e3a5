import { AntirioError } from '@antirio/kernel';

const CHANNELS = 5;
const LENGTH = 16;
const STEP_HZ = 100;

/** A frequency as MAC commands and CFLists have it: 24 bits of 100 Hz. @throws AntirioError invalidInput */
export function stepsOf(frequency: number): number {
  const steps = frequency / STEP_HZ;
  if (!Number.isInteger(steps) || steps < 0 || steps > 0xff_ffff)
    throw new AntirioError(
      'invalidInput',
      `a frequency is a multiple of 100 Hz below 1.68 GHz: ${frequency}`,
    );
  return steps;
}

/** Hz. */
export const frequencyOf = (steps: number): number => steps * STEP_HZ;

// least significant byte first
function putFrequency(bytes: Uint8Array, at: number, frequency: number): void {
  const steps = stepsOf(frequency);
  bytes.set([steps & 0xff, (steps >>> 8) & 0xff, steps >>> 16], at);
}

function frequencyAt(bytes: Uint8Array, at: number): number {
  return frequencyOf((bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16));
}

/** A CFList of type 0 (RP002-1.0.3, 2.4.4). @throws AntirioError invalidInput */
export function channelList(
  frequencies: readonly number[],
  allowed: (frequency: number) => boolean,
): Uint8Array | undefined {
  if (frequencies.length === 0) return undefined;
  if (frequencies.length > CHANNELS)
    throw new AntirioError('invalidInput', `a CFList has at most ${CHANNELS} channels`);
  const bytes = new Uint8Array(LENGTH);
  for (const [i, frequency] of frequencies.entries()) {
    if (!allowed(frequency))
      throw new AntirioError('invalidInput', `a channel outside of the region: ${frequency} Hz`);
    putFrequency(bytes, i * 3, frequency);
  }
  return bytes;
}

/** The channels' frequencies of a CFList of type 0, in Hz. @throws AntirioError invalidInput for another length or type. */
export function parseCfList(bytes: Uint8Array): number[] {
  if (bytes.length !== LENGTH || bytes[LENGTH - 1] !== 0)
    throw new AntirioError('invalidInput', 'a CFList of type 0 has 16 bytes');
  const frequencies = Array.from({ length: CHANNELS }, (_, i) => frequencyAt(bytes, i * 3));
  return frequencies.filter((frequency) => frequency !== 0);
}
