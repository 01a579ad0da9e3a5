import { runService } from '@antirio/edgex-service';
import { coreKeeperOptions, createCoreKeeper } from './index.ts';

await runService({
  serviceKey: 'core-keeper',
  options: coreKeeperOptions,
  create: createCoreKeeper,
  environment: { kilobytes: { SERVICE_MAXREQUESTSIZE: 'maxBodyBytes' } },
});
