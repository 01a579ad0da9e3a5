import { findKubo } from './kubo.ts';
import { testUnlessAbsent } from './test-when.ts';

export { cometbftTest } from './cometbft.ts';
export { findCometbft } from './cometbft-program.ts';
export { findEngines, onEachEngine, type ImageStore, type TestEngine } from './engines.ts';
export { freePort } from './free-port.ts';
export { flipByteOnDisk } from './flip-byte.ts';
export { localNodeFiles, type ImageFile } from './local-node.ts';
export { claimOffsets, type ClaimedOffsets } from './port-offsets.ts';
/**
 * A test that needs the reference implementation of IPFS. Without one it is skipped and says so; where whoever runs the tests has said
 * that there is none (`KUBO_BIN=absent`), it is left out.
 */
export const kuboTest = testUnlessAbsent(
  'KUBO_BIN',
  findKubo() !== undefined,
  'reference: absent (KUBO_BIN names no Kubo, and none was built)',
);

export { findKubo, startKubo, type KuboDaemon, type KuboDaemonOptions } from './kubo.ts';
export { redisTest, startRedis, type RedisServer, type RedisServerOptions } from './redis.ts';
export { skipNote, testWhen } from './test-when.ts';
export { selfSigned } from './certificates.ts';
export { onEachStore, type StoreCase } from './stores.ts';
