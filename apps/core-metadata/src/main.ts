import { runService } from '@antirio/edgex-service';
import { coreMetadataOptions, createCoreMetadata } from './index.ts';

await runService({
  serviceKey: 'core-metadata',
  options: coreMetadataOptions,
  create: createCoreMetadata,
  environment: {
    integers: { SERVICE_MAXRESULTCOUNT: 'maxResultCount' },
    kilobytes: { SERVICE_MAXREQUESTSIZE: 'maxBodyBytes' },
    texts: {
      WRITABLE_PROFILECHANGE_STRICTDEVICEPROFILECHANGES: 'writable.ProfileChange.StrictDeviceProfileChanges',
      WRITABLE_PROFILECHANGE_STRICTDEVICEPROFILEDELETES: 'writable.ProfileChange.StrictDeviceProfileDeletes',
      WRITABLE_UOM_VALIDATION: 'writable.UoM.Validation',
    },
  },
});
