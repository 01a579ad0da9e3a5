import { runService } from '@antirio/edgex-service';
import { coreMetadataEnvironment, coreMetadataOptions, createCoreMetadata } from './index.ts';

await runService({
  serviceKey: 'core-metadata',
  options: coreMetadataOptions,
  create: createCoreMetadata,
  environment: coreMetadataEnvironment,
});
