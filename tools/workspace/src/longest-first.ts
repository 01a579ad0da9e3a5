// The order in which Jest begins test files: one that takes minutes must not be left for the end, where nothing runs beside it. Jest knows
// how long files took on a machine where they ran before; on a new one it goes by their size, which says little.
import { relative } from 'node:path';
import sequencer from '@jest/test-sequencer';
import { workspaceRoot } from './root.ts';

/** Those of each kind that take longest, in the order in which they are to begin; the others follow as Jest has them. */
export const LONGEST: readonly string[] = [
  // Handover has four demos at a time, and so has sabotage: not both at once.
  ...['e2e/handover.test.ts', 'e2e/full-drill.test.ts', 'e2e/by-hand.test.ts', 'e2e/planned.test.ts'],
  ...['e2e/joins-served.test.ts', 'e2e/joins.test.ts', 'e2e/blocks.test.ts', 'e2e/lora.test.ts'],
  ...['e2e/sabotage.test.ts', 'e2e/listening.test.ts', 'e2e/bench.test.ts', 'e2e/state.test.ts'],
  ...['e2e/drill.test.ts', 'e2e/drone.test.ts'],
  'apps/dmu/src/dmu.int.test.ts',
  'libs/adapters/storage-network/src/kubo-network.int.test.ts',
  'apps/edge/src/cli.int.test.ts',
  'apps/orchestrator/src/service/docker-service.int.test.ts',
  'libs/adapters/storage-filecoin/src/filecoin-network.int.test.ts',
  'libs/adapters/runtime/src/docker-runtime.int.test.ts',
  'apps/orchestrator/src/service/versions.int.test.ts',
  'libs/adapters/content-store/src/kubo-vectors.int.test.ts',
  'apps/migration/src/migration.int.test.ts',
  'libs/adapters/runtime/src/balena-runtime.int.test.ts',
  'tools/lora-simulator/src/network.int.test.ts',
  'tools/lora-simulator/src/simulator.int.test.ts',
  'libs/adapters/ledger-cometbft/src/federation.int.test.ts',
  ...['sim/src/sim.test.ts', 'sim/src/one-provider.test.ts', 'sim/src/mutants.test.ts'],
  'tools/fuzz/src/parsers/parsers.test.ts',
  'apps/gateway-bridge/src/ring/flood.test.ts',
  'libs/adapters/content-store/src/fetch-wire.test.ts',
];

/** The longest first; what is not among them stays in its order. */
export function longestFirst<T extends { readonly path: string }>(tests: readonly T[]): T[] {
  const places = new Map(LONGEST.map((file, place) => [file, place]));
  const placeOf = ({ path }: T): number => places.get(relative(workspaceRoot, path)) ?? LONGEST.length;
  return tests.toSorted((a, b) => placeOf(a) - placeOf(b));
}

// Its types tell of the CommonJS module; to an import its class is the default itself.
const Sequencer = sequencer as unknown as typeof sequencer.default;

export default class LongestFirst extends Sequencer {
  override async sort(tests: Parameters<(typeof Sequencer)['prototype']['sort']>[0]) {
    return longestFirst(await super.sort(tests));
  }
}
