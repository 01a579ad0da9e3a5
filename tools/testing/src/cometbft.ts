import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { testWhen } from './test-when.ts';

/** Where `tools/cometbft/build` puts it; outside of what git knows. */
const BUILT = resolve(import.meta.dirname, '../../../node_modules/.cache/antirio/cometbft/cometbft');

/** The `cometbft` of a real node: what COMETBFT_BIN names, else the one that was built; undefined where there is none. */
export function findCometbft(): string | undefined {
  const named = process.env['COMETBFT_BIN'];
  return [named, BUILT].find((path) => path !== undefined && path !== '' && existsSync(path));
}

/** A test that needs CometBFT. Without one it is skipped and says so; where `COMETBFT_BIN=absent` says that there is none, it is left out. */
export const cometbftTest: ReturnType<typeof testWhen> =
  process.env['COMETBFT_BIN'] === 'absent' && findCometbft() === undefined
    ? () => undefined
    : testWhen(
        findCometbft() !== undefined,
        'no CometBFT: run tools/cometbft/build, or name one with COMETBFT_BIN',
      );
