import { test } from '@jest/globals';

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
