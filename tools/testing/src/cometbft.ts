import { findCometbft } from './cometbft-program.ts';
import { testUnlessAbsent } from './test-when.ts';

/** A test that needs CometBFT. Without one it is skipped and says so; where `COMETBFT_BIN=absent` says that there is none, it is left out. */
export const cometbftTest = testUnlessAbsent(
  'COMETBFT_BIN',
  findCometbft() !== undefined,
  'no CometBFT: run tools/cometbft/build, or name one with COMETBFT_BIN',
);
