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

/** Whether whoever runs the tests has said that there is no such program or engine here: `KUBO_BIN=absent`. */
export const isSaidAbsent = (variable: string): boolean => process.env[variable] === 'absent';

/** As `testWhen`, but left out where it was said that what it needs is absent. */
export const testUnlessAbsent = (
  variable: string,
  isThere: boolean,
  reason: string,
): ReturnType<typeof testWhen> =>
  !isThere && isSaidAbsent(variable) ? () => undefined : testWhen(isThere, reason);

/** How a reason stands in a test's title. */
export function skipNote(reason: string): string {
  return `[skipped: ${reason}]`;
}
