import { runService } from '@antirio/edgex-service';
import { coreDataOptions, createCoreData } from './index.ts';

await runService({
  serviceKey: 'core-data',
  options: coreDataOptions,
  create: createCoreData,
  environment: {
    integers: { SERVICE_MAXRESULTCOUNT: 'maxResultCount' },
    kilobytes: { MAXEVENTSIZE: 'maxEventBytes' },
    texts: { WRITABLE_PERSISTDATA: 'writable.PersistData', WRITABLE_EVENTPURGE: 'writable.EventPurge' },
    metrics: ['EventsPersisted', 'ReadingsPersisted'],
    hasMetadata: true,
  },
});
