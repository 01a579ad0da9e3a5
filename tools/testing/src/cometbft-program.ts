import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

/** Where `tools/cometbft/build` puts it; outside of what git knows. */
const BUILT = resolve(import.meta.dirname, '../../../node_modules/.cache/antirio/cometbft/cometbft');

/** The `cometbft` of a real node: what COMETBFT_BIN names, else the one that was built; undefined where there is none. */
export function findCometbft(): string | undefined {
  const named = process.env['COMETBFT_BIN'];
  return [named, BUILT].find((path) => path !== undefined && path !== '' && existsSync(path));
}
