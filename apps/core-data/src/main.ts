import { runService } from '@antirio/edgex-service';
import { coreDataOptions, createCoreData } from './index.ts';

await runService({
  serviceKey: 'core-data',
  options: coreDataOptions,
  create: createCoreData,
  environment: {
    integers: {
      SERVICE_MAXRESULTCOUNT: 'maxResultCount',
      RETENTION_DEFAULTMAXCAP: 'retention.defaultMaxCap',
      RETENTION_DEFAULTMINCAP: 'retention.defaultMinCap',
    },
    kilobytes: { MAXEVENTSIZE: 'maxEventBytes' },
    texts: {
      WRITABLE_PERSISTDATA: 'writable.PersistData',
      WRITABLE_EVENTPURGE: 'writable.EventPurge',
      RETENTION_INTERVAL: 'retention.interval',
      RETENTION_DEFAULTDURATION: 'retention.defaultDuration',
    },
    metrics: ['EventsPersisted', 'ReadingsPersisted'],
    hasMetadata: true,
  },
});
