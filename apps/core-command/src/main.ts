import { runService } from '@antirio/edgex-service';
import { coreCommandOptions, createCoreCommand } from './index.ts';

await runService({
  serviceKey: 'core-command',
  options: coreCommandOptions,
  create: createCoreCommand,
  environment: {
    integers: { SERVICE_MAXRESULTCOUNT: 'maxResultCount' },
    kilobytes: { SERVICE_MAXREQUESTSIZE: 'maxBodyBytes' },
    hasMetadata: true,
  },
});
