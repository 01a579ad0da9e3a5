import { test } from '@jest/globals';

/** Tests that go on from each other: after one has failed, the others say so at once instead of waiting in vain. */
export interface Steps {
  step(name: string, run: () => Promise<void>): void;
  wentWell(): boolean;
}

/** @param story what is told with a failure */
export function inSteps(story: () => string): Steps {
  let failed: string | undefined;
  return {
    step(name, run) {
      test(name, async () => {
        if (failed !== undefined) throw new Error(`not tried, because of: ${failed}`);
        try {
          await run();
        } catch (error) {
          failed = name;
          if (error instanceof Error) error.message += `\n\n${story()}`;
          throw error;
        }
      });
    },
    wentWell: () => failed === undefined,
  };
}
