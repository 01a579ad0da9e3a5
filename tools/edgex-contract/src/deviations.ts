import type { ContractService } from './contract.ts';

/** Where EdgeX's own services do not do what their documents say: there the services count, as clients are made for them. */
export interface Deviation {
  readonly service: ContractService;
  /** Keys from the document's root to a schema. */
  readonly at: readonly string[];
  /**
   * `anyOf`: the alternatives of its `oneOf` may overlap. `item`: not the list that is documented is answered but one of its items.
   * Otherwise: answers may have these fields besides, or need not have these.
   */
  readonly change:
    'anyOf' | 'item' | { readonly alsoHas: readonly string[] } | { readonly mayLack: readonly string[] };
  readonly reason: string;
}

/** What of core-data is documented to be refused with a list of errors. */
const ERRORS_AS_LISTS = [
  'DELETE /event/age/{age}',
  'GET /event/start/{start}/end/{end}',
  'GET /reading/resourceName/{resourceName}',
  'GET /reading/device/name/{deviceName}/resourceName/{resourceName}',
  'GET /reading/start/{start}/end/{end}',
  'GET /reading/resourceName/{resourceName}/start/{start}/end/{end}',
  'GET /reading/device/name/{deviceName}/resourceName/{resourceName}/start/{start}/end/{end}',
  'GET /reading/device/name/{deviceName}/start/{start}/end/{end}',
];

export const DEVIATIONS: readonly Deviation[] = [
  ...ERRORS_AS_LISTS.map((operation): Deviation => {
    const [method = '', path = ''] = operation.split(' ');
    return {
      service: 'core-data',
      at: ['paths', path, method.toLowerCase(), 'responses', '400', 'content', 'application/json', 'schema'],
      change: 'item',
      reason: 'one request is refused with one error, as in the example beside it',
    };
  }),
  {
    service: 'core-data',
    at: ['components', 'schemas', 'MultiReadingsResponse'],
    change: { alsoHas: ['aggregateFunc'] },
    reason: 'as in the examples of aggregated readings',
  },
  {
    service: 'core-data',
    at: ['components', 'schemas', 'Reading'],
    change: { alsoHas: ['units', 'tags'] },
    reason: 'readings have them since EdgeX 2.1',
  },
  {
    service: 'core-metadata',
    at: ['components', 'schemas', 'DiscoveredDevice'],
    change: { mayLack: ['serviceName'] },
    reason:
      'the device service is told by the watcher; a discovered device has no such field, in the document neither',
  },
  {
    service: 'core-metadata',
    at: ['components', 'schemas', 'AutoEvent'],
    change: { mayLack: ['resource'] },
    reason: 'the field is `sourceName`; the document has no field `resource`',
  },
  {
    service: 'core-keeper',
    at: ['paths', '/kvs/key/{key}', 'get', 'responses', '200', 'content', 'application/json', 'schema'],
    change: 'anyOf',
    reason: 'neither alternative requires a field, so every answer fits both',
  },
  ...['MultiKeysResponse', 'MultiKVsResponse'].map((schema): Deviation => ({
    service: 'core-keeper',
    at: ['components', 'schemas', schema],
    change: { alsoHas: ['response'] },
    reason: 'the field is `response`, as in the examples beside it, not `keys` or `keyValues`',
  })),
];
