import type { ContractService } from './contract.ts';

/** Where EdgeX's own services do not do what their documents say: there the services count, as clients are made for them. */
export interface Deviation {
  readonly service: ContractService;
  /** Keys from the document's root to a schema. */
  readonly at: readonly string[];
  /**
   * `anyOf`: the alternatives of its `oneOf` may overlap. `item`: not the list that is documented is answered but one of its items; `list`: a list of
   * what is documented. Otherwise: answers may have these fields besides, or need not have these.
   */
  readonly change:
    | 'anyOf'
    | 'item'
    | 'list'
    | { readonly alsoHas: readonly string[] }
    | { readonly mayLack: readonly string[] };
  readonly reason: string;
}

/** Answers of core-data with one error that are documented as lists of errors: method, statuses, path. */
const ERRORS_AS_LISTS = [
  'DELETE 400 /event/age/{age}',
  'GET 500 /event/device/name/{name}',
  'GET 400,500 /event/start/{start}/end/{end}',
  'GET 500 /reading/all',
  'GET 500 /reading/device/name/{name}',
  'GET 400,500 /reading/resourceName/{resourceName}',
  'GET 400,500 /reading/device/name/{deviceName}/resourceName/{resourceName}',
  'GET 400,500 /reading/start/{start}/end/{end}',
  'GET 400,500 /reading/resourceName/{resourceName}/start/{start}/end/{end}',
  'GET 400,500 /reading/device/name/{deviceName}/resourceName/{resourceName}/start/{start}/end/{end}',
  'GET 400,500 /reading/device/name/{deviceName}/start/{start}/end/{end}',
];

export const DEVIATIONS: readonly Deviation[] = [
  ...ERRORS_AS_LISTS.flatMap((answers) => {
    const [method = '', statuses = '', path = ''] = answers.split(' ');
    return statuses.split(',').map((status): Deviation => ({
      service: 'core-data',
      at: ['paths', path, method.toLowerCase(), 'responses', status, 'content', 'application/json', 'schema'],
      change: 'item',
      reason: 'one request is answered with one error, as in the example beside it',
    }));
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
    service: 'core-command',
    at: ['paths', '/device/all', 'get', 'responses', '500', 'content', 'application/json', 'schema'],
    change: 'item',
    reason: 'one request is answered with one error',
  },
  ...['/deviceservice', '/provisionwatcher'].map((path): Deviation => ({
    service: 'core-metadata',
    at: ['paths', path, 'patch', 'requestBody', 'content', 'application/json', 'schema'],
    change: 'list',
    reason: 'several at once are changed, as in the example beside it',
  })),
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
