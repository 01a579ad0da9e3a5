import { runService } from '@antirio/edgex-service';
import { coreDataEnvironment, coreDataOptions, createCoreData } from './index.ts';

await runService({
  serviceKey: 'core-data',
  options: coreDataOptions,
  create: createCoreData,
  environment: coreDataEnvironment,
});
