import { runService } from '@antirio/edgex-service';
import { coreKeeperEnvironment, coreKeeperOptions, createCoreKeeper } from './index.ts';

await runService({
  serviceKey: 'core-keeper',
  options: coreKeeperOptions,
  create: createCoreKeeper,
  environment: coreKeeperEnvironment,
});
