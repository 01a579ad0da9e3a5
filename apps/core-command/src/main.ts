import { runService } from '@antirio/edgex-service';
import { coreCommandEnvironment, coreCommandOptions, createCoreCommand } from './index.ts';

await runService({
  serviceKey: 'core-command',
  options: coreCommandOptions,
  create: createCoreCommand,
  environment: coreCommandEnvironment,
});
