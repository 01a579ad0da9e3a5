import { test } from '@jest/globals';
import { findKubo } from './kubo.ts';

export { flipByteOnDisk } from './flip-byte.ts';

/**
 * `test` where the condition holds, else a skipped test that says why: `npm test` lists every skip with its reason.
 *
 * @param condition what the test needs from the machine, e.g. that a container engine answers
 * @param reason what is missing, for the reader of the list: `no container engine answers`
 */
export function testWhen(
  condition: boolean,
  reason: string,
): (name: string, run: () => unknown, timeoutMs?: number) => void {
  return (name, run, timeoutMs) => {
    if (!condition) {
      test.skip(`${name} ${skipNote(reason)}`, () => undefined);
      return;
    }
    test(
      name,
      async () => {
        await run();
      },
      timeoutMs,
    );
  };
}

/** How a reason stands in a test's title. */
export function skipNote(reason: string): string {
  return `[skipped: ${reason}]`;
}

export { localNodeFiles, type ImageFile } from './local-node.ts';
export { claimOffsets, type ClaimedOffsets } from './port-offsets.ts';
/**
 * A test that needs the reference implementation of IPFS. Without one it is skipped and says so; where whoever runs the tests has said
 * that there is none (`ANTIRIO_REFERENCE=absent`), it is left out.
 */
export const kuboTest: ReturnType<typeof testWhen> =
  findKubo() === undefined && process.env['ANTIRIO_REFERENCE'] === 'absent'
    ? () => undefined
    : testWhen(findKubo() !== undefined, 'reference: absent (KUBO_BIN names no Kubo, and none was built)');

export { findKubo, startKubo, type KuboDaemon, type KuboDaemonOptions } from './kubo.ts';
